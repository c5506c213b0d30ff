package hostbuild

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/rpmver"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

func TestRPMErrors(t *testing.T) {
	for _, tt := range []struct{ name, output, want string }{
		{"one among others", "Preparing\nerror: unpacking failed\nwarning: x", "unpacking failed"},
		{"several", "error: a\n  error: b", "a; b"},
		{"with more below", "error: Failed dependencies:\n\tx is needed by y\n\tz is needed by y\nbye", "Failed dependencies: x is needed by y z is needed by y"},
		{"none", "killed", "killed"},
	} {
		if got := rpmErrors(tt.output); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func pkg(name, version string, requires ...string) *built {
	b := &built{Package: modulebuild.Package{Component: "c-" + name, Path: "/" + name + ".rpm",
		NEVRA: modulemd.NEVRA{Name: name, Version: version, Release: "1", Arch: "noarch"}},
		provides: []rpmfile.Dependency{{Name: name, Flags: rpmver.Equal, EVR: version + "-1"}}}
	for _, r := range requires {
		b.requires = append(b.requires, rpmfile.Dependency{Name: r})
	}
	return b
}

func TestClosure(t *testing.T) {
	p := &pool{byName: make(map[string][]*built)}
	pc := pkg("a-devel", "2", "a", "(d if e)", "rpmlib(Whatever)")
	pc.provides = append(pc.provides, rpmfile.Dependency{Name: "pkgconfig(a)", Flags: rpmver.Equal, EVR: "2"})
	file := pkg("f", "1")
	file.files = []rpmfile.File{{Path: "/usr/bin/f"}}
	for _, b := range []*built{pkg("a", "2", "b"), pc, pkg("b", "2", "a"), pkg("d", "1"), file, pkg("always", "1"), pkg("unused", "1")} {
		p.add(b)
	}
	tests := []struct {
		name    string
		wanted  []rpmfile.Dependency
		always  []string
		want    []string
		wantErr string
	}{
		{"nothing", nil, nil, nil, ""},
		{"circle", []rpmfile.Dependency{{Name: "a"}}, nil, []string{"a", "b"}, ""},
		{"provides, requires and rich", []rpmfile.Dependency{{Name: "pkgconfig(a)", Flags: rpmver.Greater, EVR: "1"}}, nil, []string{"a-devel", "a", "b", "d"}, ""},
		{"path", []rpmfile.Dependency{{Name: "/usr/bin/f"}, {Name: "/usr/bin/host"}}, nil, []string{"f"}, ""},
		{"always", []rpmfile.Dependency{{Name: "gcc"}}, []string{"always", "nosuch"}, []string{"always"}, ""},
		{"too old", []rpmfile.Dependency{{Name: "a", Flags: rpmver.Greater | rpmver.Equal, EVR: "3"}}, nil, nil,
			"BuildRequires: needs a >= 3, but component c-a has built a-0:2-1.noarch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.closure(tt.wanted, tt.always)
			if tt.wantErr != "" {
				if err == nil || err.Error() != tt.wantErr {
					t.Errorf("error %v, want %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, b := range got {
				names = append(names, b.NEVRA.Name)
			}
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRichNames(t *testing.T) {
	ge := rpmver.Greater | rpmver.Equal
	tests := map[string][]rpmfile.Dependency{
		"(a if b)":                               {{Name: "a"}, {Name: "b"}},
		"(a >= 1 and (pkgconfig(b) or c))":       {{Name: "a", Flags: ge, EVR: "1"}, {Name: "pkgconfig(b)"}, {Name: "c"}},
		"((a with b) unless libx.so.1()(64bit))": {{Name: "a"}, {Name: "b"}, {Name: "libx.so.1()(64bit)"}},
		"(":                                      nil,
		"(>= 1)":                                 {{Name: ">="}, {Name: "1"}},
	}
	for text, want := range tests {
		if diff := cmp.Diff(want, richNames(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestLog(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	over := 0
	l, err := newLog(dir, "build.log", 100_000, func(s string) { lines = append(lines, s) }, func() { over++ })
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 50_000)
	for _, part := range []string{"one\ntw", "o\n\x1b[31mred\xff\tx\r\n", long, long[:100] + "\nlast"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}
	for range 3 {
		if _, err := l.Write([]byte(long)); err != nil {
			t.Error(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if over != 1 {
		t.Errorf("over was called %d times, want once", over)
	}
	cut := long[:maxLine] + " [cut]"
	if diff := cmp.Diff([]string{"one", "two", "red\ufffd x ", cut}, lines[:4]); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(l.tailText(), "one\ntwo\n") {
		t.Errorf("tail: %q", l.tailText())
	}
	if data, err := os.ReadFile(l.Path); err != nil || !strings.HasPrefix(string(data), "one\ntwo\n\x1b[31mred\xff\tx\r\n"+cut+"\n") {
		t.Errorf("file: %.60q, %v", data, err)
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("name\na\t8\t1-1\n")
	f.Add("(none)\n\t\t\nx\t-1\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		names, deps, err := parseQuery(text)
		if err != nil {
			return
		}
		if len(names)+len(deps) > strings.Count(text, "\n")+1 {
			t.Errorf("%d names and %d dependencies in %q", len(names), len(deps), text)
		}
	})
}

func FuzzRichNames(f *testing.F) {
	f.Add("(a >= 1 if (b or pkgconfig(c)))")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range richNames(text) {
			if d.Name == "" || strings.ContainsAny(d.Name, " \t\n") {
				t.Errorf("%q in %q", d.Name, text)
			}
			_ = dependencyText(d)
		}
	})
}
