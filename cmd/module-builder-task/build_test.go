package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/repogen"
)

// These tests run the real binary with the real rpmbuild.

// program builds the binary as it is shipped and returns its path, in a directory
// that everybody may read.
func program(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Skip("rpmbuild is not installed")
	}
	path := filepath.Join(publicDir(t), "module-builder-task")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// publicDir is a temporary directory that other users can reach: t.TempDir is
// not.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kojimod-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exec.Command("rm", "-rf", dir).Run(); err != nil {
			t.Errorf("removing %s: %v", dir, err)
		}
	})
	return dir
}

// A spec for noarch packages that hold a file with the names of the packages
// that were installed while building.
const tinySpec = `Name: %[1]s
Version: 1
Release: 1%%{?dist}
Summary: Component %[1]s of a test
License: MIT-0
BuildArch: noarch
%[2]s
%%description
A test.
%%build
sleep %[3]s
%[4]s
%%install
mkdir -p %%{buildroot}/usr/share/tiny
ls /usr/share/tiny > %%{buildroot}/usr/share/tiny/%[1]s || :
%%files
%%attr(0644,games,games) /usr/share/tiny/%[1]s
`

type tiny struct {
	name  string
	after []string
	sleep string // seconds
	shell string // more to do in %build
}

// tinyModule writes a module of tiny components into a new public directory.
func tinyModule(t *testing.T, components ...tiny) string {
	t.Helper()
	dir := publicDir(t)
	writeTiny(t, dir, components...)
	return dir
}

func writeTiny(t *testing.T, dir string, components ...tiny) {
	t.Helper()
	var doc strings.Builder
	doc.WriteString("document: modulemd\nversion: 2\ndata:\n  name: tiny\n  stream: \"1\"\n  summary: s\n  description: d\n" +
		"  license: {module: [MIT-0]}\n  dependencies:\n  - buildrequires: {platform: [f40]}\n    requires: {platform: [f40]}\n  components:\n    rpms:\n")
	for _, c := range components {
		fmt.Fprintf(&doc, "      %s: {rationale: a test, buildafter: [%s]}\n", c.name, strings.Join(c.after, ", "))
		var requires strings.Builder
		for _, dep := range c.after {
			fmt.Fprintf(&requires, "BuildRequires: %s\n", dep)
		}
		if c.sleep == "" {
			c.sleep = "0"
		}
		spec := filepath.Join(dir, "rpms", c.name, c.name+".spec")
		if err := os.MkdirAll(filepath.Dir(spec), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(spec, fmt.Appendf(nil, tinySpec, c.name, requires.String(), c.sleep, c.shell), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tiny.yaml"), []byte(doc.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

type result struct {
	code           int
	stdout, stderr string
}

func (r result) want(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

func build(t *testing.T, program string, args ...string) result {
	t.Helper()
	return runCommand(t, exec.Command(program, append([]string{"build", "--builder", "host", "--version", "7"}, args...)...))
}

func runCommand(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// tree sums up all files below a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func sameRepo(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(tree(t, filepath.Join(want, "repo")), tree(t, filepath.Join(got, "repo"))); diff != "" {
		t.Errorf("the repositories differ (-want +got):\n%s", diff)
	}
}

// TestGreeter builds the sample module as root and as an ordinary user, and gets
// the same bytes.
func TestGreeter(t *testing.T) {
	bin, work := program(t), publicDir(t)
	module := filepath.Join(work, "greeter")
	if out, err := exec.Command("cp", "-r", "../../testdata/modules/greeter", module).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	first := filepath.Join(work, "first")
	r := build(t, bin, "--output", first, module).want(t, 0)
	for _, want := range []string{"4 components built, 0 taken over", "Repository: " + first + "/repo; use it: dnf "} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the output lacks %q:\n%s", want, r.stdout)
		}
	}
	var names []string
	for name := range tree(t, filepath.Join(first, "repo", "Packages")) {
		base := filepath.Base(name)
		names = append(names, base[:strings.Index(base, ".module+")]+base[strings.LastIndex(strings.TrimSuffix(base, ".rpm"), "."):])
	}
	slices.Sort(names)
	want := []string{
		"greeter-2.1-3.src.rpm", "greeter-2.1-3.x86_64.rpm",
		"greeting-data-1.4-1.noarch.rpm", "greeting-data-1.4-1.src.rpm",
		"libgreeting-1.2.0-1.src.rpm", "libgreeting-1.2.0-1.x86_64.rpm", "libgreeting-devel-1.2.0-1.x86_64.rpm",
	}
	for i := range want {
		want[i] = strings.Replace(want[i], "x86_64", hostArch(), 1)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if os.Geteuid() != 0 {
		t.Log("not root: the sample was built as an ordinary user only")
		return
	}
	home := filepath.Join(work, "home")
	second := filepath.Join(home, "second")
	asNobody(t, home, bin, "--output", second, module).want(t, 0)
	sameRepo(t, first, second)
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 1 {
		t.Errorf("the user's home has changed: %v, %v", entries, err)
	}
}

// asNobody builds as an ordinary user with this home, which it makes.
func asNobody(t *testing.T, home, program string, args ...string) result {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody = 65534
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"build", "--builder", "host", "--version", "7"}, args...)...)
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return runCommand(t, cmd)
}

// TestOwners: an ordinary user builds with packages whose files belong to others.
func TestOwners(t *testing.T) {
	bin, work := program(t), publicDir(t)
	module := tinyModule(t, tiny{name: "a"}, tiny{name: "b", after: []string{"a"}, shell: "test -f /usr/share/tiny/a; pushd /tmp; popd"})
	first, home := filepath.Join(work, "first"), filepath.Join(work, "home")
	build(t, bin, "--output", first, module).want(t, 0)
	asNobody(t, home, bin, "--output", filepath.Join(home, "second"), module).want(t, 0)
	sameRepo(t, first, filepath.Join(home, "second"))
}

// TestUmask: modes get into packages, and whoever builds has any umask.
func TestUmask(t *testing.T) {
	bin := program(t)
	module := tinyModule(t, tiny{name: "a"}, tiny{name: "b", after: []string{"a"}})
	open, private := filepath.Join(publicDir(t), "out"), filepath.Join(publicDir(t), "out")
	build(t, bin, "--output", open, module).want(t, 0)
	cmd := exec.Command("sh", "-c", `umask 077; exec "$@"`, "sh", bin, "build", "--builder", "host", "--version", "7", "--output", private, module)
	runCommand(t, cmd).want(t, 0)
	sameRepo(t, open, private)
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the output directory has the mode %v, %v; want 0700", info.Mode(), err)
	}
}

// TestKilled kills builds at random moments and starts them again: nothing of
// the first run lives on, what was finished is not built again, and the
// repository comes out as if nothing had happened.
func TestKilled(t *testing.T) {
	bin := program(t)
	module := tinyModule(t,
		tiny{name: "a", sleep: "0.2"}, tiny{name: "b", sleep: "0.4"},
		tiny{name: "c", after: []string{"a"}, sleep: "0.2"}, tiny{name: "d", after: []string{"b", "c"}, sleep: "0.2"})
	whole := filepath.Join(publicDir(t), "out")
	begin := time.Now()
	build(t, bin, "--output", whole, module).want(t, 0)
	took := time.Since(begin)
	for i := range 3 {
		out := filepath.Join(publicDir(t), "out")
		kills := 0
		for range 3 {
			cmd := exec.Command(bin, "build", "--builder", "host", "--version", "7", "--output", out, module)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.Float64() * float64(took)))
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				kills++
			}
			// The kernel takes a moment to end a namespace.
			deadline := time.Now().Add(10 * time.Second)
			for left := living(t, out); len(left) > 0; left = living(t, out) {
				if time.Now().After(deadline) {
					t.Fatalf("round %d: still alive: %v", i, left)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		done, err := filepath.Glob(filepath.Join(out, ".build/results/*/*/record.json"))
		if err != nil {
			t.Fatal(err)
		}
		before := modTimes(t, done)
		r := build(t, bin, "--output", out, module).want(t, 0)
		if !strings.Contains(r.stdout, fmt.Sprintf("%d components built, %d taken over", 4-len(done), len(done))) {
			t.Errorf("round %d, %d kills: %d components were finished before:\n%s", i, kills, len(done), r.stdout)
		}
		if diff := cmp.Diff(before, modTimes(t, done)); diff != "" {
			t.Errorf("round %d: finished components were touched:\n%s", i, diff)
		}
		sameRepo(t, whole, out)
		if entries, err := os.ReadDir(filepath.Join(out, ".build")); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "tmp" }) {
			t.Errorf("round %d: work in progress was left: %v, %v", i, entries, err)
		}
	}
}

// TestKilledWhilePublishing kills builds of a changed input into an output that
// has been published: at every moment the repository is whole.
func TestKilledWhilePublishing(t *testing.T) {
	bin := program(t)
	components := []tiny{{name: "a"}, {name: "b"}}
	module := tinyModule(t, components...)
	out := filepath.Join(publicDir(t), "out")
	build(t, bin, "--output", out, module).want(t, 0)
	took := time.Second
	for i := range 6 {
		components[i%2].shell = fmt.Sprintf("true %d", i)
		writeTiny(t, module, components...)
		cmd := exec.Command(bin, "build", "--builder", "host", "--version", "7", "--output", out, module)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if i%3 == 0 { // to the end, to learn how long it takes
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			took = time.Since(begin)
		} else {
			// Publishing is at the end.
			time.Sleep(time.Duration((0.8 + 0.2*rand.Float64()) * float64(took)))
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		wholeRepo(t, filepath.Join(out, "repo"))
	}
	build(t, bin, "--output", out, module).want(t, 0)
	wholeRepo(t, filepath.Join(out, "repo"))
}

// wholeRepo checks everything that a repository's metadata names.
func wholeRepo(t *testing.T, repo string) {
	t.Helper()
	sum := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", sha256.Sum256(data))
	}
	md, err := repogen.ReadRepomd(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range md.Records {
		if got := sum(filepath.Join(repo, r.Location)); got != r.Checksum.Value {
			t.Fatalf("record %s: checksum %s, want %s", r.Type, got, r.Checksum.Value)
		}
	}
	primary, ok := md.Record("primary")
	if !ok {
		t.Fatal("no primary record")
	}
	f, err := os.Open(filepath.Join(repo, primary.Location))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Packages []struct {
			Checksum string `xml:"checksum"`
			Location struct {
				Href string `xml:"href,attr"`
			} `xml:"location"`
		} `xml:"package"`
	}
	if err := xml.NewDecoder(text).Decode(&list); err != nil {
		t.Fatal(err)
	}
	if len(list.Packages) == 0 {
		t.Fatal("no packages")
	}
	for _, p := range list.Packages {
		if got := sum(filepath.Join(repo, p.Location.Href)); got != p.Checksum {
			t.Fatalf("%s: checksum %s, want %s", p.Location.Href, got, p.Checksum)
		}
	}
}

func modTimes(t *testing.T, files []string) map[string]time.Time {
	t.Helper()
	times := map[string]time.Time{}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		times[f] = info.ModTime()
	}
	return times
}

// living lists processes whose command line, root or working directory is of a
// build into dir.
func living(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		base := filepath.Join("/proc", e.Name())
		command, err := os.ReadFile(filepath.Join(base, "cmdline"))
		if err != nil || len(command) == 0 {
			continue
		}
		mounts, _ := os.ReadFile(filepath.Join(base, "mountinfo"))
		if bytes.Contains(command, []byte(dir)) || bytes.Contains(mounts, []byte(dir)) {
			found = append(found, e.Name()+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

func TestInterrupted(t *testing.T) {
	bin := program(t)
	module := tinyModule(t, tiny{name: "quick"}, tiny{name: "slow", after: []string{"quick"}, sleep: "60"})
	out := filepath.Join(publicDir(t), "out")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "build", "--builder", "host", "--version", "7", "--output", out, module)
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if done, _ := filepath.Glob(filepath.Join(out, ".build/results/quick/*/record.json")); len(done) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first component was not built in time")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, stderr.String())
	}
	if left := living(t, out); len(left) > 0 {
		t.Errorf("still alive: %v", left)
	}
	if done, _ := filepath.Glob(filepath.Join(out, ".build/results/quick/*/record.json")); len(done) != 1 {
		t.Error("the finished component is gone")
	}
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil || !regexp.MustCompile(`(?s)<h1.*?interrupted.*?</h1>`).Match(page) {
		t.Errorf("the report does not tell of the interruption: %v", err)
	}
}

func TestFailure(t *testing.T) {
	bin := program(t)
	module := tinyModule(t,
		tiny{name: "good"}, tiny{name: "bad", after: []string{"good"}, shell: "echo the reason >&2; exit 3"},
		tiny{name: "child", after: []string{"bad"}}, tiny{name: "late", after: []string{"good"}, sleep: "0.5"}, tiny{name: "last", after: []string{"late"}})
	out := filepath.Join(publicDir(t), "out")
	r := build(t, bin, "--output", out, "--jobs", "2", "--keep-going", module).want(t, 1)
	for _, want := range []string{"building bad:", "logs/bad/build.log", "the reason", "child: not built"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("the messages lack %q:\n%s", want, r.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "repo")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a repository was published: %v", err)
	}
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil || !bytes.Contains(page, []byte("the reason")) {
		t.Errorf("the report does not show the end of the log: %v", err)
	}
	// Mended, only what is missing is built.
	writeTiny(t, module,
		tiny{name: "good"}, tiny{name: "bad", after: []string{"good"}}, tiny{name: "child", after: []string{"bad"}},
		tiny{name: "late", after: []string{"good"}, sleep: "0.5"}, tiny{name: "last", after: []string{"late"}})
	r = build(t, bin, "--output", out, module).want(t, 0)
	if !strings.Contains(r.stdout, "2 components built, 3 taken over") {
		t.Errorf("after the failure was mended:\n%s", r.stdout)
	}
}

// TestChange changes one component of a published module.
func TestChange(t *testing.T) {
	bin := program(t)
	components := []tiny{{name: "a"}, {name: "b", after: []string{"a"}}, {name: "c"}}
	module := tinyModule(t, components...)
	out := filepath.Join(publicDir(t), "out")
	build(t, bin, "--output", out, module).want(t, 0)
	old := tree(t, filepath.Join(out, "repo"))
	components[0].shell = "true"
	writeTiny(t, module, components...)
	r := build(t, bin, "--output", out, module).want(t, 0)
	if !strings.Contains(r.stdout, "2 components built, 1 taken over") {
		t.Errorf("after the change:\n%s", r.stdout)
	}
	// Who still holds the old metadata finds all that it names.
	now := tree(t, filepath.Join(out, "repo"))
	for name, sum := range old {
		if name != "repodata/repomd.xml" && now[name] != sum {
			t.Errorf("%s of the previous repository is gone or changed", name)
		}
	}
	// The same module, never built before, has the same metadata.
	fresh := filepath.Join(publicDir(t), "out")
	build(t, bin, "--output", fresh, module).want(t, 0)
	want, err := os.ReadFile(filepath.Join(fresh, "repo/repodata/repomd.xml"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(out, "repo/repodata/repomd.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("repomd.xml (-fresh +changed):\n%s", diff)
	}
}

func TestOutputInUse(t *testing.T) {
	bin := program(t)
	module := tinyModule(t, tiny{name: "slow", sleep: "60"})
	out := filepath.Join(publicDir(t), "out")
	first := exec.Command(bin, "build", "--builder", "host", "--version", "7", "--output", out, module)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = first.Process.Kill()
		_ = first.Wait()
	}()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(out, ".build/journal.json")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first run has not begun in time")
		}
	}
	r := build(t, bin, "--output", out, module).want(t, 1)
	if !strings.Contains(r.stderr, "another run is working in "+out) {
		t.Errorf("the second run says:\n%s", r.stderr)
	}
}

// TestFullDisk fills the file system of the output in the middle of a build, and
// gives it room again.
func TestFullDisk(t *testing.T) {
	bin := program(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system to fill")
	}
	mount := publicDir(t)
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a tmpfs cannot be mounted: %v", err)
	}
	defer syscall.Unmount(mount, syscall.MNT_DETACH)
	components := []tiny{{name: "a"}, {name: "b", after: []string{"a"}}}
	module := tinyModule(t, components...)
	out := filepath.Join(mount, "out")
	build(t, bin, "--output", out, module).want(t, 0)
	before := tree(t, filepath.Join(out, "repo"))

	fill := filepath.Join(mount, "fill")
	f, err := os.Create(fill)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	components[0].shell = "true"
	writeTiny(t, module, components...)
	r := build(t, bin, "--output", out, module).want(t, 1)
	if !strings.Contains(r.stderr, "no space left on device") {
		t.Errorf("a full disk is told as:\n%s", r.stderr)
	}
	if diff := cmp.Diff(before, tree(t, filepath.Join(out, "repo"))); diff != "" {
		t.Errorf("what was published has changed:\n%s", diff)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	build(t, bin, "--output", out, module).want(t, 0)
}
