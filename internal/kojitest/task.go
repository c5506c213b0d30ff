package kojitest

import (
	"maps"
	"slices"
	"time"
)

// States of a task (koji.TASK_STATES).
const (
	taskFree = iota
	taskOpen
	taskClosed
	taskCanceled
	taskAssigned
	taskFailed
)

var taskStates = [...]string{"FREE", "OPEN", "CLOSED", "CANCELED", "ASSIGNED", "FAILED"}

type task struct {
	id, parent, channel  int64
	label                *string
	state                int
	method, arch         string
	owner                *user
	host                 *host
	waiting, awaited     *bool
	priority             int
	weight               float64
	request              []any
	result               string // XML as the host has sent it
	made, opened, closed time.Time
}

func (t *task) finished() bool {
	return t.state == taskClosed || t.state == taskCanceled || t.state == taskFailed
}

// children are in the order of their ids.
func (s *state) children(id int64) (list []*task) {
	for _, k := range slices.Sorted(maps.Keys(s.tasks)) {
		if t := s.tasks[k]; t.parent == id {
			list = append(list, t)
		}
	}
	return list
}

// taskOptions are what make_task takes besides method and parameters.
type taskOptions struct {
	parent   *task
	label    *string
	owner    *user
	channel  any
	arch     string
	priority *int
	assign   *host
}

// makeTask makes a task as make_task does under the default policies: the channel
// asked for, else that of the parent, else "default".
func (c *call) makeTask(method string, request []any, o taskOptions) (*task, error) {
	t := &task{method: method, request: request, channel: 1, priority: 20, arch: "noarch", weight: 1, owner: o.owner, made: now()}
	if o.parent != nil {
		if o.parent.state != taskOpen {
			return nil, fault(errGeneric, "Parent task (id %d) is not open", o.parent.id)
		}
		t.parent, t.label, t.owner, t.arch = o.parent.id, o.label, o.parent.owner, o.parent.arch
		t.channel, t.priority = o.parent.channel, o.parent.priority-1
	} else if t.owner == nil {
		if t.owner = c.user; t.owner == nil {
			return nil, fault(errGeneric, "task must have an owner")
		}
	}
	if o.arch != "" {
		t.arch = o.arch
	}
	if o.priority != nil {
		t.priority = *o.priority
	}
	if o.channel != nil {
		id, ok := channelID(o.channel)
		if !ok {
			return nil, fault(errGeneric, "No such channel: %v", o.channel)
		}
		t.channel = id
	}
	if o.assign != nil {
		t.state, t.host = taskAssigned, o.assign
	}
	c.write()
	t.id = c.h.state.next("task")
	c.h.state.tasks[t.id] = t
	c.h.noteTask(t)
	c.h.schedule(t)
	return t, nil
}

func (h *Hub) noteTask(t *task) {
	e := Event{Kind: TaskChanged, Method: t.method, ID: t.id, Parent: t.parent, State: taskStates[t.state], User: t.owner.name}
	if t.label != nil {
		e.Label = *t.label
	}
	h.note(e)
}

func (t *task) info() map[string]any {
	m := map[string]any{
		"id": t.id, "state": t.state, "create_time": stamp(t.made), "create_ts": ts(t.made),
		"start_time": stamp(t.opened), "start_ts": ts(t.opened), "completion_time": stamp(t.closed), "completion_ts": ts(t.closed),
		"channel_id": t.channel, "host_id": nil, "parent": nil, "label": nil, "waiting": nil, "awaited": nil,
		"owner": t.owner.id, "method": t.method, "arch": t.arch, "priority": t.priority, "weight": t.weight,
	}
	if t.host != nil {
		m["host_id"] = t.host.id
	}
	if t.parent != 0 {
		m["parent"] = t.parent
	}
	if t.label != nil {
		m["label"] = *t.label
	}
	if t.waiting != nil {
		m["waiting"] = *t.waiting
	}
	if t.awaited != nil {
		m["awaited"] = *t.awaited
	}
	return m
}

func taskMethods() map[string]method {
	return map[string]method{
		"makeTask":           makeTask,
		"getTaskInfo":        handle(1, (*call).getTaskInfo),
		"getTaskChildren":    handle(1, (*call).getTaskChildren),
		"getTaskDescendents": handle(1, (*call).getTaskDescendents),
		"getTaskResult":      handle(1, (*call).getTaskResult),
		"listTasks":          handle(0, (*call).listTasks),
		"cancelTask":         handle(1, (*call).cancelTask),
		"cancelTaskChildren": handle(1, (*call).cancelTaskChildren),
	}
}

// makeTask makes any task, for administrators.
func makeTask(c *call, args []any, named map[string]any) (any, error) {
	if err := c.needPerm("admin"); err != nil {
		return nil, err
	}
	if _, ok := named["owner"]; ok {
		return nil, fault(errActionNotAllowed, "The owner option is not allowed here")
	}
	if len(args) != 2 {
		return nil, fault(errParameter, "make_task() takes 2 positional arguments but %d were given", len(args))
	}
	t, err := c.taskFrom(args[0], args[1], nil, named)
	if err != nil {
		return nil, err
	}
	return t.id, nil
}

// taskFrom makes a task from what a client has sent.
func (c *call) taskFrom(method, request any, parent *task, named map[string]any) (*task, error) {
	name, ok := method.(string)
	params, isList := request.([]any)
	if !ok || !isList {
		return nil, fault(errParameter, "Invalid type for value '%v'", method)
	}
	o := taskOptions{parent: parent, channel: named["channel"]}
	for k, v := range named {
		switch k {
		case "label":
			s, ok := v.(string)
			if !ok {
				return nil, fault(errParameter, "Invalid type for value '%s': expected type <class 'str'>", repr(v))
			}
			o.label = &s
		case "arch":
			o.arch, _ = v.(string)
		case "priority":
			n, ok := v.(int64)
			if !ok {
				return nil, fault(errParameter, "Invalid type for value '%s': expected type <class 'int'>", repr(v))
			}
			p := int(n)
			o.priority = &p
		case "assign":
			if o.assign = c.h.state.host(v); o.assign == nil {
				return nil, fault(errGeneric, "Invalid hostInfo: %v", v)
			}
		case "parent":
			if id, ok := v.(int64); ok && parent == nil {
				if o.parent = c.h.state.tasks[id]; o.parent == nil {
					return nil, fault(errGeneric, "Invalid parent task: %d", id)
				}
			}
		}
	}
	return c.makeTask(name, params, o)
}

type taskParams struct {
	ID      any  `xmlrpc:"task_id"`
	Request bool `xmlrpc:"request"`
	Strict  bool `xmlrpc:"strict"`
}

func (c *call) getTaskInfo(p taskParams) (any, error) {
	ids, several := p.ID.([]any)
	if !several {
		ids = []any{p.ID}
	}
	list := []any{}
	for _, v := range ids {
		id, err := taskID(v)
		if err != nil {
			return nil, err
		}
		t := c.h.state.tasks[id]
		switch {
		case t == nil && p.Strict:
			return nil, fault(errGeneric, "query returned no rows")
		case t == nil:
			list = append(list, nil)
		default:
			list = append(list, t.infoWith(p.Request))
		}
	}
	if several {
		return list, nil
	}
	return list[0], nil
}

func taskID(v any) (int64, error) {
	if id, ok := v.(int64); ok {
		return id, nil
	}
	return 0, fault(errParameter, "Invalid type for value '%s': expected type <class 'int'>", repr(v))
}

func (t *task) infoWith(request bool) map[string]any {
	m := t.info()
	if request {
		m["request"] = t.request
	}
	return m
}

func (c *call) getTaskChildren(p taskParams) (any, error) {
	id, err := taskID(p.ID)
	if err != nil {
		return nil, err
	}
	if p.Strict && c.h.state.tasks[id] == nil {
		return nil, fault(errGeneric, "query returned no rows")
	}
	list := []any{}
	for _, t := range c.h.state.children(id) {
		list = append(list, t.infoWith(p.Request))
	}
	return list, nil
}

// getTaskDescendents returns the children of the task and of each task below it,
// by the ids as text.
func (c *call) getTaskDescendents(p taskParams) (any, error) {
	id, err := taskID(p.ID)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	c.descend(id, p.Request, all)
	return all, nil
}

func (c *call) descend(id int64, request bool, all map[string]any) {
	list := []any{}
	for _, t := range c.h.state.children(id) {
		list = append(list, t.infoWith(request))
		c.descend(t.id, request, all)
	}
	all[repr(id)] = list
}
