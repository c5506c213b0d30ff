package source

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// commitDate is the time of all commits that the tests make.
const commitDate = "2024-05-06T07:08:09Z"

const packager = "---\ndocument: modulemd-packager\nversion: 3\n"

// runGit runs git as a packager would, without the user's configuration.
func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com",
		"GIT_AUTHOR_DATE="+commitDate, "GIT_COMMITTER_DATE="+commitDate)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// needGit skips the test where git is not installed.
func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
}

// write makes files below dir; those whose content begins with "-> " are
// symbolic links, those whose name ends with "*" are executable.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		perm := os.FileMode(0o644)
		if n, ok := strings.CutSuffix(name, "*"); ok {
			name, perm = n, 0o755
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), perm)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// read gives what write would have been given for dir, less .git.
func read(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	entries, err := listDir(t.Context(), root, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var b strings.Builder
		if err := dirContent(t.Context(), root)(e, &b); err != nil {
			t.Fatal(err)
		}
		switch e.mode {
		case symlink:
			files[e.path] = "-> " + b.String()
		case executable:
			files[e.path+"*"] = b.String()
		default:
			files[e.path] = b.String()
		}
	}
	return files
}

// makeRepo makes a repository with one commit on the branch main, and gives its
// path and the commit.
func makeRepo(t testing.TB, files map[string]string) (dir, commit string) {
	t.Helper()
	needGit(t)
	dir = filepath.Join(t.TempDir(), "a repository")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	runGit(t, dir, "init", "-q", "-b", "main")
	return dir, commitFiles(t, dir, files)
}

func commitFiles(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	write(t, dir, files)
	runGit(t, dir, "add", "-A")
	runGit(t, dir, "commit", "-q", "-m", "change")
	return runGit(t, dir, "rev-parse", "HEAD")
}

// startDaemon serves the repository at dir by git daemon and gives its URL.
func startDaemon(t testing.TB, dir string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	link := filepath.Join(t.TempDir(), "pkg.git")
	if err := os.Symlink(filepath.Join(dir, ".git"), link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1",
		fmt.Sprintf("--port=%d", port), "--base-path="+filepath.Dir(link))
	if err := cmd.Start(); err != nil {
		t.Skipf("git daemon cannot be started: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for range 200 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return fmt.Sprintf("git://127.0.0.1:%d/pkg.git", port)
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("git daemon does not answer")
	return ""
}

// wantError checks that err holds all the words and has the fault.
func wantError(t testing.TB, err error, fault Fault, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error does not say %q:\n%v", w, err)
		}
	}
	var e *Error
	if !errors.As(err, &e) || e.Fault != fault {
		t.Errorf("fault is not %d: %#v", fault, e)
	}
}
