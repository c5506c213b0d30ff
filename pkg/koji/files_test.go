package koji

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// withCheckUpload adds the hub's checkUpload.
func (h *fakeHub) withCheckUpload() {
	h.methods["checkUpload"] = func(args []any) (any, error) {
		data, ok := h.files[args[0].(string)+"/"+args[1].(string)]
		if !ok {
			return nil, nil
		}
		return map[string]any{"size": len(data), "mtime": 1700000000.5, "sumlength": len(data),
			"hexdigest": fmt.Sprintf("%08x", adler32.Checksum(data))}, nil
	}
}

func TestUpload(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 25))
	tests := []struct {
		name     string
		content  []byte
		there    []byte // on the hub before
		resume   bool
		troubles []trouble
		uploads  int // requests
		fails    error
	}{
		{name: "in chunks", content: content, uploads: 3},
		{name: "empty", content: nil, uploads: 1},
		{name: "exactly one chunk", content: content[:100], uploads: 1},
		{name: "replaces", content: content[:10], there: content, uploads: 1},
		{name: "replies lost", content: content, troubles: []trouble{{"rawUpload", "lose"}, {"rawUpload", "502"}, {"rawUpload", "cut"}}, uploads: 6},
		{name: "session expires", content: content, troubles: []trouble{{"rawUpload", "expire"}}, uploads: 4},
		{name: "resumed", content: content, there: content[:130], resume: true, uploads: 2},
		{name: "resumed when complete", content: content, there: content, resume: true, uploads: 0},
		{name: "not resumed: other content", content: content, there: []byte("other"), resume: true, uploads: 3},
		{name: "not resumed: longer", content: content[:50], there: content, resume: true, uploads: 1},
		{name: "resumed from nothing", content: content, resume: true, uploads: 3},
		{name: "given up", content: content, troubles: repeat(trouble{"rawUpload", "503"}, 1000), uploads: -1, fails: ErrOutcomeUnknown},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			h := newFakeHub(t)
			h.withCheckUpload()
			if tc.there != nil {
				h.files["dir/sub/f"] = bytes.Clone(tc.there)
			}
			s := h.login(Options{UploadChunk: 100})
			h.trouble(tc.troubles...)
			var last int64
			got, err := s.Upload(t.Context(), "dir/sub", "f", bytes.NewReader(tc.content), int64(len(tc.content)),
				UploadOptions{Resume: tc.resume, Progress: func(n int64) { last = n }})
			if !errors.Is(err, tc.fails) {
				t.Fatalf("got %v, want %v", err, tc.fails)
			}
			if tc.fails != nil {
				return
			}
			if !bytes.Equal(h.files["dir/sub/f"], tc.content) || got.Size != int64(len(tc.content)) {
				t.Errorf("the hub has %d bytes, %+v", len(h.files["dir/sub/f"]), got)
			}
			n := strings.Count(strings.Join(h.seen, "\n"), "rawUpload")
			if n != tc.uploads || n > 0 && last != got.Size {
				t.Errorf("%d requests, want %d; progress %d", n, tc.uploads, last)
			}
		})
	}
}

func TestUploadIsChecked(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{UploadChunk: 2})
	h.methods["checkUpload"] = func([]any) (any, error) {
		return map[string]any{"size": 3, "mtime": 1.0, "hexdigest": "00000000"}, nil
	}
	if _, err := s.Upload(t.Context(), "dir", "f", strings.NewReader("abc"), 3, UploadOptions{}); !errors.Is(err, ErrDigest) {
		t.Errorf("another checksum: %v", err)
	}
	if _, err := s.Upload(t.Context(), "dir", "f", strings.NewReader("abc"), 4, UploadOptions{}); err == nil {
		t.Error("a file that is shorter than said")
	}
	for _, bad := range [][2]string{{"dir", ""}, {"dir", "a/b"}, {"dir", ".x"}, {"../x", "f"}, {"", "f"}, {"/abs", "f"}, {"a/../b", "f"}} {
		if err := s.UploadChunk(t.Context(), bad[0], bad[1], nil, 0, ""); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestDownload(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 1000))
	sum := sha256.Sum256(content)
	good := Want{Size: int64(len(content)), Algorithm: "sha256", Digest: hex.EncodeToString(sum[:])}
	tests := []struct {
		name   string
		breaks int    // how many times the connection breaks after some bytes
		ranges bool   // the server knows ranges
		etags  string // one letter for each request
		status int
		want   Want
		err    error
		fails  bool
	}{
		{name: "whole", ranges: true, want: good},
		{name: "breaks, goes on", breaks: 3, ranges: true, etags: "aaaa", want: good},
		{name: "breaks, all again", breaks: 3, etags: "aaaa", want: good},
		{name: "changed meanwhile", breaks: 1, ranges: true, etags: "ab", want: good, fails: true},
		{name: "size only", want: Want{Size: 10000}},
		{name: "nothing known", want: Want{Size: -1}},
		{name: "shorter", want: Want{Size: 10001}, err: ErrDigest},
		{name: "longer", want: Want{Size: 9999}, err: ErrDigest},
		{name: "too long", want: Want{Size: -1, MaxSize: 100}, err: ErrDigest},
		{name: "other content", want: Want{Size: -1, Algorithm: "md5", Digest: "00"}, err: ErrDigest},
		{name: "not there", status: 404, want: good, err: ErrNotFound},
		{name: "forbidden", status: 403, want: good, fails: true},
		{name: "unknown algorithm", want: Want{Algorithm: "crc"}, fails: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n++
				if tc.etags != "" {
					w.Header().Set("ETag", `"`+string(tc.etags[min(n, len(tc.etags))-1])+`"`)
				}
				if tc.status != 0 {
					w.WriteHeader(tc.status)
					return
				}
				if !tc.ranges {
					r.Header.Del("Range")
				}
				if n <= tc.breaks {
					w = &breaking{ResponseWriter: w, left: 2500 + n*100}
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			}))
			defer srv.Close()
			c, err := New(srv.URL, Options{})
			if err != nil {
				t.Fatal(err)
			}
			fakeTime(c)
			var got bytes.Buffer
			err = c.Download(t.Context(), &got, srv.URL+"/f", tc.want)
			switch {
			case tc.err != nil && !errors.Is(err, tc.err), tc.fails && err == nil:
				t.Errorf("got %v, want %v", err, tc.err)
			case tc.err == nil && !tc.fails && (err != nil || !bytes.Equal(got.Bytes(), content)):
				t.Errorf("got %d bytes, %v", got.Len(), err)
			}
			if want := tc.breaks + 1; tc.err == nil && !tc.fails && n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
		})
	}
}

// A breaking writer's connection breaks after some bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

func TestPaths(t *testing.T) {
	b := Build{Name: "bash", Version: "5.2", Release: "1^a", Volume: "DEFAULT"}
	r := RPM{Name: "bash-doc", Version: "5.2", Release: "1^a", Arch: "noarch"}
	for _, tc := range []struct {
		got  func() (string, error)
		want string
	}{
		{func() (string, error) { return Paths{"/mnt/koji"}.Build(b) }, "/mnt/koji/packages/bash/5.2/1^a"},
		{func() (string, error) { return Paths{"https://k/files/"}.RPM(b, r) }, "https://k/files/packages/bash/5.2/1%5Ea/noarch/bash-doc-5.2-1%5Ea.noarch.rpm"},
		{func() (string, error) { return Paths{"/k"}.Signed(b, r, "abcd") }, "/k/packages/bash/5.2/1^a/data/signed/abcd/noarch/bash-doc-5.2-1^a.noarch.rpm"},
		{func() (string, error) { b := b; b.Volume = "v2"; return Paths{"/k"}.Build(b) }, "/k/vol/v2/packages/bash/5.2/1^a"},
		{func() (string, error) { return Paths{"/k"}.Repo("f40-build", 7) }, "/k/repos/f40-build/7"},
		{func() (string, error) { return Paths{"/k"}.Task(123456) }, "/k/work/tasks/3456/123456"},
		{func() (string, error) { return Paths{"/k"}.Repo("..", 7) }, ""},
		{func() (string, error) { b := b; b.Version = "../../etc"; return Paths{"/k"}.Build(b) }, ""},
	} {
		got, err := tc.got()
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("got %q, %v, want %q", got, err, tc.want)
		}
	}
}

// withTask makes the hub answer about a task 7 whose states are those given, one
// for each look, the last one for ever.
func (h *fakeHub) withTask(states ...TaskState) *int {
	looks := new(int)
	h.methods["getTaskInfo"] = func(args []any) (any, error) {
		ids := args[0].([]any)
		out := []any{}
		for _, id := range ids {
			if id != int64(7) {
				out = append(out, nil)
				continue
			}
			st := states[min(*looks, len(states)-1)]
			*looks++
			out = append(out, map[string]any{"id": 7, "state": st, "method": "build", "label": nil, "parent": nil,
				"create_ts": 1700000000.25, "start_ts": nil, "request": []any{"src", nil}})
		}
		return out, nil
	}
	return looks
}

func TestWatchTask(t *testing.T) {
	h := newFakeHub(t)
	h.withTask(TaskFree, TaskFree, TaskOpen, TaskOpen, TaskOpen, TaskFailed)
	s := h.login(Options{})
	h.trouble(trouble{"getTaskInfo", "502"}, trouble{"getTaskInfo", "expire"})
	var seen []string
	got, err := s.WatchTask(t.Context(), 7, WatchOptions{Changed: func(t Task) { seen = append(seen, t.State.String()) }})
	if err != nil || got.State != TaskFailed || strings.Join(seen, " ") != "FREE OPEN FAILED" {
		t.Errorf("%v, %v, %v", got.State, seen, err)
	}
	if got.Label != nil || got.Started != nil || got.Created.UnixMilli() != 1700000000250 || len(got.Request) != 2 {
		t.Errorf("got %+v", got)
	}
	if _, err := s.Task(t.Context(), 8); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such task: %v", err)
	}
}

func TestTaskResult(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	h.methods["getTaskResult"] = func(args []any) (any, error) {
		switch args[0] {
		case int64(1):
			return map[string]any{"faultCode": 1005, "faultString": "error building package"}, nil
		case int64(2):
			return nil, fault(ErrGeneric, "Task 2 is canceled")
		}
		return []any{int64(5), "x"}, nil
	}
	var failed *TaskError
	if err := s.TaskResult(t.Context(), 1, nil); !errors.As(err, &failed) || !errors.Is(err, ErrBuild) {
		t.Errorf("failed: %v", err)
	}
	if err := s.TaskResult(t.Context(), 2, nil); errors.As(err, &failed) && failed.ID == 2 || !errors.Is(err, ErrGeneric) {
		t.Errorf("cancelled: %v", err)
	}
	var got []any
	if err := s.TaskResult(t.Context(), 3, &got); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFollowTaskOutput(t *testing.T) {
	h := newFakeHub(t)
	looks := h.withTask(TaskFree, TaskOpen, TaskOpen, TaskOpen, TaskOpen, TaskClosed)
	log := "" // grows with each look at the task
	h.methods["downloadTaskOutput"] = func(args []any) (any, error) {
		if *looks < 2 {
			return nil, fault(ErrGeneric, "no file \"build.log\" output by task 7")
		}
		for len(log) < *looks*10 {
			log += fmt.Sprintf("line %4d\n", len(log)/10)
		}
		named := args[2].(map[string]any)
		from := min(named["offset"].(int64), int64(len(log)))
		to := min(from+named["size"].(int64), int64(len(log)))
		return xmlrpcBase64(log[from:to]), nil
	}
	s := h.login(Options{})
	h.trouble(trouble{"downloadTaskOutput", "502"})
	var got bytes.Buffer
	n, err := s.FollowTaskOutput(t.Context(), &got, 7, "build.log", 0, WatchOptions{})
	if err != nil || got.String() != log || n != int64(len(log)) || len(log) != 60 {
		t.Errorf("%d of %d bytes, %v:\n%s", n, len(log), err, got.String())
	}
	if _, err := s.FollowTaskOutput(t.Context(), &got, 7, "build.log", 1000, WatchOptions{}); !errors.Is(err, ErrRestarted) {
		t.Errorf("shorter than what was read: %v", err)
	}
	h.withTask(TaskClosed)
	h.methods["downloadTaskOutput"] = func([]any) (any, error) { return nil, fault(ErrGeneric, "no file \"x\" output by task 7") }
	if _, err := s.FollowTaskOutput(t.Context(), &got, 7, "x", 0, WatchOptions{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("never written: %v", err)
	}
}

func TestTaskOutput(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	var reply any
	h.methods["listTaskOutput"] = func([]any) (any, error) { return reply, nil }
	st := map[string]any{"st_size": "5000000000", "st_mtime": 1700000000.0, "st_atime": 1.0}
	reply = map[string]any{"b.log": map[string]any{"DEFAULT": st, "v": st}, "a/x.rpm": map[string]any{"DEFAULT": st}}
	files, err := s.TaskOutput(t.Context(), 7)
	if err != nil || len(files) != 3 || files[0].Name != "a/x.rpm" || files[2].Volume != "v" || files[2].Size != 5000000000 {
		t.Errorf("%v, %v", files, err)
	}
	for _, bad := range []string{"../x", "/etc/passwd", ""} {
		reply = map[string]any{bad: map[string]any{"DEFAULT": st}}
		if _, err := s.TaskOutput(t.Context(), 7); !errors.Is(err, ErrBadReply) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// An answer is what every request gets, without a network.
type answer []byte

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(a))}, nil
}

// FuzzReply: whatever a hub says, typed calls end in a result or an error.
func FuzzReply(f *testing.F) {
	for _, v := range []any{nil, "x", []any{[]any{}, []any{}}, map[string]any{"id": 1, "extra": nil, "session-id": 1}} {
		data, err := xmlrpc.EncodeResponse(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := New("http://hub.example.org/kojihub", Options{})
		if err != nil {
			t.Fatal(err)
		}
		fakeTime(c)
		s, err := c.Lent(LentSession{ID: 1, Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		s.http.Transport = answer(data)
		_, _ = s.Build(t.Context(), "x")
		_, _, _ = s.ListTaggedRPMs(t.Context(), "x", TaggedQuery{})
		_, _ = s.TaskOutput(t.Context(), 1)
		_, _ = s.ReadTaskOutput(t.Context(), 1, "x", 0, 10)
		_ = s.UploadChunk(t.Context(), "a", "b", nil, 0, "")
		var m MultiCall
		m.Add("x", nil)
		_ = m.Do(t.Context(), s)
	})
}
