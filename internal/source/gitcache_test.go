package source

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clones gives the clones below a Finder's work directory.
func clones(t *testing.T, f *Finder) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(f.WorkDir, "git/*.git"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// TestCloneIsKept sees that a second run needs the remote no more for a commit.
func TestCloneIsKept(t *testing.T) {
	repo, commit := makeRepo(t, map[string]string{"pkg.spec": "x"})
	url := GitURL{Scheme: "file", Remote: repo}.String()
	work := t.TempDir()
	p, _, _ := resolveFetch(t, &Finder{WorkDir: work}, Request{Component: "pkg", Repository: url, Ref: commit})
	objects := filepath.Join(repo, ".git", "objects")
	if err := os.Rename(objects, objects+".away"); err != nil {
		t.Fatal(err)
	}
	again, _, _ := resolveFetch(t, &Finder{WorkDir: work}, Request{Component: "pkg", Repository: url, Ref: commit})
	if again.Digest != p.Digest {
		t.Errorf("digests %s and %s", p.Digest, again.Digest)
	}
}

// TestCloneIsShallow sees that the history of a branch is not fetched.
func TestCloneIsShallow(t *testing.T) {
	repo, _ := makeRepo(t, map[string]string{"pkg.spec": "x"})
	for _, v := range []string{"1", "2", "3"} {
		commitFiles(t, repo, map[string]string{"pkg.spec": v})
	}
	f := &Finder{WorkDir: t.TempDir()}
	resolveFetch(t, f, Request{Component: "pkg", Repository: startDaemon(t, repo), Ref: "main"})
	if n := runGit(t, clones(t, f)[0], "rev-list", "--all", "--count"); n != "1" {
		t.Errorf("the clone has %s commits, want 1", n)
	}
}

// TestCloneGarbage puts into a clone what a killed or crashed run may leave.
func TestCloneGarbage(t *testing.T) {
	repo, first := makeRepo(t, map[string]string{"pkg.spec": "x", "data": strings.Repeat("abc", 1000)})
	truncatePacks := func(dir string) error {
		return filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if err := os.Chmod(path, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 20)
		})
	}
	for name, damage := range map[string]func(dir string) error{
		"locks": func(dir string) error {
			for _, f := range []string{"shallow.lock", "config.lock", "HEAD.lock", "packed-refs.lock", "refs/pinned/" + first + ".lock"} {
				if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
					return err
				}
			}
			return os.RemoveAll(filepath.Join(dir, "refs", "pinned", first)) // so that it has to write
		},
		"half a pack": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "objects/pack/tmp_pack_abc"), []byte("PACK"), 0o600)
		},
		"no HEAD":         func(dir string) error { return os.Remove(filepath.Join(dir, "HEAD")) },
		"empty HEAD":      func(dir string) error { return os.Truncate(filepath.Join(dir, "HEAD"), 0) },
		"bad config":      func(dir string) error { return os.WriteFile(filepath.Join(dir, "config"), []byte("[x"), 0o600) },
		"empty directory": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) },
		"a file":          func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, []byte("x"), 0o600)) },
		"half made":       func(dir string) error { return os.Rename(dir, dir+".new") },
		"no objects": func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "objects")), os.MkdirAll(filepath.Join(dir, "objects/pack"), 0o700))
		},
		"truncated objects": truncatePacks,
		"empty pin": func(dir string) error {
			return os.Truncate(filepath.Join(dir, "refs/pinned", first), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &Finder{WorkDir: t.TempDir()}
			r := Request{Component: "pkg", Repository: GitURL{Scheme: "file", Remote: repo}.String(), Ref: "main"}
			p, _, want := resolveFetch(t, f, r)
			if err := damage(clones(t, f)[0]); err != nil {
				t.Fatal(err)
			}
			again, _, got := resolveFetch(t, f, r)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if again.Digest != p.Digest {
				t.Errorf("digests %s and %s", p.Digest, again.Digest)
			}
			// Between the steps of one run, too.
			if err := damage(clones(t, f)[0]); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Fetch(t.Context(), again, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCloneConcurrent lets many use one clone at once, as several Finders, which
// share nothing but the directory, like processes do.
func TestCloneConcurrent(t *testing.T) {
	repo, first := makeRepo(t, map[string]string{"pkg.spec": "x"})
	second := commitFiles(t, repo, map[string]string{"pkg.spec": "y"})
	work := t.TempDir()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			f := &Finder{WorkDir: work}
			commit := []string{first, second}[n%2]
			p, err := f.Resolve(t.Context(), Request{Component: "pkg", Repository: GitURL{Scheme: "file", Remote: repo}.String(), Ref: commit})
			if err == nil {
				_, err = f.Fetch(t.Context(), p, filepath.Join(t.TempDir(), "x"))
			}
			if err != nil || p.Commit != commit {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	wg.Wait()
}

// silentServer accepts connections and never answers.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
	})
	return "git://" + l.Addr().String() + "/pkg.git"
}

func TestGitStalls(t *testing.T) {
	needGit(t)
	f := &Finder{WorkDir: t.TempDir(), Stall: 300 * time.Millisecond}
	url := silentServer(t)
	_, err := f.Resolve(t.Context(), Request{Component: "pkg", Where: "m.yaml:1", Repository: url})
	wantError(t, err, Environment, "no progress", "m.yaml:1", url)
}

func TestGitCancelled(t *testing.T) {
	needGit(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	_, err := (&Finder{WorkDir: t.TempDir()}).Resolve(ctx, Request{Component: "pkg", Repository: silentServer(t)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestGitSHA256 uses a repository with the longer object ids.
func TestGitSHA256(t *testing.T) {
	needGit(t)
	repo := t.TempDir()
	runGit(t, repo, "init", "-q", "-b", "main", "--object-format=sha256")
	commit := commitFiles(t, repo, map[string]string{"pkg.spec": "x"})
	p, _, got := resolveFetch(t, &Finder{WorkDir: t.TempDir()}, Request{Component: "pkg", Repository: repo})
	if p.Commit != commit || len(commit) != 64 || got["pkg.spec"] != "x" {
		t.Errorf("%+v %v", p, got)
	}
}

func TestStaysInside(t *testing.T) {
	links := map[string]string{
		"in": "a/b", "out": "../x", "abs": "/x", "p/d": "..", "p/q/l": "../d/../x", "p/back": "d/p/q", "ring": "ring", "dot": ".",
		"bomb": strings.Repeat("bomb/", 800),
	}
	for p, want := range map[string]bool{
		"in": true, "out": false, "abs": false, "p/d": true, "p/q/l": false, "p/back": true, "ring": false, "dot": true, "bomb": false, "none": true,
	} {
		if got := staysInside(p, links); got != want {
			t.Errorf("%s: %v, want %v", p, got, want)
		}
	}
}

func TestPlainText(t *testing.T) {
	in := "Counting: 1%\rCounting: 100%\nremote: \x1b[31mred\x07\nfatal: no\n"
	if got, want := plainText(in), "Counting: 100%; remote: [31mred; fatal: no"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKeeper(t *testing.T) {
	over := 0
	first := &keeper{limit: 5, alive: func() {}, over: func() { over++ }}
	last := &keeper{limit: 5, last: true, alive: func() {}}
	for _, s := range []string{"abc", "def", "ghijklmn"} {
		for _, k := range []*keeper{first, last} {
			if n, err := k.Write([]byte(s)); n != len(s) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		}
	}
	if !bytes.Equal(first.buf.Bytes(), []byte("abcde")) || over != 2 || last.buf.String() != "jklmn" {
		t.Errorf("first %q (%d), last %q", first.buf.String(), over, last.buf.String())
	}
}
