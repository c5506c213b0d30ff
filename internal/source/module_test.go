package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOpenModuleWorkTree(t *testing.T) {
	repo, commit := makeRepo(t, map[string]string{
		"mod/greeter.yaml": packager, "mod/rpms/a/a.spec": "Name: a\n", "other/x": "x", ".gitignore": "*.o\n",
	})
	dir := filepath.Join(repo, "mod")
	open := func(ignore ...string) *Module {
		t.Helper()
		m, err := OpenModule(t.Context(), dir, t.TempDir(), Options{Ignore: ignore})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	date, _ := time.Parse(time.RFC3339, commitDate)
	want := &Module{File: filepath.Join(dir, "greeter.yaml"), Dir: dir, Name: "mod", Stream: "main", Commit: commit, Time: date, Clean: true}
	if diff := cmp.Diff(want, open()); diff != "" {
		t.Error(diff)
	}
	write(t, repo, map[string]string{"other/y": "y", "mod/x.o": "ignored"})
	if !open().Clean {
		t.Error("changes outside the directory, or to ignored files, made it unclean")
	}
	write(t, dir, map[string]string{"sub/out/repo/x": "x"})
	if open().Clean {
		t.Error("clean with an untracked file")
	}
	if !open(filepath.Join(dir, "sub/out")).Clean {
		t.Error("the output directory made it unclean")
	}
	write(t, dir, map[string]string{"rpms/a/a.spec": "Name: b\n"})
	if open(filepath.Join(dir, "sub/out")).Clean {
		t.Error("clean with a changed file")
	}
}

func TestOpenModuleUntrackedDocument(t *testing.T) {
	repo, _ := makeRepo(t, map[string]string{".gitignore": "*.yaml\n"})
	write(t, repo, map[string]string{"m.yaml": packager})
	m, err := OpenModule(t.Context(), filepath.Join(repo, "m.yaml"), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Clean {
		t.Error("clean with a document that no commit has")
	}
}

func TestOpenModuleOutsideGit(t *testing.T) {
	tests := map[string]struct {
		files      map[string]string
		file, says string
	}{
		"one":          {map[string]string{"a.yaml": packager, "b.yaml": "x: y\n", "c.txt": packager}, "a.yaml", ""},
		"stream":       {map[string]string{"a.yml": "document: \"modulemd-stream\" # x\nversion: 2\n"}, "a.yml", ""},
		"preferred":    {map[string]string{"a.yaml": packager, "mod.yaml": packager}, "mod.yaml", ""},
		"several":      {map[string]string{"a.yaml": packager, "b.yaml": packager}, "", "a.yaml, b.yaml"},
		"none":         {map[string]string{"a.yaml": "document: modulemd-defaults\n"}, "", "no modulemd document"},
		"not the top":  {map[string]string{"a.yaml": "data:\n  document: modulemd\n"}, "", "no modulemd document"},
		"only below":   {map[string]string{"x/a.yaml": packager}, "", "no modulemd document"},
		"huge line":    {map[string]string{"a.yaml": string(make([]byte, maxScan+10))}, "", "no modulemd document"},
		"is directory": {map[string]string{"a.yaml/x": packager}, "", "no modulemd document"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mod")
			write(t, dir, tt.files)
			m, err := OpenModule(t.Context(), dir, t.TempDir(), Options{})
			if tt.says != "" {
				wantError(t, err, BadInput, tt.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := &Module{File: filepath.Join(dir, tt.file), Dir: dir, Name: "mod", Clean: true}
			if diff := cmp.Diff(want, m); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := OpenModule(t.Context(), "/nonexistent/x", t.TempDir(), Options{})
	wantError(t, err, BadInput, "no such")
	_, err = OpenModule(t.Context(), "ext::sh -c x", t.TempDir(), Options{})
	wantError(t, err, BadInput, "white space")
	_, err = OpenModule(t.Context(), "ext::x", t.TempDir(), Options{})
	wantError(t, err, BadInput, "not a git URL")
}

func TestOpenModuleURL(t *testing.T) {
	repo, commit := makeRepo(t, map[string]string{
		"greeter.yaml": packager, "rpms/a/a.spec": "x", "rpms/a/run*": "#!/bin/sh\n", "link": "-> rpms/a/a.spec", "dangling": "-> nowhere",
	})
	date, _ := time.Parse(time.RFC3339, commitDate)
	local := GitURL{Scheme: "file", Remote: repo}.String()
	daemon := startDaemon(t, repo)
	work := t.TempDir()
	for _, tt := range []struct {
		name, url, module, stream string
		remote                    bool
	}{
		{"file, HEAD", local, "a repository", "main", false},
		{"file, branch", local + "?#main", "a repository", "main", false},
		{"file, commit", local + "?#" + commit, "a repository", "", false},
		{"daemon, short commit", daemon + "?#" + commit[:9], "pkg", "", true},
		{"daemon, branch", daemon + "#main", "pkg", "main", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := OpenModule(t.Context(), tt.url, work, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(read(t, repo), read(t, m.Dir)); diff != "" {
				t.Errorf("laid out (-repository +ours)\n%s", diff)
			}
			u, _ := ParseURL(tt.url)
			want := &Module{File: filepath.Join(m.Dir, "greeter.yaml"), Dir: m.Dir, Name: tt.module, Stream: tt.stream,
				URL: u.String(), Commit: commit, Time: date, Clean: true, Remote: tt.remote}
			if diff := cmp.Diff(want, m); diff != "" {
				t.Error(diff)
			}
		})
	}
	// What somebody did to the cached tree does not last.
	m, err := OpenModule(t.Context(), local, work, Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, m.Dir, map[string]string{"greeter.yaml": "changed"})
	if m, err = OpenModule(t.Context(), local, work, Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, repo), read(t, m.Dir)); diff != "" {
		t.Errorf("laid out again (-repository +ours)\n%s", diff)
	}
}

// TestOpenModuleRunsNothing opens work trees whose configuration names programs.
func TestOpenModuleRunsNothing(t *testing.T) {
	repo, _ := makeRepo(t, map[string]string{"m.yaml": packager, ".gitattributes": "* filter=evil\n"})
	marker := filepath.Join(t.TempDir(), "ran")
	program := filepath.Join(t.TempDir(), "program")
	write(t, filepath.Dir(program), map[string]string{"program*": "#!/bin/sh\ntouch " + marker + "\ncat\n"})
	for _, key := range []string{
		"core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "gpg.program", "core.sshCommand", "core.pager",
		"core.editor", "diff.external", "uploadpack.packObjectsHook", "core.alternateRefsCommand", "credential.helper",
	} {
		runGit(t, repo, "config", key, program)
	}
	runGit(t, repo, "config", "log.showSignature", "true")
	write(t, repo, map[string]string{".git/hooks/post-index-change*": "#!/bin/sh\ntouch " + marker + "\n"})
	if os.Getuid() != 0 {
		t.Skip("needs root to give a repository to somebody else")
	}
	if out, err := exec.Command("chown", "-R", "12345:12345", repo).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v %s", err, out)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(repo, "m.yaml"), later, later); err != nil {
		t.Fatal(err)
	}
	m, err := OpenModule(t.Context(), repo, t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !m.Clean {
		t.Error("not clean")
	}
	if _, err := OpenModule(t.Context(), GitURL{Scheme: "file", Remote: repo}.String(), t.TempDir(), Options{}); err != nil {
		t.Fatal(err)
	}
	if exists(marker) {
		t.Error("a program of the repository was run")
	}
}

// TestOpenModuleOrdinaryUser reads another user's repositories as an ordinary
// user, which git by itself refuses.
func TestOpenModuleOrdinaryUser(t *testing.T) {
	const asUser, repoVar = "KOJIMOD_TEST_AS_USER", "KOJIMOD_TEST_REPO"
	if os.Getenv(asUser) != "" {
		repo := os.Getenv(repoVar)
		for _, arg := range []string{repo, GitURL{Scheme: "file", Remote: repo}.String()} {
			m, err := OpenModule(t.Context(), arg, t.TempDir(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if m.Commit == "" || !m.Clean {
				t.Errorf("%s: %+v", arg, m)
			}
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	repo, _ := makeRepo(t, map[string]string{"m.yaml": packager})
	base, err := os.MkdirTemp("/tmp", "kojimod-source-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	runGit(t, base, "clone", "-q", repo, "repo")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "test"), self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(base, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	const id = 54321
	if err := os.Chown(filepath.Join(base, "tmp"), id, id); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(base, "test"), "-test.run=^TestOpenModuleOrdinaryUser$", "-test.v")
	cmd.Dir = base
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + base, "TMPDIR=" + filepath.Join(base, "tmp"),
		asUser + "=" + strconv.Itoa(id), repoVar + "=" + filepath.Join(base, "repo")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as an ordinary user: %v\n%s", err, out)
	}
}
