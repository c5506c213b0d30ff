package modulebuild

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

func TestArchRule(t *testing.T) {
	for _, tt := range []struct {
		arch, document  string
		multilib, valid string
	}{
		{"x86_64", "x86_64", "athlon i686 i586 i486 i386", "x86_64 noarch"},
		{"i686", "i686", "", "i686 i586 i486 i386 noarch"},
		{"i386", "i686", "", "i686 i586 i486 i386 noarch"},
		{"aarch64", "aarch64", "", "aarch64 noarch"},
		{"ppc64le", "ppc64le", "", "ppc64le noarch"},
		{"ppc64", "ppc64", "ppc", "ppc64 noarch"},
		{"s390x", "s390x", "s390", "s390x noarch"},
		{"armv7hl", "armv7hl", "", "armv7hl armv6hl noarch"},
		{"armhfp", "armv7hnl", "", "armv7hnl armv7hl armv6hl noarch"},
		{"riscv64", "riscv64", "", "riscv64 noarch"},
	} {
		t.Run(tt.arch, func(t *testing.T) {
			r := newArchRule(tt.arch)
			if got := strings.Join(r.multilib, " "); got != tt.multilib {
				t.Errorf("multilib %q, want %q", got, tt.multilib)
			}
			if got := strings.Join(r.valid, " "); got != tt.valid {
				t.Errorf("valid %q, want %q", got, tt.valid)
			}
			if got := documentArch(tt.arch); got != tt.document {
				t.Errorf("in documents %q, want %q", got, tt.document)
			}
		})
	}
}

// outcome makes what a component's build has made: a source package, and binary
// packages written NAME.ARCH.
func outcome(component string, binaries ...string) Outcome {
	nevra := modulemd.NEVRA{Name: component, Version: "1", Release: "1", Arch: "src"}
	o := Outcome{Component: component, State: Built}
	o.Packages = append(o.Packages, Package{Component: component, NEVRA: nevra, License: "of the source"})
	source := nevra.Filename()
	for _, b := range binaries {
		nevra.Name, nevra.Arch, _ = strings.Cut(b, ".")
		o.Packages = append(o.Packages, Package{Component: component, NEVRA: nevra, SourceRPM: source, License: "L-" + nevra.Name})
	}
	return o
}

// everywhere makes what a build for x86_64, i686 and aarch64 has made.
func everywhere(component string, names ...string) Outcome {
	var binaries []string
	for _, name := range names {
		for _, arch := range []string{"x86_64", "i686", "aarch64"} {
			binaries = append(binaries, name+"."+arch)
		}
	}
	return outcome(component, binaries...)
}

func TestFinishArch(t *testing.T) {
	with := func(o Outcome, change func(source *Package)) Outcome {
		change(&o.Packages[0])
		return o
	}
	for _, tt := range []struct {
		name       string
		components rpms
		change     func(doc *modulemd.Stream)
		outcomes   []Outcome
		want       map[string]string // artifacts as NAME.ARCH by architecture
		warnings   map[string]string
		licenses   string // of x86_64
	}{
		{
			name:       "each architecture has its own packages, and those without one",
			components: rpms{"a": {}, "b": {}},
			outcomes:   []Outcome{everywhere("a", "a"), outcome("b", "b.noarch")},
			want: map[string]string{
				"x86_64":  "a.src a.x86_64 b.noarch b.src",
				"i686":    "a.i686 a.src b.noarch b.src",
				"aarch64": "a.aarch64 a.src b.noarch b.src",
				"s390x":   "b.noarch b.src",
			},
			licenses: "L-a L-b",
		},
		{
			name:       "multilib where the component asks for it",
			components: rpms{"a": {Multilib: []string{"x86_64"}}, "b": {Multilib: []string{"s390x"}}, "c": {}},
			outcomes: []Outcome{everywhere("a", "a", "a-debuginfo"), outcome("b", "b.s390x", "b.s390", "b.x86_64", "b.i686"),
				outcome("c", "c.s390x", "c.s390", "c.noarch")},
			want: map[string]string{
				"x86_64":  "a-debuginfo.i686 a-debuginfo.x86_64 a.i686 a.src a.x86_64 b.src b.x86_64 c.noarch c.src",
				"i686":    "a-debuginfo.i686 a.i686 a.src b.i686 b.src c.noarch c.src",
				"aarch64": "a-debuginfo.aarch64 a.aarch64 a.src c.noarch c.src",
				"s390x":   "b.s390 b.s390x b.src c.noarch c.s390x c.src",
			},
		},
		{
			name:       "ExclusiveArch and ExcludeArch of the source package hold for packages without an architecture",
			components: rpms{"a": {}, "b": {}, "c": {}, "d": {}, "e": {}},
			outcomes: []Outcome{
				with(outcome("a", "a.noarch"), func(s *Package) { s.ExclusiveArch = []string{"x86_64", "s390x"} }),
				with(outcome("b", "b.noarch"), func(s *Package) { s.ExcludeArch = []string{"s390x", "i386"} }),
				with(outcome("c", "c.noarch"), func(s *Package) { s.ExclusiveArch = []string{"x86_64", "noarch"} }),
				with(outcome("d", "d.noarch"), func(s *Package) { s.ExclusiveArch = []string{"i386", "i486", "i586", "i686"} }),
				with(outcome("e", "e.noarch"), func(s *Package) { s.ExcludeArch = []string{"noarch"} }),
			},
			want: map[string]string{
				"x86_64":  "a.noarch a.src b.noarch b.src c.noarch c.src",
				"i686":    "c.noarch c.src d.noarch d.src",
				"aarch64": "b.noarch b.src c.noarch c.src",
				"s390x":   "a.noarch a.src c.noarch c.src",
			},
		},
		{
			name:       "what multilib brings does not count for ExclusiveArch",
			components: rpms{"a": {Multilib: []string{"x86_64"}}},
			outcomes: []Outcome{
				with(outcome("a", "a.noarch", "a-lib.i686"), func(s *Package) { s.ExclusiveArch = []string{"i686"} }),
			},
			want: map[string]string{"x86_64": "", "i686": "a-lib.i686 a.noarch a.src"},
		},
		{
			name:       "filter, packages that are only for building, and their debug packages",
			components: rpms{"a": {}, "t": {BuildOnly: true}, "z": {}},
			change:     func(doc *modulemd.Stream) { doc.Filter = []string{"a-devel", "z"} },
			outcomes: []Outcome{
				everywhere("a", "a", "a-devel", "a-devel-debuginfo", "a-debuginfo", "a-debugsource"),
				everywhere("t", "t", "t-debugsource"), everywhere("z", "z", "z-debuginfo", "z-debugsource"),
			},
			want: map[string]string{
				"x86_64":  "a-debuginfo.x86_64 a-debugsource.x86_64 a.src a.x86_64",
				"aarch64": "a-debuginfo.aarch64 a-debugsource.aarch64 a.aarch64 a.src",
			},
		},
		{
			name:       "debug packages without a main package go with their source, on their architecture",
			components: rpms{"a": {}},
			outcomes:   []Outcome{outcome("a", "a-tools.x86_64", "a-debugsource.x86_64", "a-debugsource.aarch64", "x.s390x", "x-debuginfo.x86_64")},
			want: map[string]string{
				"x86_64":  "a-debugsource.x86_64 a-tools.x86_64 a.src", // x is not here, and so its debuginfo is not
				"aarch64": "",                                          // nothing but a debugsource
				"s390x":   "a.src x.s390x",
			},
		},
		{
			name:       "a whitelist, whose other names have no multilib",
			components: rpms{"a": {Multilib: []string{"x86_64"}}, "b": {Multilib: []string{"x86_64"}}},
			change:     func(doc *modulemd.Stream) { doc.BuildOpts.RPMs.Whitelist = []string{"scl-a", "b"} },
			outcomes: []Outcome{func() Outcome {
				o := everywhere("scl-a", "scl-a")
				o.Component = "a"
				for i := range o.Packages {
					o.Packages[i].Component = "a"
				}
				return o
			}(), everywhere("b", "b")},
			want: map[string]string{
				"x86_64":  "b.i686 b.src b.x86_64 scl-a.src scl-a.x86_64",
				"aarch64": "b.aarch64 b.src scl-a.aarch64 scl-a.src",
			},
		},
		{
			name:       "names that are not met on an architecture",
			components: rpms{"a": {}, "b": {}},
			change: func(doc *modulemd.Stream) {
				doc.API, doc.Filter = []string{"a", "b", "gone"}, []string{"b-lib"}
				doc.Profiles = map[string]modulemd.Profile{"default": {RPMs: []string{"b-lib"}}, "buildroot": {RPMs: []string{"gcc"}}}
			},
			outcomes: []Outcome{everywhere("a", "a"), outcome("b", "b.x86_64", "b-lib.x86_64")},
			want:     map[string]string{"x86_64": "a.src a.x86_64 b.src b.x86_64", "aarch64": "a.aarch64 a.src"},
			warnings: map[string]string{
				"x86_64": "api names gone, which no component has built\n" +
					"profile default names b-lib, which is built but filtered out of the module",
				"aarch64": "api names b, which is built for other architectures only\n" +
					"api names gone, which no component has built\n" +
					"profile default names b-lib, which is built for other architectures only",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := testDoc(tt.components)
			if tt.change != nil {
				tt.change(doc)
			}
			plan := testPlan(t, doc, nil, &memory{})
			for arch, want := range tt.want {
				f, err := plan.FinishArch(tt.outcomes, arch, FinishOptions{})
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, nevra := range f.Stream.Artifacts.RPMs {
					names = append(names, nevra.Name+"."+nevra.Arch)
				}
				slices.Sort(names)
				if diff := cmp.Diff(strings.Fields(want), names, cmp.Transformer("join", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
					t.Errorf("artifacts on %s (-want +got):\n%s", arch, diff)
				}
				if len(f.Packages) != len(names) {
					t.Errorf("%d packages and %d artifacts on %s", len(f.Packages), len(names), arch)
				}
				if tt.warnings != nil {
					if diff := cmp.Diff(tt.warnings[arch], strings.Join(f.Warnings, "\n")); diff != "" {
						t.Errorf("warnings on %s (-want +got):\n%s", arch, diff)
					}
				}
				if got := strings.Join(f.Stream.License.Content, " "); arch == "x86_64" && tt.licenses != "" && got != tt.licenses {
					t.Errorf("licences %q, want %q", got, tt.licenses)
				}
				if f.Stream.Arch != documentArch(arch) {
					t.Errorf("the document is for %q, want %q", f.Stream.Arch, arch)
				}
			}
		})
	}
}

// TestExpanded looks at what the two kinds of documents say of where things are from.
func TestExpanded(t *testing.T) {
	doc := testDoc(rpms{"a": {Repository: "https://git.example.org/rpms/a", Ref: "main"}, "t": {BuildOnly: true}})
	doc.XMD = modulemd.NewMap().Set("own", modulemd.NewText("1")).Set("mbs", modulemd.NewText("the packager's"))
	doc.Arch = "x86_64"
	plan := testPlan(t, doc, nil, &memory{})
	outcomes := []Outcome{everywhere("a", "a"), everywhere("t", "t")}
	opts := FinishOptions{
		SourceURL: "git+https://git.example.org/modules/m?#main", Commit: "c0ffee",
		Requires: map[string]Required{
			"platform": {Stream: "el9", Version: "1", Context: "00000000", Tag: "el9-build"},
			"perl":     {Ref: "abcd", Stream: "5.32", Version: "20240101000000", Context: "deadbeef", Tag: "module-perl-5.32"},
		},
	}
	s := plan.Expanded(outcomes, opts)
	var text strings.Builder
	if err := modulemd.Write(&text, s); err != nil {
		t.Fatal(err)
	}
	got := text.String()
	i, j := strings.Index(got, "  xmd:\n"), strings.Index(got, "  filter:\n")
	if i < 0 || j < i {
		t.Fatalf("the document has no xmd before its filter:\n%s", got)
	}
	want := `  xmd:
    mbs:
      buildrequires:
        perl:
          context: deadbeef
          koji_tag: module-perl-5.32
          ref: abcd
          stream: "5.32"
          version: "20240101000000"
        platform:
          context: "00000000"
          koji_tag: el9-build
          stream: el9
          version: "1"
      commit: c0ffee
      mse: true
      rpms:
        a:
          ref: a-1
        t:
          ref: t-1
      scmurl: git+https://git.example.org/modules/m?#c0ffee
    own: "1"
`
	if diff := cmp.Diff(want, got[i:j]); diff != "" {
		t.Errorf("xmd (-want +got):\n%s", diff)
	}
	if s.Arch != "" || len(s.Artifacts.RPMs) > 0 || s.NSVCA() != "m:1:5:"+string(plan.Identity.Context) {
		t.Errorf("%s with %d artifacts, want the module for no architecture, without any", s.NSVCA(), len(s.Artifacts.RPMs))
	}
	if s.Components.RPMs["a"].Repository == "" {
		t.Error("the document does not say where a component is from")
	}
	if diff := cmp.Diff([]string{"t"}, s.Filter); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	f, err := plan.FinishArch(outcomes, "x86_64", opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Stream.XMD.Keys(); !slices.Equal(got, []string{"own"}) {
		t.Errorf("xmd of the finished document has %q, want the packager's own alone", got)
	}
	if f.Stream.Components.RPMs["a"].Repository != "" {
		t.Error("the finished document says where a component is from")
	}
	if doc.XMD.Get("mbs").Text() != "the packager's" {
		t.Error("the packager's document was changed")
	}
}
