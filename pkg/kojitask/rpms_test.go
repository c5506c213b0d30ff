package kojitask

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/xmlrpc"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// A kojiTree is a directory like Koji's topdir, and a hub that knows the RPMs in it.
type kojiTree struct {
	topdir string
	hub    *hub

	mu    sync.Mutex
	rpms  map[int64][]map[string]any // of builds, as listRPMs answers
	sums  map[int64]any              // of RPMs, as getRPMChecksums answers; a Fault refuses
	build map[int64]koji.Build
	calls []string

	refuse *xmlrpc.Fault // the answer to multiCall, where it is not nil
}

func newKojiTree(t testing.TB) *kojiTree {
	tree := &kojiTree{topdir: t.TempDir(), rpms: map[int64][]map[string]any{}, sums: map[int64]any{}, build: map[int64]koji.Build{}}
	server := httptest.NewServer(http.HandlerFunc(tree.serve))
	t.Cleanup(server.Close)
	client, err := koji.New(server.URL+"/kojihub", koji.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	tree.hub = &hub{Session: client.Anonymous(), task: 1}
	return tree
}

func (tree *kojiTree) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	method, params, err := xmlrpc.DecodeCall(body, xmlrpc.Limits{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	result := tree.answer(method, params)
	var reply []byte
	if f, ok := result.(xmlrpc.Fault); ok {
		reply, err = xmlrpc.EncodeFault(f)
	} else {
		reply, err = xmlrpc.EncodeResponse(result)
	}
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(reply)
}

func (tree *kojiTree) answer(method string, params []any) any {
	tree.mu.Lock()
	defer tree.mu.Unlock()
	tree.calls = append(tree.calls, method)
	switch method {
	case "listRPMs":
		list := []any{}
		for _, r := range tree.rpms[params[0].(map[string]any)["buildID"].(int64)] {
			list = append(list, r)
		}
		return list
	case "multiCall":
		if tree.refuse != nil {
			return *tree.refuse
		}
		var results []any
		for _, c := range params[0].([]any) {
			call := c.(map[string]any)
			args := call["params"].([]any)
			if want := map[string]any{"__starstar": true, "checksum_types": []any{"sha256"}}; call["methodName"] != "getRPMChecksums" || !cmp.Equal(want, args[1]) {
				return xmlrpc.Fault{Code: 1000, Message: fmt.Sprint("unexpected call ", call)}
			}
			switch sum := tree.sums[args[0].(int64)].(type) {
			case xmlrpc.Fault:
				results = append(results, map[string]any{"faultCode": sum.Code, "faultString": sum.Message})
			default:
				results = append(results, []any{sum})
			}
		}
		return results
	}
	return xmlrpc.Fault{Code: 1000, Message: "no such method: " + method}
}

// add puts an RPM into the tree and makes the hub know it.
func (tree *kojiTree) add(t testing.TB, id int64, file []byte) (koji.Build, map[string]any) {
	t.Helper()
	p, err := rpmfile.Read(strings.NewReader(string(file)))
	if err != nil {
		t.Fatal(err)
	}
	n := p.NEVRA()
	name, version, release := n.Name, n.Version, n.Release
	if src := p.SourceRPM(); src != "" {
		src = strings.TrimSuffix(src, ".src.rpm")
		i := strings.LastIndex(src, "-")
		j := strings.LastIndex(src[:i], "-")
		name, version, release = src[:j], src[j+1:i], src[i+1:]
	}
	build := koji.Build{ID: id, Name: name, Version: version, Release: release, NVR: name + "-" + version + "-" + release, Volume: "DEFAULT"}
	rpm := koji.RPM{Name: n.Name, Version: n.Version, Release: n.Release, Arch: n.Arch}
	path, err := koji.Paths{Top: tree.topdir}.RPM(build, rpm)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file, 0o666); err != nil {
		t.Fatal(err)
	}
	seconds, _ := p.Uint64(rpmfile.TagBuildTime)
	// As createrepo_c finds it when it is asked about the same file.
	at := time.Unix(int64(seconds), 0)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	tree.mu.Lock()
	defer tree.mu.Unlock()
	rpmID := id*1000 + int64(len(tree.rpms[id]))
	entry := map[string]any{
		"id": rpmID, "build_id": id, "name": n.Name, "version": n.Version, "release": n.Release, "arch": n.Arch,
		"epoch": nil, "size": int64(len(file)), "payloadhash": hex.EncodeToString(p.Signature.Bytes(rpmfile.SigTagMD5)),
		"buildtime": int64(seconds), "metadata_only": false, "extra": nil,
	}
	if n.Epoch > 0 {
		entry["epoch"] = int64(n.Epoch)
	}
	tree.rpms[id] = append(tree.rpms[id], entry)
	tree.sums[rpmID] = checksumsOf(file)
	tree.build[id] = build
	return build, entry
}

func checksumsOf(file []byte) map[string]any {
	sum := sha256.Sum256(file)
	return map[string]any{"": map[string]any{"sha256": hex.EncodeToString(sum[:])}}
}

// fixture reads a package of the tree's test data.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../testdata/rpms", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const (
	juniper = "juniper-1.4~rc2-3.x86_64.rpm" // epoch 2
	sorrel  = "sorrel-5.2-1.module+f41+1+c2572f1d.noarch.rpm"
	tansy   = "tansy-0.9-1.src.rpm"
)

func at(int) time.Duration { return time.Millisecond }

// A files is a web server for Koji's files that counts what it sends.
type files struct {
	topdir   string
	noRanges bool
	fail     func(n int) bool // whether request n, from 1 on, fails

	mu       sync.Mutex
	requests int
	sent     int64
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests++
	n := f.requests
	f.mu.Unlock()
	if f.noRanges {
		r.Header.Del("Range")
	}
	if f.fail != nil && f.fail(n) {
		switch n % 3 {
		case 0:
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		case 1: // the connection breaks in the middle of what was promised
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte("\xed\xab\xee\xdb"))
		}
		panic(http.ErrAbortHandler)
	}
	http.StripPrefix("/kojifiles", http.FileServer(http.Dir(f.topdir))).ServeHTTP(countingWriter{w, f}, r)
}

type countingWriter struct {
	http.ResponseWriter
	f *files
}

func (c countingWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.sent += int64(n)
	return n, err
}

func (f *files) start(t testing.TB) string {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL + "/kojifiles"
}

// padded appends to an RPM what no payload has, so that fetching it would show.
func padded(file []byte, size int) []byte {
	return append(slices.Clone(file), make([]byte, size)...)
}

func TestReadBuild(t *testing.T) {
	const payload = 8 << 20
	tree := newKojiTree(t)
	tree.add(t, 7, padded(fixture(t, juniper), payload))
	juniperBuild := tree.build[7]
	tree.add(t, 8, padded(fixture(t, sorrel), payload))
	tree.add(t, 9, padded(fixture(t, tansy), payload))
	read := func(t *testing.T, r *rpmReader) []builtRPM {
		t.Helper()
		var all []builtRPM
		for id := int64(7); id <= 9; id++ {
			built, err := r.readBuild(t.Context(), "component", tree.build[id])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, built...)
		}
		return all
	}
	local := read(t, &rpmReader{hub: tree.hub, topdir: tree.topdir})
	if diff := cmp.Diff([]string{"listRPMs", "multiCall", "listRPMs", "multiCall", "listRPMs", "multiCall"}, tree.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	// Another reader of the whole file finds the same, time and place aside.
	for i, rpm := range local {
		want, err := repogen.ReadPackage(t.Context(), rpm.Package.Path, rpm.Repo.Location)
		if err != nil {
			t.Fatal(err)
		}
		want.Time = want.Time.UTC()
		if diff := cmp.Diff(want, rpm.Repo); diff != "" {
			t.Errorf("RPM %d (-whole file +ours):\n%s", i, diff)
		}
		if rpm.Package.SHA256 != want.Checksum || rpm.Package.Size != want.Size || rpm.Package.Component != "component" {
			t.Errorf("package %+v, want the checksum and size of the file", rpm.Package)
		}
	}
	if got, want := local[0].Repo.Location, "toplink/packages/juniper/1.4~rc2/3/x86_64/juniper-1.4~rc2-3.x86_64.rpm"; got != want {
		t.Errorf("location %q, want %q", got, want)
	}
	if got, want := local[0].Package.NEVRA.String(), "juniper-2:1.4~rc2-3.x86_64"; got != want {
		t.Errorf("NEVRA %q, want %q", got, want)
	}
	for _, tt := range []struct {
		name   string
		server *files
		topdir string
	}{
		{name: "ranges", server: &files{}},
		{name: "no topdir on this machine", server: &files{}, topdir: filepath.Join(tree.topdir, "nowhere")},
		{name: "without ranges", server: &files{noRanges: true}},
		{name: "two of three requests fail", server: &files{fail: func(n int) bool { return n%3 != 2 }}},
		{name: "two of three requests fail, without ranges", server: &files{noRanges: true, fail: func(n int) bool { return n%3 != 2 }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.server
			f.topdir = tree.topdir
			remote := read(t, &rpmReader{hub: tree.hub, topdir: tt.topdir, topurl: f.start(t), wait: at})
			for i := range remote {
				if !strings.HasPrefix(remote[i].Package.Path, "http://") {
					t.Errorf("%s was not read over HTTP", remote[i].Package.Path)
				}
				remote[i].Package.Path = local[i].Package.Path
			}
			if diff := cmp.Diff(local, remote); diff != "" {
				t.Errorf("(-from topdir +from topurl)\n%s", diff)
			}
			// A server without ranges sends what the buffers of a connection hold.
			if limit := int64(300 << 10); !f.noRanges && f.sent > limit {
				t.Errorf("%d bytes were fetched of three packages with short headers", f.sent)
			} else if f.sent > 3*payload*3/4 {
				t.Errorf("%d bytes were fetched: the payloads too", f.sent)
			}
		})
	}
	t.Run("on another volume", func(t *testing.T) {
		build := juniperBuild
		build.Volume = "fast"
		r := &rpmReader{hub: tree.hub, topdir: tree.topdir}
		if err := os.MkdirAll(filepath.Join(tree.topdir, "vol/fast"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../packages", filepath.Join(tree.topdir, "vol/fast/packages")); err != nil {
			t.Fatal(err)
		}
		built, err := r.readBuild(t.Context(), "juniper", build)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := built[0].Repo.Location, "toplink/vol/fast/packages/juniper/1.4~rc2/3/x86_64/juniper-1.4~rc2-3.x86_64.rpm"; got != want {
			t.Errorf("location %q, want %q", got, want)
		}
	})
}

// TestReadBuildRefuses has a hub and files that do not agree.
func TestReadBuildRefuses(t *testing.T) {
	flip := func(b []byte) []byte {
		p, err := rpmfile.Read(strings.NewReader(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		i := bytes.Index(b[p.HeaderStart:], []byte("Library & tools"))
		b[int(p.HeaderStart)+i] = 'l'
		return b
	}
	for _, tt := range []struct {
		name  string
		entry map[string]any // changes to what the hub says
		sums  any            // what the hub says of checksums
		file  func([]byte) []byte
		build func(*koji.Build)
		want  string
	}{
		{name: "another name", entry: map[string]any{"name": "juniper2"}, want: "no such file"},
		{name: "another epoch", entry: map[string]any{"epoch": int64(3)}, want: "juniper-2:1.4~rc2-3.x86_64, and the hub says juniper-3:"},
		{name: "no epoch", entry: map[string]any{"epoch": nil}, want: "and the hub says juniper-0:"},
		{name: "another payload", entry: map[string]any{"payloadhash": "00"}, want: "SIGMD5"},
		{name: "another size", entry: map[string]any{"size": int64(5)}, want: "the hub says 5"},
		{name: "a shorter file", file: func(b []byte) []byte { return b[:len(b)-1] }, want: "bytes, and the hub says"},
		{name: "a file that ends in its header", file: func(b []byte) []byte { return b[:3000] }, want: "truncated"},
		{name: "a changed header", file: flip, want: "digest does not match"},
		{name: "another file", file: func([]byte) []byte { return []byte("<html>") }, want: "not an RPM"},
		{name: "a path out of the tree", entry: map[string]any{"arch": "../../x"}, want: "cannot be part of a path"},
		{name: "a build out of the tree", build: func(b *koji.Build) { b.Version = ".." }, want: "cannot be part of a path"},
		{name: "no file", entry: map[string]any{"metadata_only": true}, want: "no file"},
		{name: "a checksum that is none", sums: map[string]any{"": map[string]any{"sha256": "xyz"}}, want: "is none"},
		{name: "the wrong kind of answer", sums: "sha256", want: "reply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := newKojiTree(t)
			file := fixture(t, juniper)
			build, entry := tree.add(t, 7, file)
			path, err := koji.Paths{Top: tree.topdir}.RPM(build, koji.RPM{Name: "juniper", Version: "1.4~rc2", Release: "3", Arch: "x86_64"})
			if err != nil {
				t.Fatal(err)
			}
			if tt.file != nil {
				if err := os.WriteFile(path, tt.file(file), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			for k, v := range tt.entry {
				entry[k] = v
			}
			if tt.sums != nil {
				tree.sums[entry["id"].(int64)] = tt.sums
			}
			if tt.build != nil {
				tt.build(&build)
			}
			r := &rpmReader{hub: tree.hub, topdir: tree.topdir, wait: at}
			if _, err = r.readBuild(t.Context(), "juniper", build); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("from topdir: error %v, want one with %q", err, tt.want)
			} else if !strings.Contains(err.Error(), "juniper-1.4~rc2-3") {
				t.Errorf("the error does not name the build: %v", err)
			}
			f := &files{topdir: tree.topdir}
			r = &rpmReader{hub: tree.hub, topurl: f.start(t), wait: at}
			want := strings.Replace(tt.want, "no such file", "404", 1)
			if _, err = r.readBuild(t.Context(), "juniper", build); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("from topurl: error %v, want one with %q", err, want)
			}
		})
	}
}

// TestChecksums has hubs that do not tell the checksum of the file as it was built.
func TestChecksums(t *testing.T) {
	file := fixture(t, sorrel)
	own := checksumsOf(file)[""]
	other := map[string]any{"sha256": strings.Repeat("ab", 32)}
	for _, tt := range []struct {
		name   string
		sums   any
		local  string // empty for the file's own
		remote string // an error; empty for the file's own
	}{
		{name: "unsigned", sums: map[string]any{"": own}},
		{name: "signed since", sums: map[string]any{"": own, "1234abcd": other}},
		{name: "signed when it was imported", sums: map[string]any{"1234abcd": own}},
		{name: "signed twice", sums: map[string]any{"1234abcd": other, "abcd1234": other}, remote: "no SHA-256"},
		{name: "none stored", sums: map[string]any{}, remote: "no SHA-256"},
		{name: "not this one", sums: map[string]any{"": map[string]any{"sha256": nil}}, remote: "no SHA-256"},
		{name: "a hub that knows no such call", sums: xmlrpc.Fault{Code: 1000, Message: "Invalid method: getRPMChecksums"}, remote: "no SHA-256"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := newKojiTree(t)
			build, entry := tree.add(t, 7, file)
			tree.sums[entry["id"].(int64)] = tt.sums
			want := own.(map[string]any)["sha256"]
			built, err := (&rpmReader{hub: tree.hub, topdir: tree.topdir}).readBuild(t.Context(), "sorrel", build)
			if err != nil || built[0].Repo.Checksum != want {
				t.Errorf("from topdir: %v, %v, want %s", built, err, want)
			}
			f := &files{topdir: tree.topdir}
			built, err = (&rpmReader{hub: tree.hub, topurl: f.start(t), wait: at}).readBuild(t.Context(), "sorrel", build)
			switch {
			case tt.remote == "" && (err != nil || built[0].Repo.Checksum != want):
				t.Errorf("from topurl: %v, want %s", err, want)
			case tt.remote != "" && (err == nil || !strings.Contains(err.Error(), tt.remote)):
				t.Errorf("from topurl: error %v, want one with %q", err, tt.remote)
			}
		})
	}
}

// TestChecksumsRefused has a hub that answers no call at all.
func TestChecksumsRefused(t *testing.T) {
	tree := newKojiTree(t)
	build, _ := tree.add(t, 7, fixture(t, sorrel))
	tree.refuse = &xmlrpc.Fault{Code: int64(koji.ErrServerOffline), Message: "database outage"}
	_, err := (&rpmReader{hub: tree.hub, topdir: tree.topdir}).readBuild(t.Context(), "sorrel", build)
	if !errors.Is(err, koji.ErrServerOffline) {
		t.Errorf("error %v, want the hub's", err)
	}
}

// TestRemoteFile has servers that lie.
func TestRemoteFile(t *testing.T) {
	long := strings.Repeat("0123456789", 20000)
	reply := func(status int, headers, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for line := range strings.Lines(headers) {
				k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
				w.Header().Set(k, v)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string // an error; empty for the content
	}{
		{"in pieces", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x", time.Time{}, strings.NewReader(long))
		}, ""},
		{"of no known size", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, long[:100])
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, long[100:])
		}, ""},
		{"another range", reply(206, "Content-Range: bytes 5-9/200000", "56789"), "asked for bytes from 0 on"},
		{"no range", reply(206, "", long), "asked for bytes from 0 on"},
		{"a range beyond the end", reply(206, "Content-Range: bytes 0-9/5", "0123456789"), "asked for bytes from 0 on"},
		{"a range backwards", reply(206, "Content-Range: bytes 0--9/5", ""), "asked for bytes from 0 on"},
		{"nothing", reply(404, "", ""), "404"},
		{"nothing any more", reply(410, "", ""), "410"},
		{"not allowed", reply(403, "", ""), "403"},
		{"always busy", reply(503, "", ""), "503"},
		{"packed", reply(200, "Content-Encoding: gzip", "xyz"), "packed"},
		{"an endless redirection", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, "redirections"},
		{"growing", func() http.HandlerFunc {
			n := 0
			return func(w http.ResponseWriter, r *http.Request) {
				n++
				http.ServeContent(w, r, "x", time.Time{}, strings.NewReader(long+strings.Repeat("x", n)))
			}
		}(), "bytes before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			f, err := newRemoteFile(t.Context(), newFilesClient(nil), server.URL+"/x", at)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := io.ReadAll(io.LimitReader(f, 1<<20))
			switch {
			case tt.want == "" && (err != nil || string(got) != long):
				t.Errorf("%d bytes, %v, want the %d of the file", len(got), err, len(long))
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%d bytes, error %v, want one with %q", len(got), err, tt.want)
			}
		})
	}
	t.Run("a password stays secret", func(t *testing.T) {
		f, err := newRemoteFile(t.Context(), newFilesClient(nil), "http://user:hush@127.0.0.1:1/x", at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("error %v, want one without the password", err)
		}
	})
	t.Run("the end of the context ends it", func(t *testing.T) {
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel(stopped)
			<-r.Context().Done()
		}))
		defer server.Close()
		f, err := newRemoteFile(ctx, newFilesClient(nil), server.URL+"/x", at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, stopped) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes 0-9/*")
	f.Add("bytes */10")
	f.Add("bytes 1-0/18446744073709551615")
	f.Fuzz(func(t *testing.T, s string) {
		first, last, total, ok := contentRange(s)
		if ok && (first < 0 || last < 0 || total >= 0 && last >= total) {
			t.Errorf("%q: %d to %d of %d", s, first, last, total)
		}
	})
}

func TestInParallel(t *testing.T) {
	failure := errors.New("failure")
	for _, tt := range []struct {
		name string
		n    int
		fail int
		want error
	}{
		{"none", 0, -1, nil},
		{"all", 100, -1, nil},
		{"a failure ends it", 100000, 10, failure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			now, most, calls := 0, 0, 0
			err := inParallel(t.Context(), tt.n, 3, func(ctx context.Context, i int) error {
				mu.Lock()
				now, calls = now+1, calls+1
				most = max(most, now)
				mu.Unlock()
				defer func() { mu.Lock(); now--; mu.Unlock() }()
				if i == tt.fail {
					return failure
				}
				return nil
			})
			if !errors.Is(err, tt.want) || most > 3 || tt.want == nil && calls != tt.n || tt.want != nil && calls == tt.n {
				t.Errorf("error %v after %d calls, %d at once; want %v after %d", err, calls, most, tt.want, tt.n)
			}
		})
	}
}
