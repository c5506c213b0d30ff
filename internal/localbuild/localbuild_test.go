package localbuild

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// copier is a Builder that gives a package of testdata/rpms for what was built.
type copier struct {
	t    *testing.T
	plan *modulebuild.Plan
}

func (c copier) Name() string                                     { return "copier" }
func (c copier) Prepare(context.Context, []modulebuild.Job) error { return nil }

func (c copier) Build(ctx context.Context, job modulebuild.Job) (modulebuild.Result, error) {
	data, err := os.ReadFile("../../testdata/rpms/sorrel-5.2-1.module+f41+1+c2572f1d.noarch.rpm")
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(job.OutDir, "sorrel.noarch.rpm"), data, 0o666); err != nil {
		return modulebuild.Result{}, err
	}
	packages, err := modulebuild.ReadPackages(ctx, job.Component, job.OutDir)
	return modulebuild.Result{Packages: packages}, err
}

// The package was made as part of this module, so that its marks are right.
const sorrelDoc = `document: modulemd
version: 2
data:
  name: sorrel
  stream: "5"
  version: 20240102030405
  context: c0ffee42
  summary: s
  description: d
  license: {module: [MIT]}
  components: {rpms: {sorrel: {rationale: r}}}
`

func config(t *testing.T, out string) Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "rpms", "sorrel"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"sorrel.yaml": sorrelDoc, "rpms/sorrel/sorrel.spec": "Name: sorrel\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return Config{
		Source: dir, Output: out, Arch: "x86_64", BuilderName: "copier",
		NewBuilder: func(plan *modulebuild.Plan, _, _ string) (modulebuild.Builder, error) { return copier{t, plan}, nil },
		Log:        slog.New(slog.DiscardHandler),
		Now:        func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) },
	}
}

func TestOutputDirectory(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(dir string) error
		want    string // part of the error; empty for none
	}{
		{"new", func(dir string) error { return nil }, ""},
		{"empty", func(dir string) error { return os.Mkdir(dir, 0o777) }, ""},
		{"somebody's", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o777), os.WriteFile(filepath.Join(dir, "x"), nil, 0o666))
		}, "no earlier build is in it"},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o666) }, "a file, not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			if err := tt.prepare(dir); err != nil {
				t.Fatal(err)
			}
			o, err := openOutput(dir, 0)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := openOutput(dir, 0); err == nil || !strings.Contains(err.Error(), "another run") {
					t.Errorf("taken twice: %v", err)
				}
				o.close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestJournalThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"not JSON", "garbage", "journal.json"},
		{"of another format", `{"format": 99}`, "format 99"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, ".build"), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, ".build", "journal.json"), []byte(tt.text), 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := readJournal(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestResults finishes a build and then spoils it in every way.
func TestResults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
		found bool
		want  string // part of the damage
	}{
		{"whole", func(string) error { return nil }, true, ""},
		{"a package is gone", func(dir string) error { return os.Remove(filepath.Join(dir, "sorrel.noarch.rpm")) }, false, "is gone"},
		{"a package is cut", func(dir string) error { return os.Truncate(filepath.Join(dir, "sorrel.noarch.rpm"), 5000) }, false, "is damaged"},
		{"no record", func(dir string) error { return os.Remove(filepath.Join(dir, recordFile)) }, false, ""},
		{"the record is cut", func(dir string) error { return os.Truncate(filepath.Join(dir, recordFile), 10) }, false, "cannot be read"},
		{"a package elsewhere", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, recordFile), []byte(`{"packages": [{"path": "../../etc/passwd"}]}`), 0o666)
		}, false, "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			r := &results{dir: filepath.Join(dir, "results"), tmp: filepath.Join(dir, "tmp")}
			out, err := r.Begin("sorrel", "key")
			if err != nil {
				t.Fatal(err)
			}
			built, err := copier{t: t}.Build(t.Context(), modulebuild.Job{Component: "sorrel", OutDir: out})
			if err != nil {
				t.Fatal(err)
			}
			rec, err := r.Finish(modulebuild.Record{Component: "sorrel", Key: "key", Packages: built.Packages, Ended: time.Unix(5, 0)})
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(filepath.Dir(rec.Packages[0].Path)); err != nil {
				t.Fatal(err)
			}
			found, damage, err := r.Find(t.Context(), "sorrel", "key")
			if err != nil || (found != nil) != tt.found || !strings.Contains(damage, tt.want) {
				t.Errorf("Find: %v, %q, %v", found, damage, err)
			}
		})
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRetire publishes three different builds: the packages of the last two stay.
func TestRetire(t *testing.T) {
	o, err := openOutput(filepath.Join(t.TempDir(), "out"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	j := &journal{}
	var want []string
	store := &results{dir: o.work("results"), tmp: o.work("tmp")}
	for _, key := range []string{"aaaaaaaa", "bbbbbbbb", "cccccccc"} {
		out, err := store.Begin("sorrel", key)
		if err != nil {
			t.Fatal(err)
		}
		built, err := copier{t: t}.Build(t.Context(), modulebuild.Job{Component: "sorrel", OutDir: out})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := store.Finish(modulebuild.Record{Component: "sorrel", Key: key, Packages: built.Packages})
		if err != nil {
			t.Fatal(err)
		}
		plan := &modulebuild.Plan{Components: []modulebuild.Component{{Name: "sorrel", Key: key}}, Identity: modulebuild.Identity{Time: time.Unix(1e9, 0)}}
		finished := &modulebuild.Finished{
			Stream: &modulemd.Stream{
				Name: "sorrel", Stream: "5", Summary: "s", Description: "d", License: modulemd.License{Module: []string{"MIT"}},
			},
			Defaults: &modulemd.Defaults{Module: "sorrel"},
			Packages: rec.Packages,
		}
		finished.Packages[0].SHA256 = key // stands for other content
		for range 2 {                     // publishing the same again changes nothing
			if warnings, err := o.publish(t.Context(), plan, finished, j); err != nil || len(warnings) > 0 {
				t.Fatal(warnings, err)
			}
		}
		want = append(want, filepath.Join(o.repo(), locations(finished.Packages)[finished.Packages[0].Path]))
	}
	want = want[1:]
	slices.Sort(want)
	got := files(t, filepath.Join(o.repo(), packagesDir))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if _, err := readJournal(o.dir); err != nil {
		t.Errorf("the journal: %v", err)
	}
}

// TestOutputLinks has what looks like our own directories lead elsewhere.
func TestOutputLinks(t *testing.T) {
	for _, link := range []string{".build/tmp", ".build/results", "repo", "repo/Packages", "repo/repodata", "logs", ".build"} {
		t.Run(link, func(t *testing.T) {
			victim := t.TempDir()
			precious := filepath.Join(victim, "precious")
			if err := os.WriteFile(precious, []byte("x"), 0o666); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "out")
			o, err := openOutput(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			o.close()
			path := filepath.Join(dir, link)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(victim, path); err != nil {
				t.Fatal(err)
			}
			if _, err = openOutput(dir, 0); err == nil || !IsInputError(err) {
				t.Errorf("error %v, want one of bad input", err)
			}
			if _, err := os.Stat(precious); err != nil {
				t.Errorf("the link was followed: %v", err)
			}
		})
	}
}

// Links in places of which there are many are replaced.
func TestLinksInside(t *testing.T) {
	victim := t.TempDir()
	precious := filepath.Join(victim, "sorrel.noarch.rpm")
	if err := os.WriteFile(precious, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	o, err := openOutput(filepath.Join(t.TempDir(), "out"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	for _, link := range []string{"logs/sorrel", ".build/results/sorrel", "repo/Packages/other"} {
		if err := os.MkdirAll(filepath.Dir(o.path(link)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(victim, o.path(link)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.logDir("sorrel"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.logDir("../sorrel"); err == nil {
		t.Error("a log directory outside the output was made")
	}
	store := &results{dir: o.work("results"), tmp: o.work("tmp")}
	out, err := store.Begin("sorrel", "key")
	if err != nil {
		t.Fatal(err)
	}
	built, err := copier{t: t}.Build(t.Context(), modulebuild.Job{Component: "sorrel", OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Finish(modulebuild.Record{Component: "sorrel", Key: "key", Packages: built.Packages}); err != nil {
		t.Fatal(err)
	}
	if err := o.retire(&journal{}); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(victim); err != nil || len(entries) != 1 {
		t.Errorf("what the links lead to has %v, %v", entries, err)
	}
	if data, err := os.ReadFile(precious); err != nil || string(data) != "x" {
		t.Errorf("what a link leads to was changed: %q, %v", data, err)
	}
}

// A .build of another program is not ours, whatever lies beside it.
func TestForeignBuildDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".build", "tmp", "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Package.swift"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := openOutput(dir, 0); !IsInputError(err) {
		t.Errorf("error %v, want one of bad input", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".build", "tmp", "x")); err != nil {
		t.Error(err)
	}
}

func TestScratch(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left, err := os.MkdirTemp("", scratchPrefix)
	if err != nil {
		t.Fatal(err)
	}
	first, err := newScratch()
	if err != nil {
		t.Fatal(err)
	}
	second, err := newScratch()
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed run has left stays: %v", err)
	}
	if _, err := os.Stat(first.dir); err != nil {
		t.Errorf("what is in use was removed: %v", err)
	}
	first.close()
	if _, err := os.Stat(first.dir); !os.IsNotExist(err) {
		t.Errorf("a closed one stays: %v", err)
	}
}

func TestPlanWritesNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	plan, err := Plan(t.Context(), config(t, out))
	if err != nil {
		t.Fatal(err)
	}
	if c := plan.Components[0]; c.Taken != nil || c.Reason != "it was not built before" {
		t.Errorf("component: %+v", c)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("the output was made: %v", err)
	}
}

func TestBadInputLeavesNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	cfg := config(t, out)
	cfg.SRPMs = map[string]string{"nobody": "x"}
	if _, err := Build(t.Context(), cfg); !IsInputError(err) {
		t.Errorf("error %v, want one of bad input", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("the output was left: %v", err)
	}
}

// TestWrongMarks: the package that copier gives is of another dist tag.
func TestWrongMarks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	res, err := Build(t.Context(), config(t, out))
	var failed *modulebuild.BuildError
	if !errors.As(err, &failed) || IsInputError(err) {
		t.Fatalf("error %v, want a BuildError", err)
	}
	if res == nil || res.Outcomes[0].State != modulebuild.Failed || res.Finished != nil {
		t.Errorf("result %+v", res)
	}
	if _, err := os.Stat(filepath.Join(out, "repo")); !os.IsNotExist(err) {
		t.Errorf("something was published: %v", err)
	}
	if _, err := os.Stat(filepath.Join(out, "report.html")); err != nil {
		t.Errorf("there is no report: %v", err)
	}
}

func TestShellWord(t *testing.T) {
	got := map[string]string{}
	for _, s := range []string{"plain-1.0_x:y", "with blank", "it's", ""} {
		got[s] = shellWord(s)
	}
	want := map[string]string{"plain-1.0_x:y": "plain-1.0_x:y", "with blank": "'with blank'", "it's": `'it'\''s'`, "": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shellWord (-want +got):\n%s", diff)
	}
}
