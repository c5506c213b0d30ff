package kojitask

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/koji"
)

const contextLabel = "context:"

// takenKey is in the result of a context's task that has found its identity taken.
// That is no failure: the module starts over with the next version.
const takenKey = "taken"

// versionAttempts is how many versions all contexts together are tried with.
const versionAttempts = 20

// A contextTask is the task that builds one context, in one attempt.
type contextTask struct {
	name    string // of the context, as in the document
	task    koji.Task
	request contextRequest
}

// A contextRequest are the parameters of such a task.
type contextRequest struct {
	Name    string `json:"name"`
	Stream  string `json:"stream"`
	Version string `json:"version"`
	Context string `json:"context"`
	Pin     pin    `json:"pin"`
}

// buildContexts has each context built by a task of its own, all in one version.
// Attempts tell the versions apart that were tried.
func (t *task) buildContexts(ctx context.Context) (map[string]any, error) {
	attempt, started, err := t.contextTasks(ctx, t.hub.task)
	if err != nil {
		return nil, err
	}
	resumed := map[string]contextTask{}
	if len(started) == 0 && t.params.Resume != 0 {
		if resumed, err = t.resumedContexts(ctx); err != nil {
			return nil, err
		}
	}
	for ; attempt <= versionAttempts; attempt++ {
		tasks, err := t.startContexts(ctx, attempt, started, resumed)
		if err != nil {
			return nil, err
		}
		results, taken, err := t.waitForContexts(ctx, tasks)
		if err != nil {
			return nil, err
		}
		if !taken {
			return map[string]any{"modules": results}, nil
		}
		if t.params.Version != "" {
			return nil, input("--version "+t.params.Version, "it is taken; leave the option out to get the next free one", nil)
		}
		t.story.printf("this version is taken; going on with the next one")
		// Sources stay as they are; the version is the next.
		resumed, started = map[string]contextTask{}, nil
		for _, c := range tasks {
			version, err := strconv.ParseUint(c.request.Version, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("task %d has the version %q: %w", c.task.ID, c.request.Version, err)
			}
			c.request.Version = strconv.FormatUint(version+1, 10)
			resumed[c.name] = c
		}
	}
	return nil, fmt.Errorf("%d versions in a row are taken", versionAttempts)
}

// contextTasks are the tasks of the last attempt that a module task has made, by
// context.
func (t *task) contextTasks(ctx context.Context, parent int64) (attempt int, tasks map[string]contextTask, err error) {
	kids, err := t.hub.Children(ctx, parent)
	if err != nil {
		return 0, nil, fmt.Errorf("looking for the contexts of task %d: %w", parent, err)
	}
	attempt, tasks = 1, map[string]contextTask{}
	for _, kid := range kids {
		if kid.Method != methodContext || kid.Label == nil || len(kid.Request) != 1 {
			continue
		}
		label, _ := strings.CutPrefix(*kid.Label, contextLabel)
		name, number, _ := strings.Cut(label, "#")
		n, err := strconv.Atoi(number)
		if err != nil {
			n = 1
		}
		c := contextTask{name: name, task: kid}
		if err := decodeInto(kid.Request[0], &c.request); err != nil || c.request.Pin.Components == nil {
			return 0, nil, fmt.Errorf("task %d has no parameters of a context", kid.ID)
		}
		if n > attempt {
			attempt, tasks = n, map[string]contextTask{}
		}
		if n == attempt {
			tasks[name] = c
		}
	}
	return attempt, tasks, nil
}

// resumedContexts are those of the newest task of the chain that has any: what was
// settled then holds on.
func (t *task) resumedContexts(ctx context.Context) (map[string]contextTask, error) {
	chain, err := t.resumedTasks(ctx)
	if err != nil {
		return nil, err
	}
	for _, before := range chain {
		if _, tasks, err := t.contextTasks(ctx, before.ID); err != nil || len(tasks) > 0 {
			return tasks, err
		}
	}
	return nil, nil
}

// startContexts starts the tasks of an attempt that are not there yet.
func (t *task) startContexts(ctx context.Context, attempt int, started, settled map[string]contextTask) ([]contextTask, error) {
	tasks := make([]contextTask, len(t.doc.contexts))
	var missing []int
	var version uint64
	for i, c := range t.doc.contexts {
		have, ok := started[c.name]
		if ok {
			t.story.printf("context %s: task %d of an earlier run", c.name, have.task.ID)
		} else if have, ok = settled[c.name]; !ok {
			m := &module{task: t, ctx: c}
			request, err := m.contextRequest(ctx)
			if err != nil {
				return nil, fmt.Errorf("context %s: %w", c.name, err)
			}
			have = contextTask{name: c.name, request: request}
		}
		tasks[i] = have
		if _, ok := started[c.name]; !ok {
			missing = append(missing, i)
		}
		v, err := strconv.ParseUint(have.request.Version, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("context %s has the version %q: %w", c.name, have.request.Version, err)
		}
		version = max(version, v)
	}
	for _, i := range missing {
		c := &tasks[i]
		c.request.Version = strconv.FormatUint(version, 10)
		label := contextLabel + c.name
		if attempt > 1 {
			label += "#" + strconv.Itoa(attempt)
		}
		r := c.request
		id, err := t.hub.subtask(ctx, methodContext, []any{map[string]any{
			"__method__": methodContext, "name": r.Name, "stream": r.Stream, "version": r.Version, "context": r.Context, "pin": r.Pin,
		}}, label, "")
		if err != nil {
			return nil, err
		}
		c.task = koji.Task{ID: id}
		t.story.printf("context %s: task %d builds %s:%s:%s:%s", c.name, id, r.Name, r.Stream, r.Version, r.Context)
	}
	return tasks, nil
}

// contextRequest settles what the task of a context is told: where everything comes
// from, and its identity, of which the version may be another in the end.
func (m *module) contextRequest(ctx context.Context) (contextRequest, error) {
	m.requires = m.newResolver()
	if err := m.findRequired(ctx); err != nil {
		return contextRequest{}, err
	}
	plan, err := m.draft(ctx)
	if err != nil {
		return contextRequest{}, err
	}
	if err := m.pinSources(ctx, plan); err != nil {
		return contextRequest{}, err
	}
	id := m.draftIdentity(plan)
	return contextRequest{Name: id.Name, Stream: id.Stream, Version: id.Version, Context: id.Context, Pin: m.pin}, nil
}

// waitForContexts waits for all contexts at once. taken tells that somebody else has
// the version of one of them; then the others are cancelled.
func (t *task) waitForContexts(ctx context.Context, tasks []contextTask) (results []any, taken bool, err error) {
	type end struct {
		i    int
		task koji.Task
		err  error
	}
	ends := make(chan end, len(tasks))
	for i, c := range tasks {
		go func() {
			task, err := t.kids.wait(ctx, c.task.ID)
			ends <- end{i, task, err}
		}()
	}
	results = make([]any, len(tasks))
	failures := make([]error, len(tasks))
	for range tasks {
		e := <-ends
		if e.err != nil {
			return nil, false, e.err
		}
		if e.task.State != koji.TaskClosed {
			failures[e.i] = t.hub.whyFailed(ctx, e.task, "context "+tasks[e.i].name)
			continue
		}
		var result map[string]any
		if err := t.hub.TaskResult(ctx, e.task.ID, &result); err != nil {
			return nil, false, fmt.Errorf("the result of task %d: %w", e.task.ID, err)
		}
		if _, is := result[takenKey]; is && !taken {
			taken = true
			if err := t.hub.cancelChildren(ctx); err != nil {
				return nil, false, fmt.Errorf("cancelling the other contexts: %w", err)
			}
		} else if !is {
			t.story.printf("context %s: %v", tasks[e.i].name, result["nvr"])
		}
		results[e.i] = result
	}
	if taken {
		return nil, true, nil
	}
	return results, false, errors.Join(failures...)
}

// takenResult is the result of the task of a context whose identity is taken.
func takenResult(err error) map[string]any {
	return map[string]any{takenKey: safetext.Text(err.Error())}
}
