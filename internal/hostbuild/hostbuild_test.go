package hostbuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kojimod/kojimod/internal/sandbox"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// The test binary plays further parts, chosen by this variable.
const partVar = "HOSTBUILD_TEST_PART"

func TestMain(m *testing.M) {
	sandbox.Init()
	if dir, ok := strings.CutPrefix(os.Getenv(partVar), "victim:"); ok {
		victim(dir)
	}
	os.Exit(m.Run())
}

const nobody = 65534

// asUser runs the calling test once more as an ordinary user, where we are root.
func asUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv(partVar) != "" {
		return
	}
	name := t.Name()
	t.Run("ordinary user", func(t *testing.T) {
		dir, err := os.MkdirTemp("", "hostbuild-user")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sandbox.RemoveAll(dir) })
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		exe := filepath.Join(dir, "test")
		// The ordinary user may be unable to see the source tree.
		for from, to := range map[string]string{self: exe, "testdata": filepath.Join(dir, "testdata")} {
			if out, err := exec.Command("cp", "-r", from, to).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v: %s", err, out)
			}
		}
		if out, err := exec.Command("chown", "-R", fmt.Sprint(nobody), dir).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v: %s", err, out)
		}
		cmd := exec.Command(exe, "-test.run=^"+name+"$", "-test.v", "-test.timeout=10m")
		cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), partVar + "=user"}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatalf("as an ordinary user: %v", err)
		}
		if bytes.Contains(out, []byte("--- SKIP")) {
			t.Skip("skipped as an ordinary user, see above")
		}
	})
}

// newBuilder makes a Builder, or skips the test where this host cannot have one.
func newBuilder(t *testing.T, opts Options) *Builder {
	t.Helper()
	for _, program := range []string{"rpmbuild", "gcc", "pkg-config"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("this test builds packages: %v", err)
		}
	}
	if opts.WorkDir == "" {
		opts.WorkDir = t.TempDir()
	}
	b, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.Start(context.Background(), sandbox.Config{WorkDir: t.TempDir()})
	if err != nil {
		t.Skipf("this system forbids sandboxes: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, _ := os.ReadDir(opts.WorkDir); len(left) != 0 {
			t.Errorf("left in the work directory: %v", left)
		}
	})
	return b
}

var testTime = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// newJob makes a job with directories of its own.
func newJob(t *testing.T, component, spec string) modulebuild.Job {
	t.Helper()
	return modulebuild.Job{
		Component: component, Spec: spec, Time: testTime, OutDir: t.TempDir(), LogDir: t.TempDir(),
		Macros: []modulebuild.Macro{
			{Name: "dist", Body: ".module+f40+1+0badcafe"},
			{Name: "modularitylabel", Body: "greeter:1:2:3"},
			{Name: "greeting", Body: "good day"},
			{Name: "lines_of()", Body: "first %1\nsecond \\\\\\\\ %1"},
		},
	}
}

// specJob is a job for a spec file with the given text.
func specJob(t *testing.T, component, text string) modulebuild.Job {
	t.Helper()
	path := filepath.Join(t.TempDir(), component+".spec")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return newJob(t, component, path)
}

func build(t *testing.T, b *Builder, job modulebuild.Job) modulebuild.Result {
	t.Helper()
	result, err := b.Build(context.Background(), job)
	if err != nil {
		root, _ := os.ReadFile(filepath.Join(job.LogDir, "root.log"))
		t.Fatalf("%v\nroot.log:\n%s", err, root)
	}
	return result
}

func names(result modulebuild.Result) []string {
	var list []string
	for _, p := range result.Packages {
		list = append(list, p.NEVRA.String())
	}
	return list
}

// A library, a program that needs it and is run in %check; then both again.
func TestBuild(t *testing.T) {
	asUser(t)
	before := hostState(t)
	var warned bytes.Buffer
	b := newBuilder(t, Options{Log: slog.New(slog.NewTextHandler(&warned, nil))})
	greet := newJob(t, "greet", "testdata/greet.spec")
	greet.Names = []string{"greet"}
	hello := newJob(t, "hello", "testdata/hello.spec")
	hello.After = []string{"greet"}
	if err := b.Prepare(context.Background(), []modulebuild.Job{greet, hello}); err != nil {
		t.Fatal(err)
	}
	if !b.rpmHost && strings.Count(warned.String(), "level=WARN") != 1 {
		t.Errorf("want one warning, got:\n%s", warned.String())
	}
	greetResult := build(t, b, greet)
	dist := "-1.module+f40+1+0badcafe."
	want := []string{"greet-0:1.2" + dist + b.arch, "greet-devel-0:1.2" + dist + b.arch, "greet-0:1.2" + dist + "src"}
	if got := names(greetResult); !containsAll(got, want) {
		t.Errorf("packages of greet: %v", got)
	}
	if !sort.SliceIsSorted(greetResult.Packages, func(i, j int) bool {
		return greetResult.Packages[i].Path < greetResult.Packages[j].Path
	}) {
		t.Error("packages are not sorted")
	}
	hello.Available = greetResult.Packages
	var lines []string
	hello.Status = func(line string) { lines = append(lines, line) }
	helloResult := build(t, b, hello)
	if len(lines) == 0 {
		t.Error("Status was never called")
	}
	checkPackages(t, append(greetResult.Packages, helloResult.Packages...))

	again := hello
	again.OutDir, again.LogDir = t.TempDir(), t.TempDir()
	checkSame(t, helloResult, build(t, b, again))
	again = greet
	again.OutDir, again.LogDir = t.TempDir(), t.TempDir()
	checkSame(t, greetResult, build(t, b, again))

	rebuildSource(t, b, greetResult)
	if diff := cmp.Diff(before, hostState(t)); diff != "" {
		t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}

func containsAll(got, want []string) bool {
	set := make(map[string]bool)
	for _, g := range got {
		set[g] = true
	}
	for _, w := range want {
		if !set[w] {
			return false
		}
	}
	return true
}

// checkPackages asks rpm about what was built.
func checkPackages(t *testing.T, packages []modulebuild.Package) {
	t.Helper()
	for _, p := range packages {
		out, err := exec.Command("rpm", "-qp", "--nosignature", "--qf", "%{MODULARITYLABEL} %{BUILDTIME} %{BUILDHOST} %{LICENSE}", p.Path).Output()
		want := fmt.Sprintf("greeter:1:2:3 %d %s MIT", testTime.Unix(), sandbox.Hostname)
		if err != nil || string(out) != want {
			t.Errorf("%s: %q, %v; want %q", p.NEVRA, out, err, want)
		}
		if info, err := os.Stat(p.Path); err != nil || !info.ModTime().Equal(testTime) || info.Size() != p.Size {
			t.Errorf("%s: %v, %v", p.Path, info, err)
		}
		if p.NEVRA.Name == "greet" && p.NEVRA.Arch != "src" {
			words, err := exec.Command("sh", "-c", `rpm2archive - <"$1" | tar xzO ./etc/greet/words`, "sh", p.Path).Output()
			if err != nil || string(words) != "first words\nsecond \\ words\n" {
				t.Errorf("the parametric macro gave %q, %v", words, err)
			}
		}
	}
}

func checkSame(t *testing.T, a, b modulebuild.Result) {
	t.Helper()
	sums := func(r modulebuild.Result) map[string]string {
		m := make(map[string]string)
		for _, p := range r.Packages {
			m[p.NEVRA.String()] = p.SHA256
		}
		return m
	}
	if diff := cmp.Diff(sums(a), sums(b)); diff != "" {
		t.Errorf("two builds differ:\n%s", diff)
	}
}

// rebuildSource builds the source package of an earlier build, with another dist tag.
func rebuildSource(t *testing.T, b *Builder, from modulebuild.Result) {
	t.Helper()
	job := newJob(t, "greet", "")
	for _, p := range from.Packages {
		if p.NEVRA.Arch == "src" {
			job.SRPM = p.Path
		}
	}
	job.Macros[0].Body = ".other"
	if err := os.Chmod(job.SRPM, 0o600); err != nil { // as a careful umask leaves it
		t.Fatal(err)
	}
	if err := b.Prepare(context.Background(), []modulebuild.Job{job}); err != nil {
		t.Fatal(err)
	}
	result := build(t, b, job)
	if want := []string{"greet-0:1.2-1.other.src", "greet-0:1.2-1.other." + b.arch}; !containsAll(names(result), want) {
		t.Errorf("rebuilt from source: %v", names(result))
	}
}

// hostState has what a build could have changed on the host.
func hostState(t *testing.T) map[string]string {
	t.Helper()
	state := make(map[string]string)
	home, _ := os.UserHomeDir()
	for _, dir := range []string{"/etc", "/etc/rpm", "/etc/ld.so.conf.d", "/usr/lib64", "/usr/lib", "/usr/bin", "/usr/include", "/var/lib/rpm", "/builddir", filepath.Join(home, ".rpmdb"), filepath.Join(home, "rpmbuild")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			state[dir] = err.Error()
			continue
		}
		for _, e := range entries {
			// Reading the database touches its shared memory.
			if info, err := e.Info(); err == nil && !strings.HasSuffix(e.Name(), "-shm") {
				state[filepath.Join(dir, e.Name())] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime())
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	state["mounts"] = fmt.Sprint(string(mounts), err)
	return state
}

const minimal = `Name: %s
Version: 1
Release: 1
Summary: s
License: MIT
BuildArch: noarch
%s
%%description
d
%s
%%files
`

func spec(name, preamble, sections string) string {
	return fmt.Sprintf(minimal, name, preamble, sections)
}

// What a hostile spec file tries, while it is read and while it is built.
func TestHostile(t *testing.T) {
	asUser(t)
	b := newBuilder(t, Options{})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("host"), 0o666); err != nil {
		t.Fatal(err)
	}
	before := hostState(t)
	mark := fmt.Sprintf("%d.5", 90000+os.Getpid())
	text := spec("hostile", `%define parsed %(echo evil >`+secret+`; echo evil >>/etc/passwd; cat `+secret+`; echo done)
Provides: parsed(%parsed)`, `%build
try() { if (eval "$1") >/dev/null 2>&1; then echo "CAN: $1"; fi; }
try 'echo evil >`+secret+`'
try 'ls `+secret+`'
try 'test -n "$(ls -A /root)"'
try 'test -n "$(ls -A /home)"'
try 'mount -t tmpfs x /mnt'
try 'echo >/proc/sysrq-trigger'
try 'echo x >/proc/sys/kernel/core_pattern'
try 'exec 3<>/dev/tcp/1.1.1.1/53'
try 'test $(ip -o link | wc -l) -gt 1'
kill -9 1 -1 2>/dev/null &
sleep 0.1
(setsid sleep `+mark+` &) 
`)
	job := specJob(t, "hostile", text)
	if err := b.Prepare(context.Background(), []modulebuild.Job{job}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Build(context.Background(), job)
	log, _ := os.ReadFile(filepath.Join(job.LogDir, "build.log"))
	if bytes.Contains(log, []byte("CAN: ")) {
		t.Errorf("something could be done:\n%s", log)
	}
	// It has killed all that it could: its own rpmbuild.
	var failed *modulebuild.BuildError
	if !errors.As(err, &failed) {
		t.Errorf("error %v, want a BuildError", err)
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "host" {
		t.Errorf("the host's file has %q, %v", data, err)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), mark) {
			t.Errorf("%s is still running", path)
		}
	}
	if diff := cmp.Diff(before, hostState(t)); diff != "" {
		t.Errorf("the host has changed:\n%s", diff)
	}
}

// Symbolic links in place of packages do not lead out of the sandbox.
func TestHostileResult(t *testing.T) {
	b := newBuilder(t, Options{})
	job := specJob(t, "links", spec("links", "", `%build
mkdir -p %_topdir/RPMS/noarch
ln -s /etc/passwd %_topdir/RPMS/noarch/passwd.rpm
ln -s /etc %_topdir/RPMS/etc
mkfifo %_topdir/RPMS/noarch/pipe.rpm
`))
	if got, want := names(build(t, b, job)), []string{"links-0:1-1.noarch", "links-0:1-1.src"}; !cmp.Equal(got, want) {
		t.Errorf("packages: %v, want %v", got, want)
	}
	job = specJob(t, "links", spec("links", "", "%build\nrm -rf %_topdir/RPMS; ln -s /etc %_topdir/RPMS; mkdir -p %_topdir/SRPMS; exit 0\n"))
	if result, err := b.Build(context.Background(), job); err == nil {
		t.Errorf("took %v", names(result))
	}
}

// A build puts a link to somebody's directory in place of its own, where we look
// for packages, remove them and copy them.
func TestMovedDirectory(t *testing.T) {
	b := newBuilder(t, Options{})
	victim, err := os.MkdirTemp("/var/tmp", "hostbuild-victim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(victim) })
	precious := filepath.Join(victim, "SRPMS", "precious.rpm")
	if err := errors.Join(os.MkdirAll(filepath.Join(victim, "RPMS"), 0o755), os.Mkdir(filepath.Dir(precious), 0o755), os.WriteFile(precious, []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	swap := "mv /builddir/build /builddir/b2; ln -s " + victim + " /builddir/build\n"
	for name, text := range map[string]string{
		"while asking for more": "%global _srcrpmdir /var/tmp/out\n" + spec("links", "", "%generate_buildrequires\n"+swap),
		"at the end":            spec("links", "", "%clean\n"+swap),
	} {
		job := specJob(t, "links", text)
		if result, err := b.Build(context.Background(), job); err == nil {
			t.Errorf("%s: took %v", name, names(result))
		}
		if _, err := os.Stat(precious); err != nil {
			t.Errorf("%s: the victim's file: %v", name, err)
		}
	}
}

func TestPrepareErrors(t *testing.T) {
	b := newBuilder(t, Options{})
	lib := specJob(t, "lib", spec("lib", "Provides: thing = 2", ""))
	user := specJob(t, "user", spec("user", "BuildRequires: thing", ""))
	selfish := specJob(t, "selfish", spec("selfish", "BuildRequires: selfish\nBuildRequires: (lib if nothing)", ""))
	broken := specJob(t, "broken", "Name: broken\n%if 1\nVersion: 1\n")
	renamed := specJob(t, "renamed", spec("another", "", ""))
	renamed.Names = []string{"renamed", "renamed2"}
	foreign := specJob(t, "foreign", spec("foreign", "", ""))
	foreign.Arch = "s390x"
	if b.arch == "s390x" {
		foreign.Arch = "x86_64"
	}
	truncated := newJob(t, "truncated", "")
	truncated.SRPM = filepath.Join(t.TempDir(), "x.src.rpm")
	if err := os.WriteFile(truncated.SRPM, []byte("\xed\xab\xee\xdb\x03\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	missing := newJob(t, "missing", "/no/such/dir/x.spec")

	after := user
	after.After = []string{"lib"}
	if err := b.Prepare(context.Background(), []modulebuild.Job{lib, after, selfish}); err != nil && !b.rpmHost {
		t.Errorf("in the right order: %v", err)
	}
	tests := []struct {
		name string
		jobs []modulebuild.Job
		want []string
	}{
		{"built too late", []modulebuild.Job{lib, user}, []string{"component user", "thing", "component lib", "buildorder", "buildafter"}},
		{"broken spec file", []modulebuild.Job{broken}, []string{"broken.spec", "rpm cannot read the spec file"}},
		{"wrong name", []modulebuild.Job{renamed}, []string{"component renamed", "another", "renamed or renamed2"}},
		{"other architecture", []modulebuild.Job{foreign}, []string{foreign.Arch, "mock"}},
		{"truncated source package", []modulebuild.Job{truncated}, []string{truncated.SRPM, "cannot unpack"}},
		{"no such directory", []modulebuild.Job{missing}, []string{"/no/such/dir/x.spec"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := b.Prepare(context.Background(), tt.jobs)
			var input *modulebuild.InputError
			if !errors.As(err, &input) {
				t.Fatalf("error %v (%T), want an InputError", err, err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
		})
	}
}

// A spec file that runs something endless, or prints much, while it is read.
func TestEndlessSpec(t *testing.T) {
	b := newBuilder(t, Options{MaxParse: time.Second})
	for _, program := range []string{"sleep 1000", "yes %%{nil}a | head -c 20000000"} {
		job := specJob(t, "endless", spec("endless", "", "")+"%("+program+")\n")
		_, buildErr := b.Build(context.Background(), job)
		for _, err := range []error{b.Prepare(context.Background(), []modulebuild.Job{job}), buildErr} {
			var input *modulebuild.InputError
			if !errors.As(err, &input) || !strings.Contains(err.Error(), "endless.spec") {
				t.Errorf("%s: error %v, want an InputError that names the file", program, err)
			}
		}
	}
}

func TestBuildErrors(t *testing.T) {
	b := newBuilder(t, Options{MaxLog: 200_000})
	lib := build(t, b, specJob(t, "lib", spec("lib", "Provides: thing = 2", "")))
	tests := []struct {
		name, text string
		want       []string
	}{
		{"failing build", spec("x", "", "%build\necho the last words\nexit 3"), []string{"exit status 1", "the last words", "build.log"}},
		{"too old", spec("x", "BuildRequires: thing >= 3", ""), []string{"BuildRequires", "thing >= 3", "component lib", "lib-0:1-1.noarch"}},
		{"endless output", spec("x", "", "%build\nyes"), []string{"printed more"}},
		{"a full device is no full disk", spec("x", "", "%build\n/bin/echo hi >/dev/full"), []string{"building x: rpmbuild ended with exit status 1"}},
		{"killed", spec("x", "", "%build\nkill -9 $PPID"), []string{"signal"}},
		{"nothing packaged", strings.ReplaceAll(spec("x", "", ""), "%files\n", ""), []string{"no binary package"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			job := specJob(t, "x", tt.text)
			job.Available = lib.Packages
			_, err := b.Build(context.Background(), job)
			var failed *modulebuild.BuildError
			if !errors.As(err, &failed) {
				t.Fatalf("error %v (%T), want a BuildError", err, err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
			if left, _ := os.ReadDir(job.OutDir); len(left) != 0 {
				t.Errorf("left in OutDir: %v", left)
			}
		})
	}
}

func TestInstallAlwaysAndDynamic(t *testing.T) {
	b := newBuilder(t, Options{})
	tool := build(t, b, specJob(t, "tool", strings.ReplaceAll(spec("tool", "", `%install
mkdir -p %buildroot/usr/bin
printf '#!/bin/sh\necho tooled\n' >%buildroot/usr/bin/tool-x
chmod 755 %buildroot/usr/bin/tool-x`), "%files\n", "%files\n/usr/bin/tool-x\n")))
	use := "%build\ntest $(tool-x) = tooled"

	job := specJob(t, "always", spec("always", "", use))
	job.Available = tool.Packages
	if _, err := b.Build(context.Background(), job); err == nil {
		t.Error("a package that nobody asked for was there")
	}
	job = specJob(t, "always", spec("always", "", use))
	job.Available, job.InstallAlways = tool.Packages, []string{"tool"}
	build(t, b, job)

	job = specJob(t, "path", spec("path", "BuildRequires: /usr/bin/tool-x", use))
	job.Available = tool.Packages
	build(t, b, job)

	job = specJob(t, "rich", spec("rich", "BuildRequires: (tool or nothing-else)", use))
	job.Available = tool.Packages
	build(t, b, job)

	job = specJob(t, "dynamic", spec("dynamic", "", "%generate_buildrequires\necho tool\n"+use))
	job.Available = tool.Packages
	build(t, b, job)
}

func TestCancel(t *testing.T) {
	b := newBuilder(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	job := specJob(t, "slow", spec("slow", "", "%build\ntrap '' TERM INT\necho up and running\nsleep 1000"))
	job.Status = func(line string) {
		if line == "up and running" {
			cancel()
		}
	}
	if _, err := b.Build(ctx, job); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
}

// victim builds something slow and waits to be killed.
func victim(dir string) {
	b, err := New(Options{WorkDir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	_, err = b.Build(context.Background(), modulebuild.Job{Component: "slow", Spec: filepath.Join(dir, "src", "slow.spec"),
		OutDir: filepath.Join(dir, "out"), LogDir: filepath.Join(dir, "out"), Time: testTime,
		Status: func(line string) {
			if line == "up and running" {
				fmt.Println("up")
			}
		}})
	fmt.Println(err)
	os.Exit(4)
}

// After kill -9, the next Builder on the same work directory removes what is left.
func TestKilled(t *testing.T) {
	asUser(t)
	b := newBuilder(t, Options{})
	dir := t.TempDir()
	for _, d := range []string{"src", "out"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := spec("slow", "", "%build\nmkdir -m 0 closed; echo up and running\nsleep 54321.5")
	if err := os.WriteFile(filepath.Join(dir, "src", "slow.spec"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), partVar+"=victim:"+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	if n, _ := out.Read(buf); string(buf[:n]) != "up\n" {
		t.Fatalf("the victim says %q", buf[:n])
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := New(Options{WorkDir: dir}); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "sandbox-*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	_ = b
}

// Several components at once, as the engine does it.
func TestParallel(t *testing.T) {
	b := newBuilder(t, Options{})
	var jobs []modulebuild.Job
	for i := range 4 {
		name := fmt.Sprintf("p%d", i)
		jobs = append(jobs, specJob(t, name, spec(name, "", "%build\nsleep 0.2")))
	}
	errs := make(chan error, len(jobs))
	for _, job := range jobs {
		go func() {
			_, err := b.Build(context.Background(), job)
			errs <- err
		}()
	}
	for range jobs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// Installing runs the packages' scripts, as root of the sandbox, and makes
// directories of all kinds, as the host's root and as an ordinary user.
func TestInstallScripts(t *testing.T) {
	asUser(t)
	before := hostState(t)
	b := newBuilder(t, Options{})
	lib := build(t, b, specJob(t, "scripts", `Name: scripts
Version: 1
Release: 1
Summary: s
License: MIT
BuildArch: noarch
%description
d
%install
for d in /usr/share/scripts/deep /etc/scripts.d /var/lib/scripts /opt/scripts/x /usr/share/man/man1 /srv/scripts /usr/lib/scripts; do
  mkdir -p %buildroot$d; echo one >%buildroot$d/scripts-file
done
mkdir -m 700 %buildroot/var/lib/scripts/private
%pre
id -u >/etc/scripts-pre
%post
echo post >>/var/lib/scripts/scripts-file
ldconfig
%files
/usr/share/scripts
/etc/scripts.d
/var/lib/scripts
/opt/scripts
/usr/share/man/man1/scripts-file*
/srv/scripts
/usr/lib/scripts
`))
	use := specJob(t, "use", spec("use", "BuildRequires: scripts", `%build
test "$(cat /etc/scripts-pre)" = 0
test "$(cat /var/lib/scripts/scripts-file)" = "one
post"
for d in /usr/share/scripts/deep /etc/scripts.d /opt/scripts/x /srv/scripts /usr/lib/scripts; do cat $d/scripts-file; done
rpm -q scripts; rpm -V scripts --nofiles --nodeps
`))
	use.Available = lib.Packages
	build(t, b, use)
	if diff := cmp.Diff(before, hostState(t)); diff != "" {
		t.Errorf("the host has changed:\n%s", diff)
	}
}

// A work directory without room.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	newBuilder(t, Options{}) // skips where nothing can be built
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	defer syscall.Unmount(small, syscall.MNT_DETACH)
	b, err := New(Options{WorkDir: small})
	if err != nil {
		t.Fatal(err)
	}
	job := specJob(t, "big", spec("big", "", "%build\nhead -c 5M /dev/urandom >big"))
	_, err = b.Build(context.Background(), job)
	var failed *modulebuild.BuildError
	if !errors.As(err, &failed) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("error %v, want a BuildError of a full disk", err)
	}
	// The same where the results do not fit.
	out := newJob(t, "big", job.Spec)
	out.OutDir = filepath.Join(small, "out")
	if err := os.Mkdir(out.OutDir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(spec("big", "", "%install\nmkdir -p %buildroot/opt\nhead -c 5M /dev/urandom >%buildroot/opt/big"), "%files\n", "%files\n/opt/big\n")
	if err := os.WriteFile(out.Spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b = newBuilder(t, Options{})
	_, err = b.Build(context.Background(), out)
	if !errors.As(err, &failed) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want a BuildError of a full disk", err)
	}
	if left, _ := os.ReadDir(out.OutDir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
