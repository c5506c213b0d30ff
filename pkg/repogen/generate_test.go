package repogen

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

var buildTime = time.Unix(1736942400, 0)

// fixtures gives the packages of testdata/rpms with the file time that they were made with.
func fixtures(t testing.TB) []Package {
	packages := readPackages(t, fixtureDir)
	for i := range packages {
		packages[i].Time = buildTime
	}
	return packages
}

const modulesYAML = "---\ndocument: modulemd\nversion: 2\n...\n"

// tree gives path and content of every file below dir.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func names(m map[string]string) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestGolden(t *testing.T) {
	dir, result := generateInto(t, Input{Packages: fixtures(t), Modules: []byte(modulesYAML)}, Options{Time: buildTime})
	for _, record := range []string{"primary", "filelists", "other"} {
		path := filepath.Join("testdata", "golden", record+".xml")
		got := metadata(t, dir, record)
		if *update {
			if err := os.WriteFile(path, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", record, diff)
		}
	}
	if got := string(metadata(t, dir, "modules")); got != modulesYAML {
		t.Errorf("modules: %q", got)
	}
	if got := names(tree(t, dir)); !cmp.Equal(got, sorted(result.Metadata)) {
		t.Errorf("files %q, result says %q", got, result.Metadata)
	}
	want := []string{"juniper-1.4~rc2-3.x86_64.rpm", "sorrel-5.2-1.module+f41+1+c2572f1d.noarch.rpm", "tansy-0.9-1.src.rpm"}
	if diff := cmp.Diff(want, result.Packages); diff != "" {
		t.Error(diff)
	}
	var types []string
	for _, r := range result.Repomd.Records {
		types = append(types, r.Type)
		if r.Timestamp != buildTime.Unix() {
			t.Errorf("%s: timestamp %d", r.Type, r.Timestamp)
		}
	}
	if !slices.Equal(types, []string{"primary", "filelists", "other", "modules"}) || result.Repomd.Revision != "1736942400" {
		t.Errorf("records %q, revision %q", types, result.Repomd.Revision)
	}
	read, err := ReadRepomd(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(result.Repomd, read); diff != "" {
		t.Errorf("repomd.xml read back (-made +read)\n%s", diff)
	}
}

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return out
}

func TestSameBytes(t *testing.T) {
	packages := fixtures(t)
	for i := range packages { // the same file name in several directories
		p := packages[i]
		p.Location = "z/" + p.Location
		packages = append(packages, p)
	}
	first, _ := generateInto(t, Input{Packages: packages}, Options{Time: buildTime})
	r := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		r.Shuffle(len(packages), func(i, j int) { packages[i], packages[j] = packages[j], packages[i] })
		again, _ := generateInto(t, Input{Packages: packages}, Options{Time: buildTime})
		if diff := cmp.Diff(tree(t, first), tree(t, again)); diff != "" {
			t.Fatal("another order of the packages gave other bytes")
		}
	}
}

func TestEmptyRepository(t *testing.T) {
	dir, result := generateInto(t, Input{}, Options{})
	if !strings.Contains(string(metadata(t, dir, "primary")), `packages="0">`) || result.Repomd.Revision != "0" {
		t.Errorf("%s, revision %q", metadata(t, dir, "primary"), result.Repomd.Revision)
	}
}

func generateAt(t *testing.T, dir string, in Input, opts Options) Result {
	t.Helper()
	result, err := Generate(context.Background(), dir, in, opts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestUnchanged(t *testing.T) {
	in := Input{Packages: fixtures(t)}
	dir, _ := generateInto(t, in, Options{Time: buildTime})
	signature := filepath.Join(dir, "repodata", "repomd.xml.asc")
	if err := os.WriteFile(signature, []byte("signature"), 0o666); err != nil {
		t.Fatal(err)
	}
	stamp := func() map[string]time.Time {
		out := map[string]time.Time{}
		entries, err := os.ReadDir(filepath.Join(dir, "repodata"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, _ := e.Info()
			out[e.Name()] = info.ModTime()
		}
		return out
	}
	before := stamp()
	if result := generateAt(t, dir, in, Options{Time: buildTime}); !result.Unchanged {
		t.Error("not seen to be unchanged")
	}
	if diff := cmp.Diff(before, stamp()); diff != "" {
		t.Errorf("files were written or removed:\n%s", diff)
	}
	// A damaged repository is not "unchanged".
	primary, _ := filepath.Glob(filepath.Join(dir, "repodata", "*-primary.xml.gz"))
	if err := os.Truncate(primary[0], 10); err != nil {
		t.Fatal(err)
	}
	if result := generateAt(t, dir, in, Options{Time: buildTime}); result.Unchanged {
		t.Error("a truncated primary.xml.gz was left")
	}
	metadata(t, dir, "primary")
}

// TestGenerations follows the files of a repository that is remade several times.
func TestGenerations(t *testing.T) {
	for _, keep := range []bool{false, true} {
		dir := t.TempDir()
		packages := fixtures(t)
		repodata := filepath.Join(dir, "repodata")
		if err := os.Mkdir(repodata, 0o777); err != nil {
			t.Fatal(err)
		}
		strangers := map[string]string{
			strings.Repeat("0", 64) + "-primary.xml.gz": "not ours",
			"notes.txt": "notes",
		}
		for name, content := range strangers {
			if err := os.WriteFile(filepath.Join(repodata, name), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		killed := filepath.Join(repodata, ".tmp-primary.xml.gz-1-0")
		if err := os.WriteFile(killed, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		var last []string
		for generation := range packages {
			for _, suffix := range []string{".asc", ".key"} {
				if err := os.WriteFile(filepath.Join(repodata, "repomd.xml"+suffix), []byte("old"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			result := generateAt(t, dir, Input{Packages: packages[:generation+1]}, Options{KeepPrevious: keep})
			if len(result.Warnings) > 0 {
				t.Error(result.Warnings)
			}
			want := slices.Clone(result.Metadata)
			for name := range strangers {
				want = append(want, "repodata/"+name)
			}
			if keep && last != nil {
				want = append(want, last...)
				want = append(want, "repodata/"+historyName)
			}
			slices.Sort(want)
			if diff := cmp.Diff(slices.Compact(want), names(tree(t, dir))); diff != "" {
				t.Errorf("keep %v, generation %d (-want +got)\n%s", keep, generation, diff)
			}
			last = result.Metadata
			// The same once more keeps what clients may hold.
			before := tree(t, dir)
			os.Remove(filepath.Join(repodata, "repomd.xml.asc"))
			generateAt(t, dir, Input{Packages: packages[:generation+1]}, Options{KeepPrevious: keep})
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("keep %v, generation %d, again:\n%s", keep, generation, diff)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	good := fixtures(t)[0]
	with := func(change func(p *Package)) Package {
		p := good
		change(&p)
		return p
	}
	tests := []struct {
		name  string
		in    []Package
		words string
	}{
		{"outside", []Package{with(func(p *Package) { p.Location = "../x.rpm" })}, "not a clean path inside the repository"},
		{"absolute", []Package{with(func(p *Package) { p.Location = "/x.rpm" })}, "not a clean path"},
		{"not clean", []Package{with(func(p *Package) { p.Location = "a//x.rpm" })}, "not a clean path"},
		{"newline", []Package{with(func(p *Package) { p.Location = "a\nb.rpm" })}, "control character"},
		{"not UTF-8", []Package{with(func(p *Package) { p.Location = "a\xff.rpm" })}, "not UTF-8"},
		{"twice", []Package{good, good}, "two packages at this location"},
		{"checksum", []Package{with(func(p *Package) { p.Checksum = "<x>" })}, "not a SHA-256"},
		{"header", []Package{with(func(p *Package) { p.Header = p.Header[:100] })}, ": header: truncated"},
		{"size", []Package{with(func(p *Package) { p.HeaderEnd = 1 })}, "contradictory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Generate(context.Background(), dir, Input{Packages: tt.in}, Options{})
			var bad *PackageError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
			if left := names(tree(t, dir)); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			if _, err := os.Stat(filepath.Join(dir, "repodata")); !os.IsNotExist(err) {
				t.Error("repodata left behind")
			}
		})
	}
	if _, err := Generate(context.Background(), t.TempDir(), Input{}, Options{Revision: "a\x01"}); err == nil {
		t.Error("a revision with a control character was taken")
	}
	if _, err := Generate(context.Background(), filepath.Join(t.TempDir(), "missing"), Input{}, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}

// TestTexts changes bytes of a header in place and looks at what comes out.
func TestTexts(t *testing.T) {
	change := func(old, new string) Package {
		p := fixtures(t)[0]
		if len(old) != len(new) || !strings.Contains(string(p.Header), old) {
			t.Fatalf("cannot replace %q by %q", old, new)
		}
		p.Header = []byte(strings.ReplaceAll(string(p.Header), old, new))
		return p
	}
	t.Run("control characters in prose", func(t *testing.T) {
		dir, result := generateInto(t, Input{Packages: []Package{change("Library & tools", "Lib\x01ary & \x1bools")}}, Options{})
		if !strings.Contains(string(metadata(t, dir, "primary")), "<summary>Lib\uFFFDary &amp; \uFFFDools with") {
			t.Errorf("%s", metadata(t, dir, "primary"))
		}
		if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "juniper-1.4~rc2-3.x86_64.rpm: summary: control characters") {
			t.Errorf("warnings %q", result.Warnings)
		}
	})
	t.Run("noncharacter in prose", func(t *testing.T) {
		dir, _ := generateInto(t, Input{Packages: []Package{change("Library", "L\uFFFFrar")}}, Options{})
		if !strings.Contains(string(metadata(t, dir, "primary")), "<summary>L\uFFFDrar") {
			t.Errorf("%s", metadata(t, dir, "primary"))
		}
	})
	t.Run("Latin-1 prose", func(t *testing.T) {
		dir, result := generateInto(t, Input{Packages: []Package{change("Library & tools", "Libr\xe4ry & \x80ools")}}, Options{})
		if !strings.Contains(string(metadata(t, dir, "primary")), "<summary>Libräry &amp; ools with") {
			t.Errorf("%s", metadata(t, dir, "primary"))
		}
		if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "taken for Latin-1") {
			t.Errorf("warnings %q", result.Warnings)
		}
	})
	for _, tt := range []struct{ name, old, new, words string }{
		{"dependency", "juniper-virtual", "juniper\x01virtual", "provides: \"juniper\\x01virtual\" has a control character"},
		{"file", "deck", "de\x02k", "file name: "},
		{"version of a dependency", "1.4-2", "1.4\x03\x03", "provides: "},
		{"source package", "rc2-3.src.rpm", "rc2-3\x01src.rpm", "has a control character"},
		{"path in the name", "juniper\x001.4", "jun/per\x001.4", "has a '/'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Generate(context.Background(), t.TempDir(), Input{Packages: []Package{change(tt.old, tt.new)}}, Options{})
			var bad *PackageError
			if !errors.As(err, &bad) || bad.Location != "juniper-1.4~rc2-3.x86_64.rpm" || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
		})
	}
}

// TestWarningsAreBounded: what hostile packages have to say does not fill the memory.
func TestWarningsAreBounded(t *testing.T) {
	p := fixtures(t)[0]
	p.Header = []byte(strings.ReplaceAll(string(p.Header), "Library", "Lib\x01ary"))
	var in Input
	for i := range 3 * maxWarnings {
		p.Location = fmt.Sprintf("%04d.rpm", i)
		in.Packages = append(in.Packages, p)
	}
	_, result := generateInto(t, in, Options{})
	if n := len(result.Warnings); n != maxWarnings+1 {
		t.Fatalf("%d warnings", n)
	}
	if got, want := result.Warnings[maxWarnings], fmt.Sprintf("%d more warnings of this kind", 2*maxWarnings); got != want {
		t.Errorf("the last is %q, want %q", got, want)
	}
}

func TestReadPackageBad(t *testing.T) {
	_, err := ReadPackage(context.Background(), filepath.Join(fixtureDir, "hostile", "truncated-header.rpm"), "x.rpm")
	var bad *PackageError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ReadPackage(ctx, filepath.Join(fixtureDir, "tansy-0.9-1.src.rpm"), "x.rpm"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSplitEVR(t *testing.T) {
	tests := []struct {
		in, epoch, ver, rel string
		ok                  bool
	}{
		{"1", "0", "1", "", true},
		{"1:2-3", "1", "2", "3", true},
		{":2-3-4", "0", "2", "3-4", true},
		{"x:2", "", "", "", false},
	}
	for _, tt := range tests {
		if e, v, r, ok := splitEVR(tt.in); e != tt.epoch || v != tt.ver || r != tt.rel || ok != tt.ok {
			t.Errorf("%q: %q %q %q %v", tt.in, e, v, r, ok)
		}
	}
}

func TestCompareLibc(t *testing.T) {
	ascending := []string{"libc.so.6", "libc.so.6()(64bit)", "libc.so.6(GLIBC_PRIVATE)(64bit)",
		"libc.so.6(GLIBC_2.3.4)(64bit)", "libc.so.6(GLIBC_2.4)(64bit)", "libc.so.6(GLIBC_2.34)(64bit)"}
	for i, a := range ascending {
		for j, b := range ascending {
			if got := compareLibc(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s against %s: %d", a, b, got)
			}
		}
	}
}

func ExampleGenerate() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "repository")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	pkg, err := ReadPackage(ctx, "../../testdata/rpms/tansy-0.9-1.src.rpm", "Packages/tansy-0.9-1.src.rpm")
	if err != nil {
		panic(err)
	}
	result, err := Generate(ctx, dir, Input{Packages: []Package{pkg}}, Options{Time: time.Unix(1736942400, 0)})
	if err != nil {
		panic(err)
	}
	for _, r := range result.Repomd.Records {
		fmt.Println(r.Type)
	}
	fmt.Println(result.Repomd.Revision, result.Packages)
	// Output:
	// primary
	// filelists
	// other
	// 1736942400 [Packages/tansy-0.9-1.src.rpm]
}

// BenchmarkGenerate describes 3,000 packages.
func BenchmarkGenerate(b *testing.B) {
	fixed := fixtures(b)
	var in Input
	for i := range 1000 {
		for _, p := range fixed {
			p.Location = fmt.Sprintf("%04d/%s", i, p.Location)
			in.Packages = append(in.Packages, p)
		}
	}
	for b.Loop() {
		if _, err := Generate(context.Background(), b.TempDir(), in, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
