package kojitest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// simulated is the host that runs the tasks with a handler.
const simulated = "simulated"

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
// Build.Logs are in that child's output. A source package that comes with the error
// names the build that has failed; other packages then only tell whether it would have
// been for one architecture.
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
		for _, each := range children {
			each.awaited = ptr(false)
		}
		if onlyNoarch(files) { // Koji knows from the source package, before it begins
			child.arch, child.label = "noarch", ptr("noarch")
		}
		dir := h.TaskDir(child.id)
		for name, text := range b.Logs {
			if err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(text), 0o644)); err != nil {
				return
			}
		}
		owner := h.state.tasks[t.ID].owner
		if src, serr := sourceOf(files); failure != nil && serr == nil {
			_, rerr := c.recordBuild(src, owner, t.ID, b.Source, buildFailed)
			failure = errors.Join(failure, rerr)
		}
		if failure == nil {
			if _, failure = c.importBuild(files, owner, t.ID, b.Source); failure == nil {
				c.unwait(t.ID)
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

// onlyNoarch reports whether there are binary packages, and all are for any
// architecture.
func onlyNoarch(files [][]byte) bool {
	found := false
	for _, data := range files {
		r, err := readRPM(data)
		if err != nil || r.arch != "src" && r.arch != "noarch" {
			return false
		}
		found = found || r.arch == "noarch"
	}
	return found
}
