package koji

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// A TaskState is the state of a task (koji.TASK_STATES).
type TaskState int

// The states of a task.
const (
	TaskFree     TaskState = 0 // waits for a builder
	TaskOpen     TaskState = 1 // runs
	TaskClosed   TaskState = 2 // succeeded
	TaskCanceled TaskState = 3
	TaskAssigned TaskState = 4 // a builder has it and has not begun
	TaskFailed   TaskState = 5
)

// String returns Koji's name of the state, for example "OPEN".
func (s TaskState) String() string {
	names := [...]string{"FREE", "OPEN", "CLOSED", "CANCELED", "ASSIGNED", "FAILED"}
	if s < 0 || int(s) >= len(names) {
		return "state " + strconv.Itoa(int(s))
	}
	return names[s]
}

// Finished reports whether the task has ended, in whatever way.
func (s TaskState) Finished() bool {
	return s == TaskClosed || s == TaskCanceled || s == TaskFailed
}

// A Task is what Koji says about a task.
type Task struct {
	ID        int64     `xmlrpc:"id"`
	State     TaskState `xmlrpc:"state"`
	Method    string    `xmlrpc:"method"`
	Arch      string    `xmlrpc:"arch"`
	Parent    *int64    `xmlrpc:"parent"` // nil for a task that nobody's is above
	Label     *string   `xmlrpc:"label"`  // distinguishes children of one task
	Owner     int64     `xmlrpc:"owner"`  // user's id
	OwnerName string    `xmlrpc:"owner_name"`
	HostID    *int64    `xmlrpc:"host_id"` // nil until a builder has it
	ChannelID *int64    `xmlrpc:"channel_id"`
	Priority  int       `xmlrpc:"priority"`
	Weight    float64   `xmlrpc:"weight"`
	Waiting   *bool     `xmlrpc:"waiting"` // for its children; nil if never
	Awaited   *bool     `xmlrpc:"awaited"` // by its parent; nil if never

	Created   time.Time  `xmlrpc:"create_ts"`
	Started   *time.Time `xmlrpc:"start_ts"`
	Completed *time.Time `xmlrpc:"completion_ts"`

	// Request are the parameters; nil where they were not asked for.
	Request []any `xmlrpc:"request"`
}

// A TaskError is the failure of a task.
type TaskError struct {
	ID    int64
	Fault *Fault
}

func (e *TaskError) Error() string { return fmt.Sprintf("task %d failed: %v", e.ID, e.Fault) }

// Unwrap returns the Fault.
func (e *TaskError) Unwrap() error { return e.Fault }

// Task returns a task with its parameters; the error is ErrNotFound if there is
// none with this id.
func (s *Session) Task(ctx context.Context, id int64) (Task, error) {
	list, err := s.Tasks(ctx, id)
	if err != nil {
		return Task{}, err
	}
	return list[0], nil
}

// Tasks returns several tasks by one call, in the order of their ids.
func (s *Session) Tasks(ctx context.Context, ids ...int64) ([]Task, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var found []*Task
	if err := s.Call(ctx, "getTaskInfo", &found, ids, Named{"request": true}); err != nil {
		return nil, err
	}
	if len(found) != len(ids) {
		return nil, badReply("getTaskInfo", "%d tasks instead of %d", len(found), len(ids))
	}
	tasks := make([]Task, len(ids))
	for i, t := range found {
		if t == nil {
			return nil, &CallError{Method: "getTaskInfo", Attempts: 1, Err: fmt.Errorf("task %d: %w", ids[i], ErrNotFound)}
		}
		tasks[i] = *t
	}
	return tasks, nil
}

func badReply(method, format string, args ...any) error {
	return &CallError{Method: method, Attempts: 1, Err: fmt.Errorf("%w: %s", ErrBadReply, fmt.Sprintf(format, args...))}
}

// Children returns the tasks right below a task, with their parameters.
func (s *Session) Children(ctx context.Context, id int64) ([]Task, error) {
	var tasks []Task
	err := s.Call(ctx, "getTaskChildren", &tasks, id, Named{"request": true})
	return tasks, err
}

// A TaskQuery says which tasks to list. Zero fields do not matter.
type TaskQuery struct {
	States       []TaskState
	Arches       []string
	Method       string
	Owner        int64 // user's id
	HostID       int64
	ChannelID    int64
	Parent       int64
	CreatedAfter time.Time
	Limit        int // how many at most
	Offset       int // how many to leave out first
}

// ListTasks returns tasks by rising id.
func (s *Session) ListTasks(ctx context.Context, q TaskQuery) ([]Task, error) {
	opts := map[string]any{"decode": true}
	for name, id := range map[string]int64{"owner": q.Owner, "host_id": q.HostID, "channel_id": q.ChannelID, "parent": q.Parent} {
		if id != 0 {
			opts[name] = id
		}
	}
	if len(q.States) > 0 {
		opts["state"] = q.States
	}
	if len(q.Arches) > 0 {
		opts["arch"] = q.Arches
	}
	if q.Method != "" {
		opts["method"] = q.Method
	}
	if !q.CreatedAfter.IsZero() {
		opts["createdAfter"] = float64(q.CreatedAfter.UnixMicro()) / 1e6
	}
	query := map[string]any{"order": "id"}
	if q.Limit > 0 {
		query["limit"] = q.Limit
	}
	if q.Offset > 0 {
		query["offset"] = q.Offset
	}
	var tasks []Task
	err := s.Call(ctx, "listTasks", &tasks, opts, query)
	return tasks, err
}

// TaskResult puts what a task has returned into result, which is as for Call. The
// error is a *TaskError where the task failed, and a fault of the hub where it was
// cancelled or has not finished.
func (s *Session) TaskResult(ctx context.Context, id int64, result any) error {
	var v any
	if err := s.Call(ctx, "getTaskResult", &v, id, Named{"raise_fault": false}); err != nil {
		return err
	}
	if m, ok := v.(map[string]any); ok {
		code, isCode := m["faultCode"].(int64)
		msg, isText := m["faultString"].(string)
		if isCode && isText {
			return &TaskError{ID: id, Fault: &Fault{Code: FaultCode(code), Message: msg}}
		}
	}
	return put("getTaskResult", result, v)
}

// CancelTask cancels a task, with recurse those below it, too. A task that has
// finished stays as it is.
func (s *Session) CancelTask(ctx context.Context, id int64, recurse bool) error {
	return s.Call(ctx, "cancelTask", nil, id, Named{"recurse": recurse})
}

// WatchOptions say how a task is watched. The zero value works.
type WatchOptions struct {
	// Min and Max are the shortest and the longest time between two looks; 2 and 15
	// seconds unless set. It grows while nothing changes.
	Min, Max time.Duration

	// Changed is called with the task when first seen and after each change of its
	// state; may be nil.
	Changed func(Task)
}

func (o WatchOptions) withDefaults() WatchOptions {
	setDefault(&o.Min, 2*time.Second)
	setDefault(&o.Max, 15*time.Second)
	return o
}

// WatchTask waits until a task has finished, and returns it. That it failed is no
// error: see its state.
func (s *Session) WatchTask(ctx context.Context, id int64, opts WatchOptions) (Task, error) {
	opts = opts.withDefaults()
	pause := opts.Min
	last := TaskState(-1)
	for {
		t, err := s.Task(ctx, id)
		if err != nil {
			return Task{}, err
		}
		if t.State != last {
			last, pause = t.State, opts.Min
			if opts.Changed != nil {
				opts.Changed(t)
			}
		}
		if t.State.Finished() {
			return t, nil
		}
		if err := s.client.sleep(ctx, pause); err != nil {
			return t, fmt.Errorf("koji: watching task %d: %w", id, err)
		}
		pause = min(pause*3/2, opts.Max)
	}
}
