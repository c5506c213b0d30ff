package source

import (
	"bytes"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestGitHTTP fetches over http from git's own server program, which asks for a
// password, and sees that the password gets there and nowhere else.
func TestGitHTTP(t *testing.T) {
	repo, commit := makeRepo(t, map[string]string{"pkg.spec": "x"})
	backend := filepath.Join(runGit(t, repo, "--exec-path"), "git-http-backend")
	if !exists(backend) {
		t.Skip("git-http-backend is not installed")
	}
	base := t.TempDir()
	if err := os.Symlink(filepath.Join(repo, ".git"), filepath.Join(base, "pkg.git")); err != nil {
		t.Fatal(err)
	}
	handler := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + base, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=" + safeConfig(t)}}
	var other atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		other.Add(1)
		handler.ServeHTTP(w, r)
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, password, _ := r.BasicAuth(); {
		case strings.HasPrefix(r.URL.Path, "/moved"):
			http.Redirect(w, r, elsewhere.URL+strings.TrimPrefix(r.URL.RequestURI(), "/moved"), http.StatusFound)
		case user != "u" || password != "hunter2":
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	defer server.Close()

	withPassword := strings.Replace(server.URL, "http://", "http://u:hunter2@", 1)
	log, logged := logger()
	f := &Finder{WorkDir: t.TempDir(), Log: log}
	p, _, got := resolveFetch(t, f, Request{Component: "pkg", Repository: withPassword + "/pkg.git", Ref: "main"})
	if p.Commit != commit || p.Location != server.URL+"/pkg.git" || got["pkg.spec"] != "x" {
		t.Errorf("%+v %v", p, got)
	}
	_, err := f.Resolve(t.Context(), Request{Component: "pkg", Where: "m.yaml:2", Repository: server.URL + "/pkg.git"})
	wantError(t, err, Environment, "m.yaml:2", server.URL)
	_, err = f.Resolve(t.Context(), Request{Component: "pkg", Where: "m.yaml:2", Repository: withPassword + "/moved/pkg.git"})
	wantError(t, err, Environment, "m.yaml:2", server.URL)
	if other.Load() != 0 {
		t.Error("a redirect was followed with a password")
	}
	if strings.Contains(err.Error()+logged.String(), "hunter2") {
		t.Errorf("the password is shown: %v %s", err, logged)
	}
	// Without a password to lose, a redirect is followed.
	if _, err = f.Resolve(t.Context(), Request{Component: "pkg", Repository: server.URL + "/moved/pkg.git"}); err != nil || other.Load() == 0 {
		t.Errorf("after a redirect: %v", err)
	}
	kept := false
	err = filepath.WalkDir(f.WorkDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		kept = kept || strings.Contains(string(data), "hunter2")
		return err
	})
	if err != nil || kept {
		t.Errorf("the password is on disk: %v, %v", kept, err)
	}
}

func safeConfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gitconfig")
	if err := os.WriteFile(path, []byte("[safe]\n\tdirectory = *\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSecretIsNowhere looks, while git runs, at what other users could see of it.
func TestSecretIsNowhere(t *testing.T) {
	const secret = "Basic aHVudGVyMg=="
	dir := t.TempDir()
	g, err := newGit(dir, nil, 0)
	if err != nil {
		t.Skipf("git cannot be used: %v", err)
	}
	var seen bytes.Buffer
	_, err = g.run(t.Context(), gitCall{
		url: GitURL{auth: secret},
		// An alias runs a shell below git, with all that git hands on.
		config: []string{"alias.look=!cat /proc/self/cmdline /proc/self/environ; git config http.extraHeader"},
		args:   []string{"look"}, stdout: &seen,
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(seen.String(), "aHVudGVyMg"); n != 1 {
		t.Errorf("the secret is seen %d times, want once, as git's own configuration:\n%q", n, seen.String())
	}
}
