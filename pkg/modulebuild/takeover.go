package modulebuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Inputs are everything that the packages of a component depend on.
type Inputs struct {
	Source  string    `json:"source"` // Source.Digest
	Builder string    `json:"builder"`
	Arch    string    `json:"arch"`
	Macros  []Macro   `json:"macros"`
	Time    time.Time `json:"time"`
	Always  []string  `json:"always,omitempty"` // packages installed without being asked for
	// Modules are the streams of other modules that are built with.
	Modules map[string]string `json:"modules,omitempty"`
	Before  []BeforeKey       `json:"before,omitempty"` // the components directly before it
}

// A BeforeKey stands for a component that is built before, with all its inputs.
type BeforeKey struct {
	Component string `json:"component"`
	Key       string `json:"key"`
}

// Key is the same for the same inputs, and for no others.
func (in Inputs) Key() string { return in.key(jsonSum(in.Before)) }

// key takes the sum over Before, which a whole group of components shares.
func (in Inputs) key(before string) string {
	in.Before = nil
	return jsonSum(struct {
		Inputs
		BeforeSum string
	}{in, before})
}

func jsonSum(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, slices of them, and times that NewPlan has bounded always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// changed says what is different from old.
func (in Inputs) changed(old Inputs) string {
	var what []string
	if in.Source != old.Source {
		what = append(what, "its source has changed")
	}
	if in.Builder != old.Builder {
		what = append(what, fmt.Sprintf("it was built with %s, not %s", old.Builder, in.Builder))
	}
	if in.Arch != old.Arch {
		what = append(what, "it was built for "+old.Arch)
	}
	if !in.Time.Equal(old.Time) {
		what = append(what, "the time that packages record has changed")
	}
	if !maps.Equal(in.Modules, old.Modules) {
		what = append(what, "the modules that it is built with have changed")
	}
	if !slices.Equal(in.Macros, old.Macros) {
		what = append(what, "macros have changed")
	}
	if !slices.Equal(in.Always, old.Always) {
		what = append(what, "the buildroot profile has changed")
	}
	before := map[string]string{}
	for _, b := range old.Before {
		before[b.Component] = b.Key
	}
	var rebuilt []string
	for _, b := range in.Before {
		if key, ok := before[b.Component]; !ok {
			what = append(what, b.Component+" is now built before it")
		} else if key != b.Key {
			rebuilt = append(rebuilt, b.Component)
		}
		delete(before, b.Component)
	}
	if len(rebuilt) > 0 {
		what = append(what, strings.Join(rebuilt, ", ")+" before it changed")
	}
	if len(before) > 0 {
		what = append(what, "the order has changed")
	}
	if len(what) == 0 {
		return "its inputs have changed"
	}
	return strings.Join(what, "; ")
}

// A Record is a finished build of a component.
type Record struct {
	Component string    `json:"component"`
	Key       string    `json:"key"`
	Inputs    Inputs    `json:"inputs"`
	Packages  []Package `json:"packages"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
}

// Results is where finished builds of components are kept from one run to the
// next.
type Results interface {
	// Find gives the build with this key, if there is one and its packages are
	// there and undamaged. damage says what is wrong with one that is not.
	Find(ctx context.Context, component, key string) (rec *Record, damage string, err error)
	// Last gives the last build of the component with any key, or nil.
	Last(component string) *Record
	// Begin makes an empty directory for the packages of a build.
	Begin(component, key string) (dir string, err error)
	// Finish keeps a build, whose packages are in the directory that Begin made;
	// it returns the record with their final paths. Once it has returned, a
	// crash loses nothing of the build.
	Finish(rec Record) (*Record, error)
}

// TakeOver compares what is to be built with what earlier runs have built, and
// settles for each component whether it is built and why. Sources must be pinned.
func (p *Plan) TakeOver(ctx context.Context, builder string, results Results) error {
	keys := make([]string, len(p.Components))
	var group beforeGroup
	for i := range p.Components {
		c := &p.Components[i]
		if c.Skip != "" {
			c.Reason = c.Skip
			continue
		}
		c.Inputs = Inputs{
			Source: c.Source.Digest, Builder: builder, Arch: p.Identity.Arch, Modules: p.buildRequires(),
			Macros: p.Macros, Time: p.Identity.Time, Always: p.installAlways(i),
		}
		group = p.beforeGroup(i, keys, group)
		c.Inputs.Before = group.keys
		c.Key = c.Inputs.key(group.sum)
		keys[i] = c.Key
		rec, damage, err := results.Find(ctx, c.Name, c.Key)
		if err != nil {
			return fmt.Errorf("looking for an earlier build of %s: %w", c.Name, err)
		}
		if rec != nil && p.check(c, Result{Packages: rec.Packages}) != nil {
			rec, damage = nil, "its source package may not be called as it was"
		}
		last := results.Last(c.Name)
		switch {
		case rec != nil:
			c.Taken, c.Reason = rec, "nothing it is made from has changed"
		case damage != "":
			c.Reason = damage
		case last != nil:
			c.Reason = c.Inputs.changed(last.Inputs)
		default:
			c.Reason = "it was not built before"
		}
		if last != nil {
			c.Weight = last.Ended.Sub(last.Started).Seconds()
		}
	}
	p.guessWeights()
	return nil
}

// A beforeGroup is what stands directly before a component.
type beforeGroup struct {
	before []int
	keys   []BeforeKey
	sum    string
}

// beforeGroup takes the group of the component before i where that is the same:
// all of a group of the build order have the same before them, and stand side by
// side.
func (p *Plan) beforeGroup(i int, keys []string, last beforeGroup) beforeGroup {
	before := p.builtBefore(i)
	if last.sum != "" && slices.Equal(before, last.before) {
		return last
	}
	g := beforeGroup{before: before}
	for _, b := range before {
		g.keys = append(g.keys, BeforeKey{p.Components[b].Name, keys[b]})
	}
	g.sum = jsonSum(g.keys)
	return g
}

// guessWeights takes components without a past for average ones.
func (p *Plan) guessWeights() {
	sum, n := 0.0, 0
	for _, c := range p.Components {
		if c.Weight > 0 {
			sum += c.Weight
			n++
		}
	}
	average := 1.0
	if n > 0 {
		average = sum / float64(n)
	}
	for i := range p.Components {
		switch c := &p.Components[i]; {
		case c.Skip != "" || c.Taken != nil:
			c.Weight = 0
		case c.Weight <= 0:
			c.Weight = average
		}
	}
}

// builtBefore lists the nearest components before i that are built at all: a
// skipped one has no key, and what comes before it comes before i too.
func (p *Plan) builtBefore(i int) []int {
	var found []int
	seen := make([]bool, len(p.Components))
	todo := p.Graph.Before(i)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		if p.Components[n].Skip == "" {
			found = append(found, n)
		} else {
			todo = append(todo, p.Graph.Before(n)...)
		}
	}
	slices.Sort(found)
	return found
}

// installAlways names the packages of the module's own profiles "buildroot" and
// "srpm-buildroot", once a component that is marked so stands before component i.
// Source packages are made where binary ones are.
func (p *Plan) installAlways(i int) []string {
	var names []string
	for _, b := range p.Graph.AllBefore(i) {
		if p.Components[b].Doc.Buildroot {
			names = append(names, p.Doc.Profiles["buildroot"].RPMs...)
		}
		if p.Components[b].Doc.SRPMBuildroot {
			names = append(names, p.Doc.Profiles["srpm-buildroot"].RPMs...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// buildRequires are the streams that are built with now, which may be others
// than those that the identity was decided with.
func (p *Plan) buildRequires() map[string]string {
	streams := map[string]string{}
	for _, m := range p.Enable {
		streams[m.Name] = m.Stream
	}
	if p.Platform != nil {
		streams[p.Platform.Name] = p.Platform.Stream
	}
	return streams
}
