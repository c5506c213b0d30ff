package source

import (
	"crypto/md5"
	"crypto/sha512"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLookaside(t *testing.T) {
	const name, content = "pkg-1.0+x.tar.gz", "the tarball"
	new, old := fmt.Sprintf("%x", sha512.Sum512([]byte(content))), fmt.Sprintf("%x", md5.Sum([]byte(content)))
	for _, tt := range []struct {
		name, path, cache string // where the file lies; what the document's cache is
		lookaside, old    bool   // give --lookaside; sources in the old format
	}{
		{"lookaside, kind of checksum", "/pkg/" + name + "/sha512/" + new + "/" + name, "", true, false},
		{"lookaside, no kind, md5", "/pkg/" + name + "/" + old + "/" + name, "", true, true},
		{"lookaside without package", "/" + name + "/sha512/" + new + "/" + name, "", true, false},
		{"lookaside, plain", "/" + name, "", true, false},
		{"cache of the document", "/c/pkg/" + name + "/sha512/" + new + "/" + name, "/c/pkg", false, false},
		{"both, in the cache", "/c/" + name, "/c", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{filepath.FromSlash(strings.TrimPrefix(tt.path, "/")): content})
			var asked atomic.Int32
			files := http.FileServer(http.Dir(dir))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				files.ServeHTTP(w, r)
			}))
			defer server.Close()
			src := t.TempDir()
			sources := sourcesFor(tt.old, map[string]string{name: content})
			write(t, src, map[string]string{"pkg.spec": "x", "sources": sources})
			want := map[string]string{"pkg.spec": "x", "sources": sources, name: content}
			for _, base := range []string{server.URL, "file://" + dir, dir} {
				f := &Finder{WorkDir: t.TempDir(), HTTP: server.Client()}
				r := Request{Component: "pkg", Override: src}
				if tt.lookaside {
					f.Lookaside = base
				}
				if tt.cache != "" {
					r.Cache = base + tt.cache
				}
				_, _, got := resolveFetch(t, f, r)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("from %s: %s", base, diff)
				}
				before := asked.Load()
				resolveFetch(t, f, r)
				if asked.Load() != before {
					t.Error("downloaded again")
				}
			}
		})
	}
}

func TestLookasideFaults(t *testing.T) {
	const name, content = "x.tar", "content"
	tests := map[string]struct {
		handler http.HandlerFunc
		max     int64
		remote  bool
		cache   string
		fault   Fault
		says    []string
	}{
		"another content": {handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "other") },
			fault: BadInput, says: []string{"sources line 1", name, "sha512", fmt.Sprintf("%x", sha512.Sum512([]byte("other"))),
				fmt.Sprintf("%x", sha512.Sum512([]byte(content))), "http://127.0.0.1"}},
		"not there": {handler: http.NotFound, fault: BadInput, says: []string{name, "none of the lookaside", "404", "/pkg/x.tar"}},
		"broken": {handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) },
			fault: Environment, says: []string{name, "503"}},
		"cut short": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "con")
		}, fault: Environment, says: []string{name, "EOF"}},
		"endless": {handler: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, max: 1 << 20, fault: BadInput, says: []string{"larger than 1048576 bytes"}},
		"stands still": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, fault: Environment, says: []string{"no progress"}},
		"local cache, remote": {handler: http.NotFound, remote: true, cache: "/etc", fault: BadInput, says: []string{"may not name"}},
		"odd cache":           {handler: http.NotFound, cache: "gopher://x/y", fault: BadInput, says: []string{"cache", "http"}},
	}
	for name2, tt := range tests {
		t.Run(name2, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			u, _ := url.Parse(server.URL)
			u.User = url.UserPassword("u", "hunter2")
			log, logged := logger()
			f := &Finder{WorkDir: t.TempDir(), Lookaside: u.String(), HTTP: server.Client(), Backoff: time.Millisecond,
				Stall: 300 * time.Millisecond, MaxSize: tt.max, Retries: 2, Log: log}
			src := t.TempDir()
			write(t, src, map[string]string{"rpms/pkg/pkg.spec": "x", "rpms/pkg/sources": sourcesFor(false, map[string]string{name: content})})
			r := Request{Component: "pkg", BaseDir: src, Where: "m.yaml:4", Remote: tt.remote, Cache: tt.cache}
			p, err := f.Resolve(t.Context(), r)
			if err == nil {
				_, err = f.Fetch(t.Context(), p, t.TempDir())
			}
			wantError(t, err, tt.fault, append(tt.says, "m.yaml:4", "component pkg")...)
			if strings.Contains(err.Error()+logged.String(), "hunter2") {
				t.Errorf("the password is shown: %v %s", err, logged)
			}
			// Nothing half-done stays under a name that would be believed.
			found, _ := filepath.Glob(filepath.Join(f.WorkDir, "lookaside/*/*/*"))
			for _, path := range found {
				if filepath.Base(path) != ".lock" {
					t.Errorf("left over: %s", path)
				}
			}
		})
	}
}

func TestLookasideRetries(t *testing.T) {
	const content = "content"
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(500)
		case 2:
			w.Header().Set("Content-Length", "7")
			fmt.Fprint(w, "con")
		default:
			fmt.Fprint(w, content)
		}
	}))
	defer server.Close()
	src := t.TempDir()
	write(t, src, map[string]string{"pkg.spec": "x", "sources": sourcesFor(false, map[string]string{"x.tar": content})})
	f := &Finder{WorkDir: t.TempDir(), Lookaside: server.URL, Backoff: time.Millisecond}
	_, _, got := resolveFetch(t, f, Request{Component: "pkg", Override: src})
	if got["x.tar"] != content || asked.Load() != 3 {
		t.Errorf("got %q after %d requests", got["x.tar"], asked.Load())
	}
}

// TestLookasideDamagedCopy has a kept download change on disk, and a temporary
// file of a killed run.
func TestLookasideDamagedCopy(t *testing.T) {
	const content = "content"
	cache, src := t.TempDir(), t.TempDir()
	write(t, cache, map[string]string{"x.tar": content})
	write(t, src, map[string]string{"pkg.spec": "x", "sources": sourcesFor(false, map[string]string{"x.tar": content})})
	f := &Finder{WorkDir: t.TempDir(), Lookaside: cache}
	r := Request{Component: "pkg", Override: src}
	resolveFetch(t, f, r)
	kept, _ := filepath.Glob(filepath.Join(f.WorkDir, "lookaside/sha512/*/content"))
	if len(kept) != 1 {
		t.Fatalf("kept: %v", kept)
	}
	write(t, filepath.Dir(kept[0]), map[string]string{"content": "conten", ".tmp-content-1-0": "con"})
	_, _, got := resolveFetch(t, f, r)
	if got["x.tar"] != content {
		t.Errorf("got %q", got["x.tar"])
	}
	if exists(filepath.Join(filepath.Dir(kept[0]), ".tmp-content-1-0")) {
		t.Error("the temporary file of a killed run is still there")
	}
}
