package modulebuild

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

type rpms = map[string]*modulemd.ComponentRPM

func TestGraphOrder(t *testing.T) {
	for _, tt := range []struct {
		name       string
		components rpms
		want       []string // "name: direct before | all before"
	}{
		{"no order", rpms{"b": {}, "a": {}}, []string{"a: | ", "b: | "}},
		{"groups, negative ones first", rpms{
			"last": {BuildOrder: 10}, "x": {}, "y": {}, "first": {BuildOrder: -3},
		}, []string{"first: | ", "x: first | first", "y: first | first", "last: x y | first x y"}},
		{"edges", rpms{
			"a": {BuildAfter: []string{"c"}}, "b": {BuildAfter: []string{"a", "c"}}, "c": {},
		}, []string{"c: | ", "a: c | c", "b: c a | c a"}},
		{"an edge twice", rpms{"a": {}, "b": {BuildAfter: []string{"a", "a"}}}, []string{"a: | ", "b: a | a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := NewGraph(tt.components)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			names := func(list []int) string {
				var out []string
				for _, i := range list {
					out = append(out, g.Names[i])
				}
				return strings.Join(out, " ")
			}
			for i, n := range g.Names {
				line := fmt.Sprintf("%s: %s | %s", n, names(g.Before(i)), names(g.AllBefore(i)))
				got = append(got, strings.Replace(line, ":  |", ": |", 1))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("graph (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGraphRefuses(t *testing.T) {
	at := func(line int) modulemd.Position { return modulemd.Position{File: "m.yaml", Line: line, Column: 3} }
	for _, tt := range []struct {
		name       string
		components rpms
		want       string
	}{
		{"both kinds", rpms{"a": {BuildOrder: 1, Pos: at(5)}, "b": {BuildAfter: []string{"a"}, Pos: at(9)}},
			"m.yaml:9:3: buildafter here and buildorder at m.yaml:5:3"},
		{"unknown name", rpms{"a": {BuildAfter: []string{"nobody"}, Pos: at(7)}}, `m.yaml:7:3: component a: buildafter names "nobody"`},
		{"itself", rpms{"a": {BuildAfter: []string{"a"}, Pos: at(7)}}, "circle: a after a"},
		{"a circle", rpms{
			"a": {BuildAfter: []string{"b"}, Pos: at(1)}, "b": {BuildAfter: []string{"c"}, Pos: at(2)},
			"c": {BuildAfter: []string{"a"}, Pos: at(3)}, "d": {BuildAfter: []string{"a"}, Pos: at(4)},
		}, "m.yaml:1:3: buildafter goes round in a circle: a after b after c after a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewGraph(tt.components)
			var input *InputError
			if !errors.As(err, &input) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewGraph: %v, want an InputError with %q", err, tt.want)
			}
		})
	}
}

// A chain of buildafter as long as a document can hold must not overflow a stack.
func TestGraphDeepChain(t *testing.T) {
	components := rpms{"c000000": {}}
	const n = 50_000
	for i := 1; i < n; i++ {
		components[fmt.Sprintf("c%06d", i)] = &modulemd.ComponentRPM{BuildAfter: []string{fmt.Sprintf("c%06d", i-1)}}
	}
	g, err := NewGraph(components)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(g.Names) {
		t.Error("the chain is not in its order")
	}
}
