package koji

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A lossy proxy before a real hub: what it does to the next requests.
type lossy struct {
	*httptest.Server
	lose   atomic.Int32 // replies to throw away
	random atomic.Int32 // per cent of requests that fail, in one way or another
}

func newLossy(t *testing.T, hub string) *lossy {
	t.Helper()
	u, err := url.Parse(hub)
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host }}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.lose.Add(-1) >= 0 {
			forward.ServeHTTP(httptest.NewRecorder(), r)
			abort(w)
			return
		}
		if rand.Int32N(100) >= l.random.Load() {
			forward.ServeHTTP(w, r)
			return
		}
		switch rand.IntN(3) {
		case 0:
			abort(w)
		case 1:
			forward.ServeHTTP(httptest.NewRecorder(), r)
			abort(w)
		case 2:
			http.Error(w, "bad gateway", http.StatusBadGateway)
		}
	}))
	t.Cleanup(l.Close)
	return l
}

// through returns a session that talks to the hub through the proxy.
func (l *lossy) through(t *testing.T) *Session {
	t.Helper()
	_, user, password := live(t)
	c, err := New(l.URL+"/kojihub", Options{RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond, UploadChunk: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.random.Store(0)
		if err := s.Logout(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func tasksOf(t *testing.T, s *Session, since int64) []Task {
	t.Helper()
	var me struct {
		ID int64 `xmlrpc:"id"`
	}
	if err := s.Call(t.Context(), "getLoggedInUser", &me); err != nil {
		t.Fatal(err)
	}
	all, err := s.ListTasks(t.Context(), TaskQuery{Owner: me.ID, Method: "sleep"})
	if err != nil {
		t.Fatal(err)
	}
	var newer []Task
	for _, x := range all {
		if x.ID > since {
			newer = append(newer, x)
		}
	}
	return newer
}

// makeTask makes a task that sleeps; it needs an administrator's rights.
func makeTask(t *testing.T, s *Session, seconds int) (int64, error) {
	t.Helper()
	var id int64
	err := s.Call(t.Context(), "makeTask", &id, "sleep", []any{seconds})
	if errors.Is(err, ErrActionNotAllowed) {
		t.Skip("KOJI_TEST_USER may not make tasks of any kind: ", err)
	}
	return id, err
}

// A reply is thrown away after a real hub made a task: one task, and ErrReplyLost.
func TestLiveLostReply(t *testing.T) {
	c, _, _ := live(t)
	proxy := newLossy(t, c.String())
	s := proxy.through(t)
	first, err := makeTask(t, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	proxy.lose.Store(1)
	if _, err := makeTask(t, s, 1); !errors.Is(err, ErrReplyLost) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
	if n := len(tasksOf(t, s, first)); n != 1 {
		t.Errorf("%d tasks were made, want 1", n)
	}
}

// Of many calls through a network that fails, each is made once or says that it
// was not made.
func TestLiveBadNetwork(t *testing.T) {
	c, _, _ := live(t)
	proxy := newLossy(t, c.String())
	s := proxy.through(t)
	first, err := makeTask(t, s, 0)
	if err != nil {
		t.Fatal(err)
	}
	proxy.random.Store(30)
	const calls = 40
	lost := 0
	for range calls {
		switch _, err := makeTask(t, s, 0); {
		case errors.Is(err, ErrReplyLost):
			lost++
		case err != nil:
			t.Error(err)
		}
	}
	content := []byte(strings.Repeat("0123456789", 2345))
	dir := fmt.Sprintf("cli-build/kojimod-test-%d", time.Now().UnixNano())
	if _, err := s.Upload(t.Context(), dir, "f", bytes.NewReader(content), int64(len(content)), UploadOptions{}); err != nil {
		t.Error(err)
	}
	proxy.random.Store(0)
	if n := len(tasksOf(t, s, first)); n != calls {
		t.Errorf("%d tasks were made, want %d", n, calls)
	}
	t.Logf("%d of %d replies lost", lost, calls)
	for _, x := range tasksOf(t, s, first) {
		if !x.State.Finished() {
			if err := s.CancelTask(t.Context(), x.ID, true); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestLiveUpload(t *testing.T) {
	s := liveSession(t)
	dir := fmt.Sprintf("cli-build/kojimod-test-%d", time.Now().UnixNano())
	content := []byte(strings.Repeat("0123456789", 300000))
	src := bytes.NewReader(content)
	if err := s.UploadChunk(t.Context(), dir, "f", content[:1500000], 0, ""); err != nil {
		t.Fatal(err)
	}
	var from []int64
	got, err := s.Upload(t.Context(), dir, "f", src, src.Size(), UploadOptions{Resume: true, Progress: func(n int64) { from = append(from, n) }})
	if err != nil || got.Size != src.Size() || len(from) != 2 {
		t.Errorf("%+v in %v, %v", got, from, err)
	}
	if got, err = s.Upload(t.Context(), dir, "empty", strings.NewReader(""), 0, UploadOptions{}); err != nil || got.Size != 0 {
		t.Errorf("an empty file: %+v, %v", got, err)
	}
	if got, err = s.Upload(t.Context(), dir, "f", strings.NewReader("short"), 5, UploadOptions{}); err != nil || got.Size != 5 {
		t.Errorf("replaced: %+v, %v", got, err)
	}
	if _, err := s.CheckUpload(t.Context(), dir, "other", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("not uploaded: %v", err)
	}
	if err := s.UploadChunk(t.Context(), "tasks/1/1", "x.log", []byte("x"), 0, ""); err == nil {
		t.Error("uploaded into somebody else's task")
	}
	files := os.Getenv("KOJI_TEST_FILES")
	if files == "" {
		t.Log("KOJI_TEST_FILES does not name the topurl: downloads not tried")
		return
	}
	address := files + "/work/" + dir + "/f"
	var buf bytes.Buffer
	if err := s.client.Download(t.Context(), &buf, address, Want{Size: 5, Algorithm: "md5", Digest: "4f09daa9d95bcb166a302407a0e0babe"}); err != nil || buf.String() != "short" {
		t.Errorf("%q, %v", buf.String(), err)
	}
	if err := s.client.Download(t.Context(), io.Discard, address+"x", Want{Size: -1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such file: %v", err)
	}
}

func TestLiveTasks(t *testing.T) {
	s := liveSession(t)
	id, err := makeTask(t, s, 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var states []string
	task, err := s.WatchTask(ctx, id, WatchOptions{Min: 200 * time.Millisecond, Max: time.Second,
		Changed: func(t Task) { states = append(states, t.State.String()) }})
	if err != nil || task.State != TaskClosed || task.Completed == nil || task.Started == nil || task.HostID == nil || task.Parent != nil {
		t.Errorf("%v: %+v, %v", states, task, err)
	}
	t.Log(states)
	if len(task.Request) != 1 || task.Request[0] != int64(2) {
		t.Errorf("request %v", task.Request)
	}
	var result any
	if err := s.TaskResult(ctx, id, &result); err != nil {
		t.Error(err)
	}
	if files, err := s.TaskOutput(ctx, id); err != nil || len(files) != 0 {
		t.Errorf("output %v, %v", files, err)
	}
	if _, err := s.ReadTaskOutput(ctx, id, "build.log", 0, 100); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such output: %v", err)
	}
	if kids, err := s.Children(ctx, id); err != nil || len(kids) != 0 {
		t.Errorf("children %v, %v", kids, err)
	}
	if _, err := s.Task(ctx, 1<<30); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such task: %v", err)
	}
	if id, err = makeTask(t, s, 600); err != nil {
		t.Fatal(err)
	}
	if err := s.CancelTask(ctx, id, true); err != nil {
		t.Error(err)
	}
	if task, err := s.WatchTask(ctx, id, WatchOptions{}); err != nil || task.State != TaskCanceled {
		t.Errorf("cancelled: %v, %v", task.State, err)
	}
	if err := s.TaskResult(ctx, id, nil); !errors.Is(err, ErrGeneric) {
		t.Errorf("result of a cancelled task: %v", err)
	}
}

// TestLiveListings reads what the hub has; KOJI_TEST_TARGET names a target.
func TestLiveListings(t *testing.T) {
	s := liveSession(t)
	if _, err := s.Build(t.Context(), "no-such-build"); err == nil {
		t.Error("a name that is no NVR was found")
	}
	if _, err := s.Build(t.Context(), "no-such-build"+"-1-1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such build: %v", err)
	}
	if _, err := s.Tag(t.Context(), "no-such-tag", 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such tag: %v", err)
	}
	if _, err := s.ListTagged(t.Context(), "no-such-tag", TaggedQuery{}); !errors.Is(err, ErrGeneric) {
		t.Errorf("no such tag: %v", err)
	}
	name := os.Getenv("KOJI_TEST_TARGET")
	if name == "" {
		t.Skip("KOJI_TEST_TARGET does not name a build target whose tags to list")
	}
	target, err := s.BuildTarget(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, tagName := range []string{target.BuildTagName, target.DestTagName} {
		tag, err := s.Tag(t.Context(), tagName, 0)
		if err != nil || tag.Name != tagName || tag.ID == 0 {
			t.Errorf("%+v, %v", tag, err)
		}
		builds, err := s.ListTagged(t.Context(), tagName, TaggedQuery{Inherit: true, Latest: true})
		if err != nil {
			t.Fatal(err)
		}
		rpms, again, err := s.ListTaggedRPMs(t.Context(), tagName, TaggedQuery{Inherit: true, Latest: true})
		if err != nil || len(again) != len(builds) {
			t.Errorf("%d and %d builds, %v", len(builds), len(again), err)
		}
		t.Logf("%s: %d builds, %d RPMs", tagName, len(builds), len(rpms))
		for _, b := range builds {
			full, err := s.Build(t.Context(), b.NVR)
			if err != nil || full.ID != b.ID || full.State != BuildComplete || full.Created.IsZero() {
				t.Errorf("%+v, %v", full, err)
			}
		}
		for _, r := range rpms {
			if r.Name == "" || r.Arch == "" || r.BuildID == 0 || r.Size == 0 || r.BuildTime.IsZero() {
				t.Errorf("%+v", r)
			}
		}
	}
}
