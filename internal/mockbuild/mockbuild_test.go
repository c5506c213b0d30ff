package mockbuild

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// standIn puts testdata/mock first in the path and returns the file with what it
// was asked to do, and a root's configuration.
func standIn(t *testing.T) (record, root string) {
	t.Helper()
	for _, program := range []string{"python3", "rpmbuild"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s, which the stand-in for mock needs, is not installed", program)
		}
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	record = filepath.Join(t.TempDir(), "record")
	t.Setenv("MOCK_RECORD", record)
	root = filepath.Join(t.TempDir(), "test.cfg")
	if err := os.WriteFile(root, []byte("config_opts['root'] = 'test'\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return record, root
}

type call struct {
	Argv   []string
	Config struct {
		Root        string            `json:"root"`
		Macros      map[string]string `json:"macros"`
		Environment map[string]string `json:"environment"`
		Modules     [][]string        `json:"module_setup_commands"`
		Install     string            `json:"chroot_setup_cmd"`
		DNF         string            `json:"dnf.conf"`
	}
}

func calls(t *testing.T, record string) []call {
	t.Helper()
	data, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var all []call
	for line := range bytes.Lines(data) {
		var c call
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

const spec = `Name: tiny
Version: 1
Release: 1%{?dist}
Summary: A test
License: MIT-0
BuildArch: noarch
%description
A test.
%install
mkdir -p %{buildroot}/usr/share
cat > %{buildroot}/usr/share/tiny <<'END'
%{odd one} %{lines}
END
%files
/usr/share/tiny
`

func testJob(t *testing.T, component string) modulebuild.Job {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "tiny.spec")
	if err := os.WriteFile(path, []byte(spec), 0o666); err != nil {
		t.Fatal(err)
	}
	return modulebuild.Job{
		Component: component, Names: []string{"tiny"}, Spec: path, Arch: "x86_64",
		Macros: []modulebuild.Macro{
			{Name: "dist", Body: ".module+f40+1+01234567"},
			{Name: "modularitylabel", Body: "tiny:1:7:c0ffee"},
			{Name: "odd(a:)", Body: `it's "odd" %1 é\\`},
			{Name: "lines", Body: "%{expand:one\ntwo}"},
		},
		Time:   time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		OutDir: t.TempDir(), LogDir: t.TempDir(),
	}
}

func newBuilder(t *testing.T, root string) *Builder {
	t.Helper()
	b, err := New(Options{
		Root: root, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Enable: []modulebuild.ModuleStream{{Name: "perl", Stream: "5.30"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBuild(t *testing.T) {
	record, root := standIn(t)
	if !Available(t.Context()) {
		t.Error("a mock that answers is not available")
	}
	b := newBuilder(t, root)
	first := testJob(t, "first")
	var status []string
	first.Status = func(line string) { status = append(status, line) }
	result, err := b.Build(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pkg := range result.Packages {
		names = append(names, pkg.NEVRA.String()+" "+pkg.Label)
		info, err := os.Stat(pkg.Path)
		if err != nil || !info.ModTime().Equal(first.Time) {
			t.Errorf("%s has the time %v, %v", pkg.Path, info.ModTime(), err)
		}
	}
	want := []string{
		"tiny-0:1-1.module+f40+1+01234567.noarch tiny:1:7:c0ffee",
		"tiny-0:1-1.module+f40+1+01234567.src tiny:1:7:c0ffee",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if !strings.Contains(strings.Join(status, "\n"), "Start: rpmbuild") {
		t.Errorf("status %q", status)
	}

	second := testJob(t, "second")
	second.Available = result.Packages
	second.InstallAlways = []string{"tiny", "other"}
	if _, err := b.Build(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	all := calls(t, record)
	last := all[len(all)-1].Config
	for name, want := range map[string]string{
		"%dist": ".module+f40+1+01234567", "%odd(a:)": `it's "odd" %1 é\\`, "%lines": "%{expand:one\\\ntwo}",
		"%use_source_date_epoch_as_buildtime": "1", "%_buildhost": "localhost",
	} {
		if got := last.Macros[name]; got != want {
			t.Errorf("macro %s is %q, want %q", name, got, want)
		}
	}
	if got := last.Environment["SOURCE_DATE_EPOCH"]; got != "1704164645" {
		t.Errorf("SOURCE_DATE_EPOCH is %q", got)
	}
	if diff := cmp.Diff([][]string{{"enable", "perl:5.30"}}, last.Modules); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	if want := "install @buildsys-build tiny other"; last.Install != want {
		t.Errorf("what is always installed: %q, want %q", last.Install, want)
	}
	for _, want := range []string{"[main]", "module_hotfixes=1", "baseurl=file://" + b.opts.Dir + "/mock-second/results\n"} {
		if !strings.Contains(last.DNF, want) {
			t.Errorf("dnf.conf lacks %q:\n%s", want, last.DNF)
		}
	}
	if strings.Contains(all[0].Config.DNF, "module-results") {
		t.Error("the first component has a repository of results, and nothing was built before it")
	}
	if left, err := os.ReadDir(b.opts.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestResultsRepository looks at the repository of results while mock would.
func TestResultsRepository(t *testing.T) {
	_, root := standIn(t)
	b := newBuilder(t, root)
	job := testJob(t, "first")
	result, err := b.Build(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{b: b, job: job, dir: t.TempDir()}
	r.job.Available = result.Packages
	dir := filepath.Join(r.dir, "results")
	if err := r.writeResults(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	md, err := repogen.ReadRepomd(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := md.Record("primary"); !ok {
		t.Error("no primary record")
	}
	if _, ok := md.Record("modules"); ok {
		t.Error("there is a modules record: dnf would hide the packages")
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "*.rpm"))
	if err != nil || len(found) != 1 || strings.HasSuffix(found[0], ".src.rpm") {
		t.Errorf("packages %v, %v; want the one that is no source package", found, err)
	}
}

func TestFailure(t *testing.T) {
	record, root := standIn(t)
	b := newBuilder(t, root)
	job := testJob(t, "bad")
	broken := strings.Replace(spec, "%install\n", "%install\necho the reason; exit 1\n", 1)
	if err := os.WriteFile(job.Spec, []byte(broken), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := b.Build(t.Context(), job)
	var failed *modulebuild.BuildError
	if !errors.As(err, &failed) || failed.Component != "bad" || !strings.Contains(failed.Tail, "the reason") {
		t.Fatalf("error %v, want a BuildError with the end of the log", err)
	}
	if failed.Log != filepath.Join(job.LogDir, "build.log") {
		t.Errorf("log %s", failed.Log)
	}
	all := calls(t, record)
	var verbs []string
	for _, c := range all[len(all)-2:] {
		verbs = append(verbs, c.Argv[len(c.Argv)-1])
	}
	if diff := cmp.Diff([]string{"--orphanskill", "--clean"}, verbs); diff != "" {
		t.Errorf("cleaning up (-want +got):\n%s", diff)
	}
}

func TestTemplates(t *testing.T) {
	_, root := standIn(t)
	for _, tt := range []struct {
		name  string
		macro modulebuild.Macro
		ok    bool
	}{
		{"a plain macro", modulebuild.Macro{Name: "a", Body: "%{?b:{x}} { { }"}, true},
		{"an expression", modulebuild.Macro{Name: "a", Body: "{{ config_opts }}"}, false},
		{"a block by chance", modulebuild.Macro{Name: "a", Body: "%{%{x}_y}"}, false},
		{"a comment by chance", modulebuild.Macro{Name: "a()", Body: "%{#}"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := testJob(t, "c")
			job.Macros = append(job.Macros, tt.macro)
			err := newBuilder(t, root).Prepare(t.Context(), []modulebuild.Job{job})
			if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "macro %a") {
				t.Errorf("Prepare: %v", err)
			}
		})
	}
}

func TestNameFollowsTheConfiguration(t *testing.T) {
	_, root := standIn(t)
	before := Name(root)
	if err := os.WriteFile(root, []byte("config_opts['root'] = 'other'\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if after := Name(root); after == before || !strings.HasPrefix(after, "mock:test:") {
		t.Errorf("named %s before and %s after a change of the configuration", before, after)
	}
}

func TestRootConfig(t *testing.T) {
	_, root := standIn(t)
	for _, tt := range []struct {
		name, root string
		ok         bool
	}{
		{"a path", root, true},
		{"a path that is not there", root + ".cfg", false},
		{"a name that mock does not know", "no-such-root-for-sure", false},
		{"a path without .cfg", "/etc/passwd", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(Options{Root: tt.root, Log: slog.New(slog.DiscardHandler)})
			if (err == nil) != tt.ok || err != nil && !errors.As(err, new(*modulebuild.InputError)) {
				t.Errorf("New: %v", err)
			}
		})
	}
}
