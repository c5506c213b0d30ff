package kojitask

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/koji"
)

const contextLabel = "context:"

// takenKey is in the result of a context's task that has found its identity taken.
// That is no failure: the module starts over with the next version.
const takenKey = "taken"

// versionAttempts is how many versions all contexts together are tried with.
const versionAttempts = 20

// buildContexts has each context built by a task of its own, all in one version.
func (t *task) buildContexts(ctx context.Context) (map[string]any, error) {
	modules := make([]*module, len(t.doc.contexts))
	var version uint64
	for i, c := range t.doc.contexts {
		m := &module{task: t, ctx: c}
		m.requires = resolver{hub: t.hub, dest: t.platform.target.DestTagName, platform: t.platform.stream}
		modules[i] = m
		if err := m.prepareContext(ctx); err != nil {
			return nil, fmt.Errorf("context %s: %w", c.name, err)
		}
		version = max(version, m.plan.Identity.Version)
	}
	earlier, err := t.contextTasks(ctx)
	if err != nil {
		return nil, err
	}
	for attempt := 1; attempt <= versionAttempts; attempt++ {
		results, taken, err := t.runContexts(ctx, modules, version, attempt, earlier)
		if err != nil {
			return nil, err
		}
		if !taken {
			return map[string]any{"modules": results}, nil
		}
		if t.params.Version != "" {
			return nil, input("--version "+t.params.Version, "it is taken; leave the option out to get the next free one", nil)
		}
		t.story.printf("version %d is taken; going on with the next one", version)
		version++
	}
	return nil, fmt.Errorf("none of %d versions up to %d is free for all contexts", versionAttempts, version-1)
}

// prepareContext finds out what the task of a context is told: its identity but for
// the version, and where everything comes from.
func (m *module) prepareContext(ctx context.Context) error {
	if err := m.findRequired(ctx); err != nil {
		return err
	}
	var err error
	if m.plan, err = m.draft(ctx); err != nil {
		return err
	}
	return m.pinSources(ctx, m.plan)
}

// contextTasks are the tasks that earlier runs have started, by label.
func (t *task) contextTasks(ctx context.Context) (map[string]koji.Task, error) {
	kids, err := t.hub.Children(ctx, t.hub.task)
	if err != nil {
		return nil, fmt.Errorf("looking for what earlier runs have started: %w", err)
	}
	tasks := map[string]koji.Task{}
	for _, kid := range kids {
		if kid.Method == methodContext && kid.Label != nil {
			tasks[*kid.Label] = kid
		}
	}
	return tasks, nil
}

// runContexts has all contexts built in one version. taken tells that somebody else
// has that version of one of them.
func (t *task) runContexts(ctx context.Context, modules []*module, version uint64, attempt int, earlier map[string]koji.Task) (results []any, taken bool, err error) {
	ids := make([]int64, len(modules))
	for i, m := range modules {
		label := contextLabel + m.ctx.name
		if attempt > 1 {
			label += "#" + strconv.Itoa(attempt)
		}
		if ids[i], err = t.startContext(ctx, m, version, label, earlier); err != nil {
			return nil, false, err
		}
	}
	results = make([]any, len(ids))
	var failures []error
	for i, id := range ids {
		kid, err := t.kids.wait(ctx, id)
		if err != nil {
			return nil, false, err
		}
		if kid.State != koji.TaskClosed {
			if taken { // cancelled by us
				continue
			}
			failures = append(failures, t.hub.contextFailure(ctx, kid, modules[i].ctx.name))
			continue
		}
		var result map[string]any
		if err := t.hub.TaskResult(ctx, id, &result); err != nil {
			return nil, false, fmt.Errorf("the result of task %d: %w", id, err)
		}
		if _, taken = result[takenKey]; taken {
			if err := t.hub.cancelChildren(ctx); err != nil {
				return nil, false, fmt.Errorf("cancelling the other contexts: %w", err)
			}
			return nil, true, t.waitAll(ctx, ids)
		}
		t.story.printf("context %s: %v", modules[i].ctx.name, result["nvr"])
		results[i] = result
	}
	return results, false, errors.Join(failures...)
}

func (t *task) waitAll(ctx context.Context, ids []int64) error {
	for _, id := range ids {
		if _, err := t.kids.wait(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *task) startContext(ctx context.Context, m *module, version uint64, label string, earlier map[string]koji.Task) (int64, error) {
	if kid, ok := earlier[label]; ok {
		t.story.printf("context %s: task %d of an earlier run", m.ctx.name, kid.ID)
		return kid.ID, nil
	}
	id := m.plan.Identity
	name := string(id.Context)
	if t.params.Scratch {
		name += "_1"
	}
	request := map[string]any{
		"__method__": methodContext, "name": id.Name, "stream": id.Stream,
		"version": strconv.FormatUint(version, 10), "context": name, "pin": m.pin,
	}
	child, err := t.hub.subtask(ctx, methodContext, []any{request}, label, "")
	if err == nil {
		t.story.printf("context %s: task %d builds %s:%s:%d:%s", m.ctx.name, child, id.Name, id.Stream, version, name)
	}
	return child, err
}

// contextFailure makes the error of a context that could not be built. It is a fault
// of what is built, whatever the code.
func (h *hub) contextFailure(ctx context.Context, t koji.Task, name string) error {
	err := h.whyFailed(ctx, t, "context "+name)
	var failed *koji.TaskError
	if errors.As(err, &failed) {
		return fmt.Errorf("context %s: task %d failed: %s", name, t.ID, safetext.Text(failed.Fault.Message))
	}
	return err
}

// takenResult is the result of the task of a context whose identity is taken.
func takenResult(err error) map[string]any {
	return map[string]any{takenKey: safetext.Text(err.Error())}
}
