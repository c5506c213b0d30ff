package kojitest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// simulated is the host that runs the tasks with a handler.
const simulated = "simulated"

// A Task is a task as it was when looked at.
type Task struct {
	ID, Parent int64
	Label      string
	Method     string
	Arch       string
	State      string // Koji's name, for example "OPEN"
	Owner      string
	Host       string // "" until a builder has it
	Channel    string
	Priority   int
	Request    []any
}

func (t *task) snapshot() Task {
	s := Task{ID: t.id, Parent: t.parent, Method: t.method, Arch: t.arch, State: taskStates[t.state], Owner: t.owner.name,
		Channel: channels[t.channel-1], Priority: t.priority, Request: t.request}
	if t.label != nil {
		s.Label = *t.label
	}
	if t.host != nil {
		s.Host = t.host.user.name
	}
	return s
}

// Tasks returns all tasks in the order in which they were made.
func (h *Hub) Tasks() (list []Task) {
	h.locked(func() {
		for id := int64(1); id <= h.state.lastID["task"]; id++ {
			list = append(list, h.state.tasks[id].snapshot())
		}
	})
	return list
}

// Task returns a task, the zero one if there is none.
func (h *Hub) Task(id int64) (found Task) {
	h.locked(func() {
		if t := h.state.tasks[id]; t != nil {
			found = t.snapshot()
		}
	})
	return found
}

// MakeTask makes a task of somebody's, as a method of the hub's would, and returns
// its id.
func (h *Hub) MakeTask(owner, method string, request ...any) (id int64) {
	h.setUp(func(c *call) error {
		u := h.state.user(owner)
		if u == nil {
			return fmt.Errorf("there is no user %q", owner)
		}
		list, _ := plain(request).([]any)
		t, err := c.makeTask(method, list, taskOptions{owner: u})
		if err == nil {
			id = t.id
		}
		return err
	})
	return id
}

// Open gives a task that no other builder has to a host, as its daemon takes it.
func (h *Hub) Open(id int64, hostName string) {
	h.setUp(func(c *call) error {
		t, u := h.state.tasks[id], h.state.user(hostName)
		if t == nil || u == nil || u.host == nil || t.state != taskFree && (t.state != taskAssigned || t.host != u.host) {
			return fmt.Errorf("host %q cannot open task %d", hostName, id)
		}
		c.open(t, u.host)
		return nil
	})
}

// Close ends a task that is open, as its host would: with a result, or with an
// error, which is best a *Failure.
func (h *Hub) Close(id int64, result any, failure error) {
	h.setUp(func(c *call) error {
		t := h.state.tasks[id]
		if t == nil || t.state != taskOpen {
			return fmt.Errorf("task %d is not open", id)
		}
		return c.finish(t, result, failure)
	})
}

// Free lets a task begin again, as a daemon does that finds it open after a
// restart.
func (h *Hub) Free(id int64) {
	h.setUp(func(c *call) error {
		t := h.state.tasks[id]
		if t == nil || t.finished() {
			return fmt.Errorf("task %d cannot be freed", id)
		}
		t.state, t.host = taskFree, nil
		h.noteTask(t)
		h.schedule(t)
		return nil
	})
}

// Cancel cancels a task and those below it, as its owner can.
func (h *Hub) Cancel(id int64) {
	h.setUp(func(c *call) error {
		t := h.state.tasks[id]
		if t == nil {
			return fmt.Errorf("there is no task %d", id)
		}
		c.cancel(t, true)
		return nil
	})
}

// A Failure is a task's end without a result.
type Failure struct {
	Code    int // Koji's; 1000 (GenericError) unless set
	Message string
}

func (f *Failure) Error() string { return fmt.Sprintf("fault %d: %s", f.Code, f.Message) }

// finish ends a task with what its handler has returned.
func (c *call) finish(t *task, result any, failure error) error {
	state := taskClosed
	var body []byte
	var err error
	if failure != nil {
		state = taskFailed
		f := xmlrpc.Fault{Code: errGeneric, Message: failure.Error()}
		var known *Failure
		var hub *xmlrpc.Fault
		switch {
		case errors.As(failure, &known):
			f.Message = known.Message
			if known.Code != 0 {
				f.Code = int64(known.Code)
			}
		case errors.As(failure, &hub):
			f = *hub
		}
		body, err = xmlrpc.EncodeFault(f)
	} else {
		body, err = xmlrpc.EncodeResponse(plain(result))
	}
	if err != nil {
		return err
	}
	c.end(t, state, string(body))
	return nil
}

// Handle has a simulated builder take each task of a method, those that wait
// already too, and run f in a goroutine of its own. Its error, which is best a
// *Failure, fails the task. The context ends when the task is cancelled and when the
// test ends.
func (h *Hub) Handle(method string, f func(context.Context, Task) (any, error)) {
	h.locked(func() {
		h.handlers[method] = f
		for id := int64(1); id <= h.state.lastID["task"]; id++ {
			h.schedule(h.state.tasks[id])
		}
	})
}

// weights are those that Koji's own handlers give their tasks.
var weights = map[string]float64{"newRepo": 0.1, "build": 0.2}

// schedule gives a task to the simulated builder. The hub is locked.
func (h *Hub) schedule(t *task) {
	f := h.handlers[t.method]
	if f == nil || t.state != taskFree || h.closing {
		return
	}
	c := &call{h: h, method: "schedule", callnum: -1}
	c.open(t, h.state.user(simulated).host)
	if w, ok := weights[t.method]; ok {
		t.weight = w
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.running[t.id] = cancel
	h.waitGroup.Add(1)
	snapshot := t.snapshot()
	go func() {
		defer h.waitGroup.Done()
		defer cancel()
		result, err := f(ctx, snapshot)
		h.locked(func() {
			delete(h.running, t.id)
			if t.state != taskOpen || t.host.user.name != simulated || h.closing {
				return
			}
			if err := c.finish(t, result, err); err != nil {
				h.t.Errorf("ending task %d: %v", t.id, err)
			}
		})
	}()
}

// defaultHandlers are those that every hub has.
func (h *Hub) defaultHandlers() {
	h.Repos(nil)
	h.Builds(func(_ context.Context, b Build) ([][]byte, error) {
		return nil, fmt.Errorf("nothing was said about how to build %s", b.Source)
	})
}

// Repos has f called before each newRepo task makes its repository: it can take its
// time, or fail. Without it repositories are made at once. They are directories
// with no metadata in them.
func (h *Hub) Repos(f func(context.Context, Task) error) {
	h.Handle("newRepo", func(ctx context.Context, t Task) (any, error) {
		if f != nil {
			if err := f(ctx, t); err != nil {
				return nil, err
			}
		}
		return h.newRepo(t)
	})
}

// A Build is what a build task is asked for.
type Build struct {
	Task
	Source string // URL or path of an upload
	RepoID int64  // 0 for none
	Tag    string // that the repository is of
	Logs   Logs
}

// Logs are what a build leaves behind, by file names like "build.log".
type Logs map[string]string

// Builds has f build what build tasks are for: it returns the packages, a source
// package among them, and may take its time. Then they are imported. Its error is
// the failure of the task's buildArch child, and the Logs that it has put into
// Build.Logs are in that child's output.
func (h *Hub) Builds(f func(context.Context, Build) ([][]byte, error)) {
	h.Handle("build", func(ctx context.Context, t Task) (any, error) {
		b := Build{Task: t, Logs: Logs{}}
		arch := "noarch"
		if len(t.Request) > 0 {
			b.Source, _ = t.Request[0].(string)
		}
		if len(t.Request) > 2 {
			opts, _ := t.Request[2].(map[string]any)
			b.RepoID, _ = opts["repo_id"].(int64)
		}
		var children []*task
		h.locked(func() {
			if r := h.state.repo(b.RepoID); r != nil {
				b.Tag = r.tag.name
				if list := (&call{h: h}).arches(r.tag); len(list) > 0 {
					arch = list[0]
				}
			}
			children = h.buildChildren(t, b.Source, arch)
		})
		files, err := f(ctx, b)
		return h.endBuild(t, b, children, files, err)
	})
}

// buildChildren makes the tasks below a build task: the one for the source package
// is done, the one for the architecture is open.
func (h *Hub) buildChildren(t Task, source, arch string) []*task {
	c := &call{h: h, method: "build", callnum: -1}
	parent := h.state.tasks[t.ID]
	method := "rebuildSRPM"
	if strings.Contains(source, "://") {
		method = "buildSRPMFromSCM"
	}
	var children []*task
	parent.waiting = ptr(true)
	for _, o := range []struct{ method, label, arch string }{{method, "srpm", "noarch"}, {"buildArch", arch, arch}} {
		child, err := c.makeTask(o.method, []any{source}, taskOptions{parent: parent, label: ptr(o.label), arch: o.arch})
		if err != nil {
			return nil // the build was cancelled already
		}
		child.awaited = ptr(true)
		if o.method == "buildArch" {
			child.weight = 1.5
		}
		c.open(child, h.state.user(simulated).host)
		children = append(children, child)
	}
	if err := c.finish(children[0], map[string]any{}, nil); err != nil {
		h.t.Errorf("ending task %d: %v", children[0].id, err)
	}
	return children
}

func (h *Hub) endBuild(t Task, b Build, children []*task, files [][]byte, failure error) (result any, err error) {
	h.locked(func() {
		if h.closing || h.state.tasks[t.ID].state != taskOpen || len(children) < 2 {
			err = failure
			return
		}
		c := &call{h: h, method: "build", callnum: -1}
		child := children[1]
		c.unwait(t.ID)
		dir := h.TaskDir(child.id)
		for name, text := range b.Logs {
			if err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(text), 0o644)); err != nil {
				return
			}
		}
		if failure == nil {
			var built *build
			if built, failure = c.importBuild(files, h.state.tasks[t.ID].owner, t.ID, b.Source); failure == nil {
				if h.onlyNoarch(built) { // Koji knows from the source package, before it begins
					child.arch, child.label = "noarch", ptr("noarch")
				}
				err = c.finish(child, map[string]any{}, nil)
				return
			}
		}
		var f *Failure
		if !errors.As(failure, &f) {
			failure = &Failure{Code: errBuild, Message: failure.Error()}
		}
		err = errors.Join(c.finish(child, nil, failure), failure)
	})
	return result, err
}

func (h *Hub) onlyNoarch(b *build) bool {
	return !slices.ContainsFunc(h.state.rpms, func(r *rpm) bool { return r.build == b && r.arch != "src" && r.arch != "noarch" })
}

// Tagged returns the builds in a tag, by name-version-release, in order.
func (h *Hub) Tagged(tagName string) (list []string) {
	h.locked(func() {
		if t := h.state.tag(tagName, 0); t != nil {
			for _, l := range t.listing {
				if l.at(0) {
					list = append(list, l.build.nvr())
				}
			}
		}
	})
	slices.Sort(list)
	return list
}

// TagNames returns the tags that exist, sorted.
func (h *Hub) TagNames() (list []string) {
	h.locked(func() {
		for _, t := range h.state.tags {
			if h.state.tag(t.name, 0) != nil {
				list = append(list, t.name)
			}
		}
	})
	slices.Sort(list)
	return list
}

// A Record is a build as the hub knows it.
type Record struct {
	ID    int64
	NVR   string
	State string // Koji's name, for example "COMPLETE"
	Task  int64
	Type  string // "rpm" or "module"
}

// Records returns all builds in the order in which they were made.
func (h *Hub) Records() (list []Record) {
	h.locked(func() {
		for _, b := range h.state.builds {
			list = append(list, Record{b.id, b.nvr(), buildStates[b.state], b.taskID, b.btype})
		}
	})
	return list
}
