package repogen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The steps of a publication, in order.
func publishSteps() []string {
	return []string{"history", "primary", "filelists", "other", "modules", "signature", "repomd", "retire"}
}

// checkWhole fails unless the repository in dir is readable: every file that repomd.xml
// names is there with its checksum, which gzip's reader and ParseRepomd see to.
func checkWhole(t *testing.T, dir string) {
	t.Helper()
	repomd, err := ReadRepomd(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range repomd.Records {
		if got := int64(len(metadata(t, dir, r.Type))); got != r.OpenSize {
			t.Errorf("%s: %d bytes, repomd.xml says %d", r.Type, got, r.OpenSize)
		}
	}
}

// oldAndNew gives two states of a repository.
func oldAndNew(t *testing.T) (before, after Input) {
	packages := fixtures(t)
	return Input{Packages: packages[:1], Modules: []byte("---\nold\n")}, Input{Packages: packages, Modules: []byte("---\nnew\n")}
}

// TestFailureAtEachStep makes each step of a publication fail: the old repository is
// there, byte for byte.
func TestFailureAtEachStep(t *testing.T) {
	before, after := oldAndNew(t)
	for _, step := range publishSteps() {
		for _, fresh := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s fresh %v", step, fresh), func(t *testing.T) {
				dir := t.TempDir()
				if !fresh {
					generateAt(t, dir, before, Options{})
				}
				was := tree(t, dir)
				broken := errors.New("it broke")
				reached := false
				_, err := Generate(context.Background(), dir, after, Options{step: func(name string) error {
					if name == step {
						reached = true
						return broken
					}
					return nil
				}})
				if !reached {
					t.Fatal("there is no such step")
				}
				if step == "retire" { // published: failing to clean up is only a warning
					if err != nil {
						t.Fatal(err)
					}
					checkWhole(t, dir)
					return
				}
				if !errors.Is(err, broken) {
					t.Fatalf("got %v", err)
				}
				if diff := cmp.Diff(was, tree(t, dir)); diff != "" {
					t.Errorf("not as before: %q", names(tree(t, dir)))
				}
				if _, err := os.Stat(filepath.Join(dir, "repodata")); fresh != os.IsNotExist(err) {
					t.Errorf("repodata: %v", err)
				}
			})
		}
	}
}

// killEnv tells the test binary to make a repository and die at a step.
const killEnv = "REPOGEN_TEST_KILL"

// TestMain lets the test binary be its own victim.
func TestMain(m *testing.M) {
	dir, step, ok := strings.Cut(os.Getenv(killEnv), "|")
	if !ok {
		os.Exit(m.Run())
	}
	var packages []Package
	for _, name := range []string{"juniper-1.4~rc2-3.x86_64.rpm", "sorrel-5.2-1.module+f41+1+c2572f1d.noarch.rpm"} {
		p, err := ReadPackage(context.Background(), filepath.Join(fixtureDir, name), name)
		if err != nil {
			panic(err)
		}
		packages = append(packages, p)
	}
	_, err := Generate(context.Background(), dir, Input{Packages: packages, Modules: []byte("---\nkilled\n")}, Options{step: func(name string) error {
		if name == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}})
	panic(fmt.Sprint("alive: ", err))
}

// TestKillAtEachStep kills a process at each step of a publication. What a
// reader sees is whole, and the next run leaves nothing of the killed one.
func TestKillAtEachStep(t *testing.T) {
	before, after := oldAndNew(t)
	for _, step := range publishSteps() {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			generateAt(t, dir, before, Options{})
			old, err := ReadRepomd(dir)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), killEnv+"="+dir+"|"+step)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the victim was not killed: %v\n%s", err, out)
			}
			checkWhole(t, dir)
			now, err := ReadRepomd(dir)
			if err != nil {
				t.Fatal(err)
			}
			if isOld := cmp.Equal(old, now); isOld != (step != "retire") {
				t.Errorf("the old repository is published: %v", isOld)
			}
			result := generateAt(t, dir, after, Options{})
			checkWhole(t, dir)
			if diff := cmp.Diff(sorted(result.Metadata), names(tree(t, dir))); diff != "" {
				t.Errorf("after the next run (-want +got)\n%s", diff)
			}
		})
	}
}

func TestCancelLeavesNoTrace(t *testing.T) {
	before, after := oldAndNew(t)
	for _, fresh := range []bool{true, false} {
		dir := t.TempDir()
		if !fresh {
			generateAt(t, dir, before, Options{})
		}
		was := tree(t, dir)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := Generate(ctx, dir, after, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(was, tree(t, dir)); diff != "" {
			t.Errorf("left behind: %q", names(tree(t, dir)))
		}
		if entries, _ := os.ReadDir(dir); fresh && len(entries) > 0 {
			t.Errorf("left behind: %v", entries)
		}
	}
}

func TestBusy(t *testing.T) {
	before, after := oldAndNew(t)
	dir := t.TempDir()
	_, err := Generate(context.Background(), dir, before, Options{step: func(name string) error {
		if name == "primary" {
			if _, err := Generate(context.Background(), dir, after, Options{}); !errors.Is(err, ErrBusy) {
				t.Errorf("a second run beside the first: %v", err)
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	checkWhole(t, dir)
}

// mountTmpfs gives a small file system of its own.
func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a tmpfs is not allowed here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// TestFullDisk fills the file system a little more each time: the old repository stays
// whole whatever write it is that fails.
func TestFullDisk(t *testing.T) {
	before, after := oldAndNew(t)
	mountTmpfs(t, "64k") // or skip all
	failed := 0
	for free := 0; free <= 40; free += 4 {
		t.Run(strconv.Itoa(free)+"KiB", func(t *testing.T) {
			dir := mountTmpfs(t, "256k")
			generateAt(t, dir, before, Options{})
			was := tree(t, dir)
			ballast, err := os.Create(filepath.Join(dir, "ballast"))
			if err != nil {
				t.Fatal(err)
			}
			var size int64
			for {
				n, err := ballast.Write(make([]byte, 4096))
				size += int64(n)
				if err != nil {
					break
				}
			}
			if err := ballast.Truncate(max(0, size-int64(free)<<10)); err != nil {
				t.Fatal(err)
			}
			ballast.Close()
			_, err = Generate(context.Background(), dir, after, Options{})
			now := tree(t, dir)
			delete(now, "ballast")
			if err == nil {
				checkWhole(t, dir)
				return
			}
			failed++
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "making repodata in "+dir) {
				t.Errorf("got %v", err)
			}
			if !maps.Equal(was, now) {
				t.Errorf("not as before: %q, was %q", names(now), names(was))
			}
		})
	}
	if failed == 0 {
		t.Error("no run met the full file system")
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	before, after := oldAndNew(t)
	dir := mountTmpfs(t, "1m")
	generateAt(t, dir, before, Options{})
	was := tree(t, dir)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot remount: %v", err)
	}
	if _, err := Generate(context.Background(), dir, after, Options{}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(was, tree(t, dir)); diff != "" {
		t.Error("not as before")
	}
}

// TestLinksAreNotFollowed: neither repodata itself nor an old file list leads outside.
func TestLinksAreNotFollowed(t *testing.T) {
	before, after := oldAndNew(t)
	outside := t.TempDir()
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "repodata")); err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(context.Background(), dir, before, Options{}); err == nil {
		t.Error("a symbolic link was taken for repodata")
	}
	dir = t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	repodata := filepath.Join(dir, "repodata")
	if err := os.Mkdir(repodata, 0o777); err != nil {
		t.Fatal(err)
	}
	evil := `<repomd><data type="x"><location href="repodata/../victim"/></data><data type="y"><location href="../../victim"/></data>` +
		`<data type="z"><location href="victim"/></data><data type="z"><location href="repodata/.."/></data></repomd>`
	if err := os.WriteFile(filepath.Join(repodata, "repomd.xml"), []byte(evil), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repodata, historyName), []byte(`{"previous": ["../victim", "..", "/etc/x", "repomd.xml"]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	generateAt(t, dir, after, Options{})
	checkWhole(t, dir)
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
}

// TestTakesOverFromCreaterepo replaces metadata that another program made.
func TestTakesOverFromCreaterepo(t *testing.T) {
	needs(t, "createrepo_c")
	dir := copyPackages(t, fixtureDir)
	run(t, "createrepo_c", "-q", dir)
	result := generateAt(t, dir, Input{Packages: readPackages(t, dir)}, Options{})
	entries, err := os.ReadDir(filepath.Join(dir, "repodata"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, "repodata/"+e.Name())
	}
	if diff := cmp.Diff(sorted(result.Metadata), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadRepomd(t *testing.T) {
	if _, err := ReadRepomd(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	tests := []struct{ name, text, words string }{
		{"empty", "", "it is empty"},
		{"no XML", "hello", "it is empty"},
		{"other document", "<html/>", "the document is <html>, not <repomd>"},
		{"cut off", "<repomd>\n<data type='primary'>", "line 2"},
		{"no number", "<repomd>\n<data><size>x</size></data></repomd>", `line 2: <size> is "x", not a number`},
		{"deep", strings.Repeat("<repomd>", 100), "nested more than 32 deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseRepomd([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
		})
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "repodata"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "repodata", "repomd.xml"), slices.Repeat([]byte(" "), maxRepomdSize+1), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRepomd(dir); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too large: %v", err)
	}
}
