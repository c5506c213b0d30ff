package kojitest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/kojitest"
	"github.com/kojimod/kojimod/pkg/koji"
)

// newHub returns a hub with a platform and a target, and who may build modules.
func newHub(t *testing.T) *kojitest.Hub {
	t.Helper()
	h := kojitest.New(t, kojitest.Options{ModulePolicy: func(string, string, string) bool { return true }})
	h.AddTag(kojitest.Tag{Name: "el9-build", Arches: "x86_64", Extra: map[string]any{"module.platform": "platform:el9"}})
	h.AddTag(kojitest.Tag{Name: "el9-modules"})
	h.AddTarget("el9", "el9-build", "el9-modules")
	return h
}

func client(t *testing.T, h *kojitest.Hub) *koji.Client {
	t.Helper()
	c, err := koji.New(h.URL, koji.Options{RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, UploadChunk: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func login(t *testing.T, h *kojitest.Hub, user, password string) *koji.Session {
	t.Helper()
	s, err := client(t, h).LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// host returns the session that builder1 lends.
func host(t *testing.T, h *kojitest.Hub) *koji.Session {
	t.Helper()
	l := h.Lend("builder1")
	s, err := client(t, h).Lent(koji.LentSession{ID: l.ID, Key: l.Key, Callnum: l.Callnum})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name  string
		fault kojitest.Fault
		want  error // of a call that writes
		made  int   // tasks, then
	}{
		{"refused", kojitest.Fault{Kind: kojitest.Refuse, Nth: 1}, nil, 1},
		{"reset before", kojitest.Fault{Kind: kojitest.ResetBefore, Nth: 1, Times: 3}, nil, 1},
		{"reset after", kojitest.Fault{Kind: kojitest.ResetAfter, Nth: 1}, koji.ErrReplyLost, 1},
		{"cut", kojitest.Fault{Kind: kojitest.CutReply, Nth: 1}, koji.ErrReplyLost, 1},
		{"502", kojitest.Fault{Kind: kojitest.BadGateway, Nth: 1}, nil, 1},
		{"502 after", kojitest.Fault{Kind: kojitest.BadGatewayAfter, Nth: 1}, koji.ErrReplyLost, 1},
		{"slow", kojitest.Fault{Kind: kojitest.Slow, Nth: 1, Delay: time.Millisecond}, nil, 1},
		{"garbage", kojitest.Fault{Kind: kojitest.Garbage, Nth: 1}, nil, 1},
		{"expired", kojitest.Fault{Kind: kojitest.Expire, Nth: 1}, nil, 1},
		{"another method's", kojitest.Fault{Kind: kojitest.Garbage, Method: "echo"}, nil, 1},
		{"the second", kojitest.Fault{Kind: kojitest.ResetAfter, Method: "makeTask", Nth: 2}, nil, 1},
		{"always", kojitest.Fault{Kind: kojitest.Garbage, Rate: 1}, koji.ErrBadReply, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			s := login(t, h, "kojiadmin", "adminpw")
			h.Fault(tt.fault)
			var id int64
			err := s.Call(t.Context(), "makeTask", &id, "nothing", []any{})
			if tt.want == nil && err != nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			h.ClearFaults()
			if n := len(h.Tasks()); n != tt.made {
				t.Errorf("%d tasks were made, want %d", n, tt.made)
			}
			if err := s.Call(t.Context(), "echo", nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// A hub without the fault is down in between: connections are refused, then not.
func TestDown(t *testing.T) {
	h := newHub(t)
	c, err := koji.New(h.URL, koji.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	h.Down()
	if err := c.Anonymous().Call(t.Context(), "echo", nil); err == nil {
		t.Error("a hub that is down has answered")
	}
	h.Up()
	if err := c.Anonymous().Call(t.Context(), "echo", nil); err != nil {
		t.Error(err)
	}
}

// Through a network that fails often, each call is made once or says that it was not.
func TestBadNetwork(t *testing.T) {
	h := newHub(t)
	s := login(t, h, "kojiadmin", "adminpw")
	for _, k := range []kojitest.Trouble{kojitest.Refuse, kojitest.ResetBefore, kojitest.ResetAfter, kojitest.BadGateway, kojitest.Slow} {
		h.Fault(kojitest.Fault{Kind: k, Rate: 0.08, Delay: time.Millisecond})
	}
	const calls = 100
	for range calls {
		if err := s.Call(t.Context(), "makeTask", nil, "nothing", []any{}); err != nil && !errors.Is(err, koji.ErrReplyLost) {
			t.Error(err)
		}
	}
	if n := len(h.Tasks()); n != calls {
		t.Errorf("%d tasks were made, want %d", n, calls)
	}
	if n := h.Count("makeTask"); n <= calls {
		t.Errorf("the hub was asked %d times: nothing failed", n)
	}
}

// A host's task builds a component as a child, and waits for it.
func TestBuild(t *testing.T) {
	h := newHub(t)
	src := kojitest.RPM{Name: "hello", Version: "1", Release: "1.el9", Arch: "src"}
	bin := kojitest.RPM{Name: "hello", Version: "1", Release: "1.el9", Arch: "x86_64"}
	h.Builds(func(_ context.Context, b kojitest.Build) ([][]byte, error) {
		if b.Source != "git+https://git.example.org/hello#abc" {
			b.Logs["build.log"] = "no such branch\n"
			return nil, errors.New("error building package, see build.log")
		}
		return [][]byte{src.Bytes(), bin.Bytes()}, nil
	})
	var states []string
	h.Observe(func(e kojitest.Event) {
		if e.Kind == kojitest.TaskChanged && e.Method == "build" {
			states = append(states, e.State)
		}
	})
	root := h.MakeTask("packager", "parent")
	h.Open(root, "builder1")
	s := host(t, h)
	subtask := func(label, source string) (id int64) {
		t.Helper()
		err := s.Call(t.Context(), "host.subtask", &id, "build", []any{source, nil, map[string]any{"repo_id": 1}}, root, koji.Named{"label": label})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := subtask("build:hello", "git+https://git.example.org/hello#abc")
	done, err := s.WatchTask(t.Context(), id, koji.WatchOptions{Min: time.Millisecond})
	if err != nil || done.State != koji.TaskClosed {
		t.Fatal(done, err)
	}
	if again := subtask("build:hello", "something else"); again != id {
		t.Errorf("the label's child is task %d, not %d", again, id)
	}
	var builds []koji.Build
	if err := s.Call(t.Context(), "listBuilds", &builds, koji.Named{"taskID": id}); err != nil || len(builds) != 1 || builds[0].NVR != "hello-1-1.el9" {
		t.Errorf("built %v, %v", builds, err)
	}
	bad := subtask("build:bad", "bad")
	if done, err = s.WatchTask(t.Context(), bad, koji.WatchOptions{Min: time.Millisecond}); err != nil || done.State != koji.TaskFailed {
		t.Fatal(done, err)
	}
	var failed *koji.TaskError
	if err := s.TaskResult(t.Context(), bad, nil); !errors.As(err, &failed) || !errors.Is(err, koji.ErrBuild) {
		t.Errorf("the failed build says %v", err)
	}
	if diff := cmp.Diff([]string{"FREE", "OPEN", "CLOSED", "FREE", "OPEN", "FAILED"}, states); diff != "" {
		t.Errorf("states of the builds (-want +got):\n%s", diff)
	}
}

// What is cancelled stops, with all below it.
func TestCancel(t *testing.T) {
	h := newHub(t)
	stopped := make(chan struct{})
	h.Builds(func(ctx context.Context, _ kojitest.Build) ([][]byte, error) {
		<-ctx.Done()
		close(stopped)
		return nil, ctx.Err()
	})
	root := h.MakeTask("packager", "parent")
	h.Open(root, "builder1")
	s := host(t, h)
	if err := s.Call(t.Context(), "host.subtask", nil, "build", []any{"x", nil, map[string]any{}}, root, koji.Named{"label": "a"}); err != nil {
		t.Fatal(err)
	}
	if err := login(t, h, "packager", "packagerpw").CancelTask(t.Context(), root, true); err != nil {
		t.Fatal(err)
	}
	<-stopped
	for _, task := range h.Tasks() {
		if task.Method != "rebuildSRPM" && task.State != "CANCELED" {
			t.Errorf("task %d %s is %s", task.ID, task.Method, task.State)
		}
	}
}

// A session expires by itself, and a client's own is renewed; one that is lent is not.
func TestExpireAfter(t *testing.T) {
	h := kojitest.New(t, kojitest.Options{ExpireAfter: time.Second})
	s := login(t, h, "packager", "packagerpw")
	lent := host(t, h)
	id := s.ID()
	time.Sleep(1100 * time.Millisecond)
	if err := s.Call(t.Context(), "getAPIVersion", nil); err != nil {
		t.Error(err)
	}
	if err := lent.Call(t.Context(), "getAPIVersion", nil); !errors.Is(err, koji.ErrSessionLost) {
		t.Errorf("a lent session that has expired: %v", err)
	}
	if s.ID() != id || h.OpenSessions("packager") != 1 {
		t.Errorf("session %d has become %d, and %d are open", id, s.ID(), h.OpenSessions("packager"))
	}
}

// A hook may use the hub: here it cancels a task when its child begins.
func TestHookActs(t *testing.T) {
	h := newHub(t)
	root := h.MakeTask("packager", "parent")
	h.Open(root, "builder1")
	h.Observe(func(e kojitest.Event) {
		if e.Kind == kojitest.TaskChanged && e.Parent == root && e.State == "OPEN" {
			h.Cancel(root)
		}
	})
	h.Builds(func(ctx context.Context, _ kojitest.Build) ([][]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s := host(t, h)
	if err := s.Call(t.Context(), "host.subtask", nil, "build", []any{"x", nil, map[string]any{}}, root, koji.Named{"label": "a"}); err != nil {
		t.Fatal(err)
	}
	if got := h.Task(root).State; got != "CANCELED" {
		t.Errorf("the task is %s", got)
	}
	if err := s.Call(t.Context(), "host.subtask", nil, "build", []any{"x", nil, map[string]any{}}, root); !errors.Is(err, koji.ErrActionNotAllowed) {
		t.Errorf("a cancelled task has another child: %v", err)
	}
}
