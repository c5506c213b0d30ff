package repogen

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return string(out)
}

// copyPackages puts the packages of from into a new directory.
func copyPackages(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	paths, _ := filepath.Glob(filepath.Join(from, "*.rpm"))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestAgainstCreaterepo compares with what the installed createrepo_c makes.
func TestAgainstCreaterepo(t *testing.T) {
	needs(t, "createrepo_c")
	for _, from := range []string{fixtureDir, benchPackages(t)} {
		if from == "" {
			continue
		}
		theirs := copyPackages(t, from)
		packages := readPackages(t, theirs)
		run(t, "createrepo_c", "-q", "--no-database", "--general-compress-type=gz", "--workers=1", "--revision=1", "--set-timestamp-to-revision", theirs)
		ours, _ := generateInto(t, Input{Packages: packages}, Options{Revision: "1"})
		for _, record := range []string{"primary", "filelists", "other"} {
			want, got := metadata(t, theirs, record), metadata(t, ours, record)
			// createrepo_c 0.17 does not say pre="1" for scripts around the transaction, 2.0 does.
			for _, name := range []string{"beforetransaction", "aftertransaction"} {
				for _, text := range []*[]byte{&want, &got} {
					*text = bytes.ReplaceAll(*text, []byte(`"`+name+`" pre="1"`), []byte(`"`+name+`"`))
				}
			}
			if diff := cmp.Diff(canonical(t, want), canonical(t, got)); diff != "" {
				t.Errorf("%s of %s (-createrepo_c +ours)\n%.5000s", record, from, diff)
			} else if !bytes.Equal(want, got) {
				t.Errorf("%s of %s: the bytes differ, though the meaning does not", record, from)
			}
		}
		// repomd.xml differs in what depends on the compressor alone.
		if diff := cmp.Diff(repomdShape(t, theirs), repomdShape(t, ours)); diff != "" {
			t.Errorf("repomd.xml (-createrepo_c +ours)\n%s", diff)
		}
	}
}

func repomdShape(t *testing.T, dir string) []string {
	b, err := os.ReadFile(filepath.Join(dir, "repodata", "repomd.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	skip := []string{"<checksum", "<location", "<size", "<timestamp", "<open-checksum", "<open-size"}
	for _, line := range strings.Split(string(b), "\n") {
		for _, s := range skip {
			if strings.Contains(line, s) {
				line = s
			}
		}
		out = append(out, line)
	}
	return out
}

// benchPackages builds some tens of varied packages, where the generator of them is
// at hand; "" where it is not.
func benchPackages(t *testing.T) string {
	script, err := filepath.Abs("../../../shared/bench/make-rpms")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil || testing.Short() {
		t.Log("without the varied packages: their generator is not there")
		return ""
	}
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Log("without the varied packages: rpmbuild is not installed")
		return ""
	}
	dir := t.TempDir()
	run(t, "python3", script, dir, "1", "12")
	return dir
}

// TestReadByCreaterepo lets createrepo_c take our metadata as its cache: it
// re-reads no package, and dumps the same.
func TestReadByCreaterepo(t *testing.T) {
	needs(t, "createrepo_c")
	dir := copyPackages(t, fixtureDir)
	in := Input{Packages: readPackages(t, dir), Modules: []byte(validModule)}
	generateAt(t, dir, in, Options{Time: buildTime})
	ours := map[string][]byte{}
	for _, record := range []string{"primary", "filelists", "other"} {
		ours[record] = metadata(t, dir, record)
	}
	list := filepath.Join(t.TempDir(), "read")
	run(t, "createrepo_c", "--update", "--read-pkgs-list", list, "--no-database", "--general-compress-type=gz", "--revision=1", dir)
	if b, err := os.ReadFile(list); err != nil || strings.TrimSpace(string(b)) != "" {
		t.Errorf("createrepo_c read packages again: %q (%v)", b, err)
	}
	for record, want := range ours {
		if got := metadata(t, dir, record); !bytes.Equal(want, got) {
			t.Errorf("%s after a round through createrepo_c differs:\n%s", record, cmp.Diff(canonical(t, want), canonical(t, got)))
		}
	}
}

const validModule = `---
document: modulemd
version: 2
data:
  name: sorrel
  stream: latest
  version: 20250115120000
  context: c2572f1d
  arch: noarch
  summary: Module for a test
  description: >-
    Module for a test
  license:
    module: [MIT]
  artifacts:
    rpms:
    - sorrel-0:5.2-1.module+f41+1+c2572f1d.noarch
...
`

func TestReadByLibsolv(t *testing.T) {
	needs(t, "rpmmd2solv")
	needs(t, "dumpsolv")
	dir, _ := generateInto(t, Input{Packages: fixtures(t)}, Options{Time: buildTime})
	tmp := t.TempDir()
	primary, solv := filepath.Join(tmp, "primary.xml"), filepath.Join(tmp, "primary.solv")
	if err := os.WriteFile(primary, metadata(t, dir, "primary"), 0o666); err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("sh", "-c", "rpmmd2solv <\"$1\" >\"$2\"", "sh", primary, solv)
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("rpmmd2solv: %v\n%s", err, out)
	}
	dump := run(t, "dumpsolv", solv)
	for _, w := range []string{"juniper", "2:1.4~rc2-3", "Library & tools with <every> kind of \"dependency\"",
		"rich >= 1.0 IF condition ELSE other", "sorrel", "atleast >= 1:2.0-3", "tansy", "/usr/lib/sendmail"} {
		if !strings.Contains(dump, w) {
			t.Errorf("libsolv does not show %q:\n%s", w, dump)
		}
	}
}

func TestReadByDNF(t *testing.T) {
	needs(t, "dnf")
	dir := copyPackages(t, fixtureDir)
	generateAt(t, dir, Input{Packages: readPackages(t, dir), Modules: []byte(validModule)}, Options{Time: buildTime})
	root := t.TempDir()
	dnf := func(args ...string) string {
		common := []string{"--installroot", root, "--setopt=cachedir=" + filepath.Join(root, "cache"), "--setopt=logdir=" + root,
			"--setopt=persistdir=" + filepath.Join(root, "persist"), "--setopt=reposdir=/nonexistent",
			"--setopt=module_platform_id=platform:f41", "--releasever=41", "--forcearch=x86_64", "--disableplugin=*",
			"--repofrompath", "r,file://" + dir, "--repo", "r", "-q"}
		return run(t, "dnf", append(common, args...)...)
	}
	got := dnf("repoquery", "--disable-modular-filtering", "--qf", "%{name}-%{epoch}:%{version}-%{release}.%{arch} %{summary}")
	want := []string{"juniper-2:1.4~rc2-3.x86_64 Library & tools with <every> kind of \"dependency\"",
		"sorrel-0:5.2-1.module+f41+1+c2572f1d.noarch Data of a module", "tansy-0:0.9-1.src Package with sources"}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(got), "\n")); diff != "" {
		t.Errorf("(-want +dnf)\n%s", diff)
	}
	if got := dnf("module", "list"); !strings.Contains(got, "sorrel") {
		t.Errorf("dnf does not show the module: %q", got)
	}
	if got := dnf("repoquery", "--whatprovides", "/usr/share/juniper/dir/ěščř"); !strings.Contains(got, "juniper-2:1.4~rc2-3.x86_64") {
		t.Errorf("by file: %q", got)
	}
	if got := dnf("repoquery", "-l", "juniper"); !strings.Contains(got, "/usr/share/juniper/with space & <angle>") {
		t.Errorf("files: %q", got)
	}
}

// TestGzipHeader holds what makes equal text equal bytes: no time, no name.
func TestGzipHeader(t *testing.T) {
	dir, result := generateInto(t, Input{Packages: fixtures(t)}, Options{})
	for _, r := range result.Repomd.Records {
		f, err := os.Open(filepath.Join(dir, r.Location))
		if err != nil {
			t.Fatal(err)
		}
		zr, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if zr.Name != "" || !zr.ModTime.IsZero() {
			t.Errorf("%s: name %q, time %v", r.Type, zr.Name, zr.ModTime)
		}
		f.Close()
	}
}
