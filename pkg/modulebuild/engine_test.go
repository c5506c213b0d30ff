package modulebuild

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// memory keeps results for as long as the test runs.
type memory struct {
	mu      sync.Mutex
	records map[string]*Record
	damage  string
}

func (m *memory) Find(_ context.Context, component, key string) (*Record, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec := m.records[component+" "+key]
	if rec != nil && m.damage == component {
		return nil, "damaged", nil
	}
	return rec, "", nil
}

func (m *memory) Last(component string) *Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var last *Record
	for _, rec := range m.records {
		if rec.Component == component && (last == nil || rec.Ended.After(last.Ended)) {
			last = rec
		}
	}
	return last
}

func (m *memory) Begin(component, key string) (string, error) { return "/out/" + component, nil }

func (m *memory) Finish(rec Record) (*Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = map[string]*Record{}
	}
	m.records[rec.Component+" "+rec.Key] = &rec
	return &rec, nil
}

// maker is a Builder that builds nothing: it makes a source package and one
// binary package of the component's name, and what is asked for besides.
type maker struct {
	plan  *Plan
	extra map[string][]string // component to further binary packages
	fail  map[string]error
	spoil func(*Package)
	sleep map[string]time.Duration

	mu   sync.Mutex
	jobs []Job
}

func (b *maker) Name() string { return "maker" }

func (b *maker) Prepare(context.Context, []Job) error { return nil }

func (b *maker) Build(_ context.Context, job Job) (Result, error) {
	time.Sleep(b.sleep[job.Component])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs = append(b.jobs, job)
	if err := b.fail[job.Component]; err != nil {
		return Result{}, err
	}
	var r Result
	add := func(name, arch, source string) {
		nevra := modulemd.NEVRA{Name: name, Version: "1", Release: "1." + b.plan.Identity.DistTag, Arch: arch}
		pkg := Package{
			Component: job.Component, Path: filepath.Join(job.OutDir, nevra.Filename()), NEVRA: nevra,
			SourceRPM: source, License: "MIT", Label: b.plan.Identity.NSVC(),
		}
		if b.spoil != nil {
			b.spoil(&pkg)
		}
		r.Packages = append(r.Packages, pkg)
	}
	add(job.Component, "src", "")
	source := r.Packages[0].NEVRA.Filename()
	for _, name := range append([]string{job.Component}, b.extra[job.Component]...) {
		add(name, job.Arch, source)
	}
	return r, nil
}

var testNow = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

func testDoc(components rpms) *modulemd.Stream {
	return &modulemd.Stream{
		Name: "m", Stream: "1", Summary: "s", Description: "d", License: modulemd.License{Module: []string{"MIT"}},
		Components: modulemd.Components{RPMs: components},
	}
}

// testPlan has pinned sources; sources names the contents that differ from "1".
func testPlan(t testing.TB, doc *modulemd.Stream, sources map[string]string, results Results) *Plan {
	t.Helper()
	plan, err := NewPlan(doc, Options{Version: 5, Arch: "x86_64", Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Components {
		c := &plan.Components[i]
		c.Source = Source{Kind: "dir", Digest: c.Name + "-1"}
		if d, ok := sources[c.Name]; ok {
			c.Source.Digest = d
		}
	}
	if err := plan.TakeOver(t.Context(), "maker", results); err != nil {
		t.Fatal(err)
	}
	return plan
}

func runEngine(t *testing.T, plan *Plan, b *maker, results Results, keepGoing bool) (map[string]State, error) {
	t.Helper()
	b.plan = plan
	e := &Engine{
		Builder: b, Results: results, Slots: 2, KeepGoing: keepGoing,
		LogDir: func(string) (string, error) { return t.TempDir(), nil },
	}
	outcomes, err := e.Run(t.Context(), plan)
	states := map[string]State{}
	for _, o := range outcomes {
		states[o.Component] = o.State
	}
	return states, err
}

func chain() rpms {
	return rpms{"a": {}, "b": {BuildAfter: []string{"a"}}, "c": {BuildAfter: []string{"b"}}, "x": {}}
}

func TestEngineTakesOver(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(doc *modulemd.Stream, sources map[string]string, m *memory)
		want    map[string]State
		reasons map[string]string
	}{
		{"nothing changed", func(*modulemd.Stream, map[string]string, *memory) {},
			map[string]State{"a": TakenOver, "b": TakenOver, "c": TakenOver, "x": TakenOver}, nil},
		{"a source changed", func(_ *modulemd.Stream, s map[string]string, _ *memory) { s["b"] = "b-2" },
			map[string]State{"a": TakenOver, "b": Built, "c": Built, "x": TakenOver},
			map[string]string{"b": "its source has changed", "c": "b before it changed"}},
		{"macros changed", func(d *modulemd.Stream, _ map[string]string, _ *memory) { d.BuildOpts.RPMs.Macros = "%new 1" },
			map[string]State{"a": Built, "b": Built, "c": Built, "x": Built}, map[string]string{"x": "macros have changed"}},
		{"packages are damaged", func(_ *modulemd.Stream, _ map[string]string, m *memory) { m.damage = "x" },
			map[string]State{"a": TakenOver, "b": TakenOver, "c": TakenOver, "x": Built}, map[string]string{"x": "damaged"}},
		{"only the description changed", func(d *modulemd.Stream, _ map[string]string, _ *memory) { d.Description = "new" },
			map[string]State{"a": TakenOver, "b": TakenOver, "c": TakenOver, "x": TakenOver}, nil},
		{"a component was added", func(d *modulemd.Stream, _ map[string]string, _ *memory) {
			d.Components.RPMs["y"] = &modulemd.ComponentRPM{BuildAfter: []string{"c"}}
		}, map[string]State{"a": TakenOver, "b": TakenOver, "c": TakenOver, "x": TakenOver, "y": Built},
			map[string]string{"y": "it was not built before"}},
		{"another platform", func(d *modulemd.Stream, _ map[string]string, _ *memory) {
			d.Dependencies = []modulemd.Dependencies{{BuildRequires: map[string][]string{"platform": {"f41"}}}}
		}, map[string]State{"a": Built, "b": Built, "c": Built, "x": Built}, nil},
		{"another order", func(d *modulemd.Stream, _ map[string]string, _ *memory) {
			d.Components.RPMs["c"].BuildAfter = []string{"a"}
		}, map[string]State{"a": TakenOver, "b": TakenOver, "c": Built, "x": TakenOver},
			map[string]string{"c": "a is now built before it; the order has changed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{}
			if _, err := runEngine(t, testPlan(t, testDoc(chain()), nil, m), &maker{}, m, false); err != nil {
				t.Fatal(err)
			}
			doc, sources := testDoc(chain()), map[string]string{}
			tt.change(doc, sources, m)
			plan := testPlan(t, doc, sources, m)
			for _, c := range plan.Components {
				if want, ok := tt.reasons[c.Name]; ok && c.Reason != want {
					t.Errorf("%s: reason %q, want %q", c.Name, c.Reason, want)
				}
			}
			states, err := runEngine(t, plan, &maker{}, m, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, states); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEngineFailure(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name      string
		keepGoing bool
		want      map[string]State
	}{
		{"keeps going with what does not depend on it", true, map[string]State{"a": Built, "b": Failed, "c": NotBuilt, "x": Built}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{}
			states, err := runEngine(t, testPlan(t, testDoc(chain()), nil, m), &maker{fail: map[string]error{"b": boom}}, m, tt.keepGoing)
			if !errors.Is(err, boom) {
				t.Errorf("error %v, want boom", err)
			}
			if diff := cmp.Diff(tt.want, states); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEngineAvailable(t *testing.T) {
	m := &memory{}
	doc := testDoc(chain())
	doc.Components.RPMs["a"].Buildroot = true
	doc.Profiles = map[string]modulemd.Profile{"buildroot": {RPMs: []string{"a"}}}
	b := &maker{}
	if _, err := runEngine(t, testPlan(t, doc, nil, m), b, m, false); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, j := range b.jobs {
		var names []string
		for _, pkg := range j.Available {
			names = append(names, pkg.NEVRA.Name+"."+pkg.NEVRA.Arch)
		}
		got[j.Component] = strings.Join(names, " ") + " | " + strings.Join(j.After, " ") + " | " + strings.Join(j.InstallAlways, " ")
	}
	want := map[string]string{
		"a": " |  | ",
		"b": "a.src a.x86_64 | a | a",
		"c": "a.src a.x86_64 b.src b.x86_64 | a b | a",
		"x": " |  | ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("available | after | always (-want +got):\n%s", diff)
	}
}

func TestEngineReadsPackagesBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Package)
		want  string
	}{
		{"no dist tag", func(p *Package) { p.NEVRA.Release = "1" }, "has no .module+1+"},
		{"another label", func(p *Package) { p.Label = "other:1:1:1" }, `the MODULARITYLABEL "other:1:1:1" instead of "m:1:5:`},
		{"another architecture", func(p *Package) {
			if p.SourceRPM != "" {
				p.NEVRA.Arch = "i686"
			}
		}, "is not for x86_64"},
		{"no label", func(p *Package) { p.Label = "" }, `the MODULARITYLABEL "" instead`},
		{"another source package", func(p *Package) { p.NEVRA.Name = "other" }, "the source package is called other, not a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{}
			_, err := runEngine(t, testPlan(t, testDoc(rpms{"a": {}}), nil, m), &maker{spoil: tt.spoil}, m, false)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if len(m.records) > 0 {
				t.Error("the packages were kept")
			}
		})
	}
}

func TestFinish(t *testing.T) {
	extra := map[string][]string{
		"a": {"a-devel", "a-debuginfo", "a-devel-debuginfo", "a-debugsource"},
		"b": {"b-debuginfo"}, // filtered whole
		"t": {"t-debuginfo"}, // for building only
		"z": {"z-debugsource"},
	}
	doc := testDoc(rpms{"a": {Repository: "file:///here", Ref: "main"}, "b": {}, "t": {BuildOnly: true}, "z": {}})
	doc.Filter = []string{"a-devel", "b", "never"}
	doc.API = []string{"a", "a-devel", "nobody"}
	doc.Profiles = map[string]modulemd.Profile{"default": {RPMs: []string{"a"}}, "buildroot": {RPMs: []string{"gone"}}}
	m := &memory{}
	plan := testPlan(t, doc, nil, m)
	b := &maker{plan: plan, extra: extra}
	e := &Engine{Builder: b, Results: m, LogDir: func(string) (string, error) { return "", nil }}
	outcomes, err := e.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	f, err := plan.Finish(outcomes, FinishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, nevra := range f.Stream.Artifacts.RPMs {
		names = append(names, nevra.Name+"."+nevra.Arch)
	}
	want := []string{"a.src", "a.x86_64", "a-debuginfo.x86_64", "a-debugsource.x86_64", "z.src", "z.x86_64", "z-debugsource.x86_64"}
	slices.Sort(want)
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("artifacts (-want +got):\n%s", diff)
	}
	if len(f.Packages) != len(want) {
		t.Errorf("%d packages, %d artifacts", len(f.Packages), len(want))
	}
	wantWarnings := []string{
		"api names a-devel, which is built but filtered out of the module",
		"api names nobody, which no component has built",
		"filter names never, which no component has built",
	}
	if diff := cmp.Diff(wantWarnings, f.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a-devel", "b", "never", "t", "t-debuginfo"}, f.Stream.Filter); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	if got := f.Stream.Components.RPMs["a"]; got.Repository != "" || got.Ref != "main" {
		t.Errorf("component a: %+v, want no repository and its ref", got)
	}
	if doc.Components.RPMs["a"].Repository == "" {
		t.Error("the packager's document was changed")
	}
	if got := f.Stream.XMD.Get("mbs").Get("rpms").Get("a").Get("ref").Text(); got != "a-1" {
		t.Errorf("resolved ref %q, want a-1", got)
	}
	if diff := cmp.Diff(map[modulemd.StreamName][]string{"1": {"default"}}, f.Defaults.Profiles); diff != "" || f.Defaults.Stream != "" {
		t.Errorf("defaults: stream %q, profiles (-want +got):\n%s", f.Defaults.Stream, diff)
	}
}

func TestFinishWhitelist(t *testing.T) {
	doc := testDoc(rpms{"a": {}, "b": {}})
	doc.BuildOpts.RPMs.Whitelist = []string{"a"}
	m := &memory{}
	plan := testPlan(t, doc, nil, m)
	e := &Engine{Builder: &maker{plan: plan}, Results: m, LogDir: func(string) (string, error) { return "", nil }}
	outcomes, err := e.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	f, err := plan.Finish(outcomes, FinishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, nevra := range f.Stream.Artifacts.RPMs {
		if nevra.Name != "a" {
			t.Errorf("%s is part of the module, against its whitelist", nevra)
		}
	}
}

func TestFinishSamePackageTwice(t *testing.T) {
	same := func(p *Package) {
		p.NEVRA.Name = "a"
		if p.SourceRPM != "" {
			p.SourceRPM = "a-1-1.src.rpm"
		}
	}
	for _, tt := range []struct {
		name   string
		after  []string
		wantOK bool
	}{
		{"in no order", nil, false},
		{"one after the other", []string{"boot"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{}
			plan := testPlan(t, testDoc(rpms{"boot": {Name: "a"}, "a": {BuildAfter: tt.after}}), nil, m)
			e := &Engine{Builder: &maker{plan: plan, spoil: same}, Results: m, LogDir: func(string) (string, error) { return "", nil }}
			outcomes, err := e.Run(t.Context(), plan)
			if err != nil {
				t.Fatal(err)
			}
			f, err := plan.Finish(outcomes, FinishOptions{})
			if (err == nil) != tt.wantOK {
				t.Fatalf("Finish: %v", err)
			}
			if err == nil {
				for _, pkg := range f.Packages {
					if pkg.Component != "a" {
						t.Errorf("%s is of component %s, want the later one", pkg.NEVRA, pkg.Component)
					}
				}
			}
		})
	}
}

func TestChoose(t *testing.T) {
	blocks := func(b ...map[string][]string) *modulemd.Stream {
		doc := testDoc(rpms{"a": {}})
		for _, requires := range b {
			doc.Dependencies = append(doc.Dependencies, modulemd.Dependencies{BuildRequires: requires, Requires: maps.Clone(requires)})
		}
		return doc
	}
	for _, tt := range []struct {
		name    string
		doc     *modulemd.Stream
		wanted  map[string]string
		host    string
		want    map[string]string
		wantErr string
	}{
		{"one stream each", blocks(map[string][]string{"platform": {"f40"}, "perl": {"5"}}), nil, "", map[string]string{"platform": "f40", "perl": "5"}, ""},
		{"several, and one is asked for", blocks(map[string][]string{"perl": {"5", "6"}}), map[string]string{"perl": "6"}, "", map[string]string{"perl": "6"}, ""},
		{"several", blocks(map[string][]string{"perl": {"5", "6"}}), nil, "", nil, "choose one with --enable perl:STREAM"},
		{"any platform, this host's", blocks(map[string][]string{"platform": {}}), nil, "f41", map[string]string{"platform": "f41"}, ""},
		{"any platform, and none is known", blocks(map[string][]string{"platform": {}}), nil, "", nil, "choose one with --platform platform:STREAM"},
		{"all but this host's", blocks(map[string][]string{"platform": {"-f41"}}), nil, "f41", nil, "--platform"},
		{"not in the document", blocks(map[string][]string{"platform": {"f40"}}), map[string]string{"platform": "el9"}, "", nil, "builds with platform of f40"},
		{"one of two blocks", blocks(map[string][]string{"platform": {"f40"}}, map[string][]string{"platform": {"el9"}}), map[string]string{"platform": "el9"}, "", map[string]string{"platform": "el9"}, ""},
		{"two blocks", blocks(map[string][]string{"platform": {"f40"}}, map[string][]string{"platform": {"el9"}}), nil, "", nil, "2 blocks of dependencies can be built"},
		{"a module beyond the document", blocks(map[string][]string{"platform": {"f40"}}), map[string]string{"go": "1"}, "", map[string]string{"platform": "f40", "go": "1"}, ""},
		{"no dependencies", testDoc(rpms{"a": {}}), map[string]string{"platform": "f40"}, "", map[string]string{"platform": "f40"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := choose(tt.doc, tt.wanted, tt.host)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error %v, want one with %q", err, tt.wantErr)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got.buildRequires); err != nil || diff != "" {
				t.Errorf("choose: %v (-want +got):\n%s", err, diff)
			}
		})
	}
	doc := blocks(map[string][]string{"platform": {}, "perl": {"5", "6"}})
	doc.Dependencies[0].Requires = map[string][]string{"platform": {}, "perl": {"5"}}
	got, err := choose(doc, map[string]string{"perl": "6", "platform": "f40"}, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []modulemd.Dependencies{{
		BuildRequires: map[string][]string{"platform": {"f40"}, "perl": {"6"}},
		Requires:      map[string][]string{"platform": {"f40"}, "perl": {"5"}},
	}}
	if diff := cmp.Diff(want, got.dependencies); diff != "" {
		t.Errorf("finished dependencies (-want +got):\n%s", diff)
	}
}

func TestNewPlanRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*modulemd.Stream, *Options)
		want   string
	}{
		{"no components", func(d *modulemd.Stream, _ *Options) { d.Components.RPMs = nil }, "nothing to build"},
		{"a module inside", func(d *modulemd.Stream, _ *Options) {
			d.Components.Modules = map[string]*modulemd.ComponentModule{"inner": {}}
		}, "modules inside modules"},
		{"not for this architecture", func(d *modulemd.Stream, _ *Options) { d.BuildOpts.Arches = []string{"s390x"} }, "buildopts.arches"},
		{"no stream", func(d *modulemd.Stream, _ *Options) { d.Stream = "" }, "no data.stream"},
		{"a stream that leaves the directory", func(d *modulemd.Stream, _ *Options) { d.Stream = "../x" }, `data.stream: "../x" cannot be built under`},
		{"a bad macro", func(d *modulemd.Stream, _ *Options) { d.BuildOpts.RPMs.Macros = "%a 1\n%b\n" }, "line 2 of the macros"},
		{"another version than decided", func(_ *modulemd.Stream, o *Options) {
			o.Decided = &Identity{Name: "m", Stream: "1", Version: 4, Arch: "x86_64"}
		}, "use another --output"},
		{"another module than decided", func(_ *modulemd.Stream, o *Options) {
			o.Decided = &Identity{Name: "n", Stream: "1", Version: 5, Arch: "x86_64"}
		}, "holds a build of module n:1"},
		{"a macro that would unmark the packages", func(d *modulemd.Stream, _ *Options) { d.BuildOpts.RPMs.Macros = "%dist .x" }, "defines %dist"},
		{"a stream that is a macro", func(d *modulemd.Stream, _ *Options) { d.Stream = "5%%0" }, `"5%%0" cannot be built under`},
		{"an option among the buildroot's packages", func(d *modulemd.Stream, _ *Options) {
			d.Profiles = map[string]modulemd.Profile{"buildroot": {RPMs: []string{"--setopt=x"}}}
		}, "data.profiles.buildroot"},
		{"nothing for this architecture", func(d *modulemd.Stream, _ *Options) { d.Components.RPMs["a"].Arches = []string{"s390x"} }, "no component of the module is built for x86_64"},
		{"an architecture that is a path", func(_ *modulemd.Stream, o *Options) { o.Arch = "../x" }, "the architecture"},
		{"a time beyond all", func(_ *modulemd.Stream, o *Options) { o.Epoch = time.Unix(999999999999999, 0) }, "no time that a package can record"},
		{"another platform than decided", func(_ *modulemd.Stream, o *Options) {
			o.Platform = &ModuleStream{"platform", "f41"}
			o.Decided = &Identity{Name: "m", Stream: "1", Version: 5, Arch: "x86_64", BuildRequires: map[string]string{"platform": "f40"}}
		}, "holds a build with platform:f40, and platform:f41 is asked for"},
		{"another time than decided", func(_ *modulemd.Stream, o *Options) {
			o.Epoch = time.Unix(5, 0)
			o.Decided = &Identity{Name: "m", Stream: "1", Version: 5, Arch: "x86_64", Time: time.Unix(4, 0)}
		}, "holds a build of time 4"},
		{"a platform with a dash", func(_ *modulemd.Stream, o *Options) {
			o.Platform = &ModuleStream{"platform", "el8-beta"}
		}, "el8-beta"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, opts := testDoc(rpms{"a": {}}), Options{Version: 5, Arch: "x86_64", Now: testNow}
			tt.change(doc, &opts)
			_, err := NewPlan(doc, opts)
			var input *InputError
			if !errors.As(err, &input) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewPlan: %v, want an InputError with %q", err, tt.want)
			}
		})
	}
}

func TestIdentityIsDecidedOnce(t *testing.T) {
	for _, tt := range []struct {
		name        string
		doc         func(*modulemd.Stream)
		opts        func(*Options)
		wantVersion uint64
		wantTime    string
		wantFrom    string
	}{
		{"asked for", nil, func(o *Options) { o.Version = 7 }, 7, "1980-01-01T00:00:00Z", "--version"},
		{"the document's", func(d *modulemd.Stream) { d.Version = 20230102030405 }, nil, 20230102030405, "2023-01-02T03:04:05Z", "the document"},
		{"the commit's time", nil, func(o *Options) { o.SourceTime = testNow.Add(-time.Hour) }, 4020240102020405, "2024-01-02T02:04:05Z", "the commit's time"},
		{"now", nil, nil, 4020240102030405, "2024-01-02T03:04:05Z", "the time of the first run"},
		{"SOURCE_DATE_EPOCH", nil, func(o *Options) { o.Epoch = time.Unix(1e9, 0) }, 4020240102030405, "2001-09-09T01:46:40Z", "the time of the first run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := testDoc(rpms{"a": {}})
			doc.Dependencies = []modulemd.Dependencies{{BuildRequires: map[string][]string{"platform": {"f40"}}}}
			opts := Options{Arch: "x86_64", Now: testNow}
			if tt.doc != nil {
				tt.doc(doc)
			}
			if tt.opts != nil {
				tt.opts(&opts)
			}
			plan, err := NewPlan(doc, opts)
			if err != nil {
				t.Fatal(err)
			}
			id := plan.Identity
			if id.Version != tt.wantVersion || id.Time.Format(time.RFC3339) != tt.wantTime || plan.VersionFrom != tt.wantFrom {
				t.Errorf("version %d of %s from %s, want %d of %s from %s",
					id.Version, id.Time.Format(time.RFC3339), plan.VersionFrom, tt.wantVersion, tt.wantTime, tt.wantFrom)
			}
			opts.Decided, opts.Now = &id, testNow.Add(time.Hour)
			again, err := NewPlan(doc, opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(id, again.Identity); diff != "" {
				t.Errorf("a later run decides otherwise (-first +later):\n%s", diff)
			}
		})
	}
}

func BenchmarkPlan1000(b *testing.B) {
	for _, kind := range []string{"edges", "two groups"} {
		b.Run(kind, func(b *testing.B) {
			components := rpms{}
			for i := range 1000 {
				c := &modulemd.ComponentRPM{}
				switch {
				case kind == "two groups":
					c.BuildOrder = int64(i % 2)
				case i > 0:
					c.BuildAfter = []string{fmt.Sprintf("c%04d", i/2), fmt.Sprintf("c%04d", i*2/3)}
				}
				components[fmt.Sprintf("c%04d", i)] = c
			}
			doc := testDoc(components)
			for b.Loop() {
				testPlan(b, doc, nil, &memory{})
			}
		})
	}
}

func TestReadPackages(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "junk.rpm"), []byte("no package"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPackages(t.Context(), "a", dir); err == nil || !strings.Contains(err.Error(), "junk.rpm") {
		t.Errorf("error %v, want one that names junk.rpm", err)
	}
}
