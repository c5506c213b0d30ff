package kojitask

import (
	"slices"
	"strings"
	"testing"

	"github.com/kojimod/kojimod/pkg/koji"
)

const moduleHead = "  summary: s\n  description: d\n  license: {module: [MIT]}\n"

// TestRequires builds a module, one that needs it to be used, and one that is built
// with the latter.
func TestRequires(t *testing.T) {
	w := newWorld(t, []string{"ash"})
	build := func(doc string, components ...string) Reply {
		t.Helper()
		w.write("document: modulemd\nversion: 2\ndata:\n" + doc)
		return w.run(w.submit(nil, components...))
	}
	first := w.run(w.submit(nil, "ash"))
	if first.Fault != nil {
		t.Fatal(first.Fault)
	}
	second := build("  name: lawn\n  stream: \"a-b\"\n"+moduleHead+
		"  dependencies:\n  - {buildrequires: {platform: [f40]}, requires: {platform: [f40], hedge: [\"1\"]}}\n"+
		"  profiles: {buildroot: {rpms: [beech]}}\n  components:\n    rpms:\n      beech: {rationale: r}\n", "beech")
	if second.Fault != nil {
		t.Fatal(second.Fault)
	}
	const third = "  name: pond\n  stream: \"1\"\n" + moduleHead + "  components:\n    rpms:\n      cedar: {rationale: r}\n"
	reply := build(third+"  dependencies:\n  - {buildrequires: {platform: [f40], lawn: [a-b]}, requires: {platform: [f40]}}\n", "cedar")
	if reply.Fault != nil {
		t.Fatal(reply.Fault)
	}
	client, err := koji.New(w.hub.URL, koji.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var parents []struct {
		Name string `xmlrpc:"name"`
	}
	if err := client.Anonymous().Call(t.Context(), "getFullInheritance", &parents, reply.Result["tag"].(string)+"-build"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range parents {
		names = append(names, p.Name)
	}
	for _, want := range []any{reply.Result["tag"], first.Result["tag"], second.Result["tag"], "f40-build"} {
		if !slices.Contains(names, want.(string)) {
			t.Errorf("the build tag inherits from %q, not from %s", names, want)
		}
	}
	for _, tc := range []struct{ name, deps, fails string }{
		{"a stream that nobody has built", "{buildrequires: {platform: [f40], lawn: [c]}}", "there is no build of module lawn:c in tag f40-modules"},
		{"streams that cannot be used together", "{buildrequires: {platform: [f40], lawn: [a-b], hedge: [\"2\"]}}", "hedge"},
		{"a module that nobody has built", "{buildrequires: {platform: [f40], moor: [\"1\"]}}", "there is no build of module moor:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply := build(third+"  dependencies:\n  - "+tc.deps+"\n", "cedar")
			if reply.Fault == nil || !strings.Contains(reply.Fault.Message, tc.fails) {
				t.Errorf("got %+v, want a fault with %q", reply, tc.fails)
			}
		})
	}
}
