package kojitest

import (
	"maps"
	"slices"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// A host is a builder.
type host struct {
	id   int64
	user *user
}

// AddHost makes a builder's account and returns the host's id.
func (h *Hub) AddHost(name, password string) (id int64) {
	h.locked(func() {
		u := h.state.addUser(name, password, nil)
		u.host = &host{id: h.state.next("host"), user: u}
		id = u.host.id
	})
	return id
}

// host finds a host by name or id.
func (s *state) host(info any) *host {
	for _, u := range s.users {
		if u.host != nil && (info == u.name || info == u.host.id) {
			return u.host
		}
	}
	return nil
}

func hostMethods() map[string]method {
	return map[string]method{
		"assignTask":           handle(2, (*call).assignTask),
		"host.getID":           handle(0, (*call).hostID),
		"host.openTask":        handle(1, (*call).openTask),
		"host.closeTask":       handle(2, (*call).closeTask),
		"host.failTask":        handle(2, (*call).failTask),
		"host.freeTasks":       handle(1, (*call).freeTasks),
		"host.setTaskWeight":   handle(2, (*call).setTaskWeight),
		"host.subtask":         subtask,
		"host.taskSetWait":     handle(2, (*call).taskSetWait),
		"host.taskWait":        handle(1, (*call).taskWait),
		"host.taskUnwait":      handle(1, (*call).taskUnwait),
		"host.taskWaitResults": handle(2, (*call).taskWaitResults),
		"host.getHostTasks":    handle(0, (*call).hostTasks),
	}
}

// needHost is Host().verify().
func (c *call) needHost() (*host, error) {
	switch {
	case c.user == nil:
		return nil, fault(errAuth, "Not logged-in")
	case c.user.host == nil:
		return nil, fault(errAuth, "User %d is not a host", c.user.id)
	case !c.exclusive:
		return nil, fault(errAuth, "This method requires an exclusive session")
	}
	return c.user.host, nil
}

func (c *call) holds(t *task) bool {
	return c.user != nil && c.user.host != nil && t.state == taskOpen && t.host == c.user.host
}

// needTask is Host().verify() and Task(id).assertHost().
func (c *call) needTask(id int64) (*task, error) {
	h, err := c.needHost()
	if err != nil {
		return nil, err
	}
	t := c.h.state.tasks[id]
	if t == nil {
		return nil, fault(errGeneric, "No such task: %d", id)
	}
	if !c.holds(t) {
		return nil, fault(errActionNotAllowed, "host %d does not own task %d", h.id, id)
	}
	return t, nil
}

type assignParams struct {
	ID    int64 `xmlrpc:"task_id"`
	Host  any   `xmlrpc:"host"`
	Force bool  `xmlrpc:"force"`
}

func (c *call) assignTask(p assignParams) (any, error) {
	h := c.h.state.host(p.Host)
	if h == nil {
		return nil, fault(errGeneric, "Invalid hostInfo: %v", p.Host)
	}
	if err := c.needPerm("admin"); err != nil {
		return nil, err
	}
	t := c.h.state.tasks[p.ID]
	if t == nil {
		return nil, fault(errGeneric, "query returned no rows")
	}
	if t.state != taskFree && !p.Force && (t.state != taskAssigned || t.host != h) {
		return false, nil
	}
	c.write()
	t.state, t.host = taskAssigned, h
	c.h.noteTask(t)
	return true, nil
}

func (c *call) hostID(struct{}) (any, error) {
	h, err := c.needHost()
	if err != nil {
		return nil, err
	}
	return h.id, nil
}

type openParams struct {
	ID int64 `xmlrpc:"task_id"`
}

func (c *call) openTask(p openParams) (any, error) {
	h, err := c.needHost()
	if err != nil {
		return nil, err
	}
	t := c.h.state.tasks[p.ID]
	if t == nil {
		return nil, fault(errGeneric, "query returned no rows")
	}
	if t.state != taskFree && (t.state != taskAssigned || t.host != h) {
		return nil, nil
	}
	c.open(t, h)
	m := t.info()
	request, err := xmlrpc.EncodeCall(t.method, t.request...)
	if err != nil {
		return nil, unspecified("%v", err)
	}
	m["request"] = string(request)
	return m, nil
}

func (c *call) open(t *task, h *host) {
	c.write()
	t.state, t.host, t.opened = taskOpen, h, now()
	c.h.noteTask(t)
}

type endParams struct {
	ID     int64  `xmlrpc:"task_id"`
	Result string `xmlrpc:"response"`
}

func (c *call) closeTask(p endParams) (any, error) { return nil, c.endTask(p, taskClosed) }

func (c *call) failTask(p endParams) (any, error) { return nil, c.endTask(p, taskFailed) }

func (c *call) endTask(p endParams, state int) error {
	t, err := c.needTask(p.ID)
	if err == nil {
		c.end(t, state, p.Result)
	}
	return err
}

type tasksParams struct {
	IDs []int64 `xmlrpc:"tasks"`
}

func (c *call) freeTasks(p tasksParams) (any, error) {
	if _, err := c.needHost(); err != nil {
		return nil, err
	}
	for _, id := range p.IDs {
		t := c.h.state.tasks[id]
		if t == nil {
			return nil, fault(errGeneric, "No such task: %d", id)
		}
		if c.holds(t) {
			c.write()
			t.state, t.host = taskFree, nil
			c.h.noteTask(t)
		}
	}
	return nil, nil
}

type weightParams struct {
	ID     int64   `xmlrpc:"task_id"`
	Weight float64 `xmlrpc:"weight"`
}

func (c *call) setTaskWeight(p weightParams) (any, error) {
	t, err := c.needTask(p.ID)
	if err != nil {
		return nil, err
	}
	c.write()
	t.weight = p.Weight
	return nil, nil
}

// subtask is host.subtask(method, arglist, parent, **opts): the child that has the
// label already, or a new one.
func subtask(c *call, args []any, named map[string]any) (any, error) {
	if _, err := c.needHost(); err != nil {
		return nil, err
	}
	named = maps.Clone(named)
	for _, name := range []string{"method", "arglist", "parent"}[min(len(args), 3):] {
		v, ok := named[name]
		if !ok {
			return nil, fault(errParameter, "HostExports.subtask() missing a required positional argument: '%s'", name)
		}
		args = append(args[:len(args):len(args)], v)
		delete(named, name)
	}
	if len(args) != 3 {
		return nil, fault(errParameter, "HostExports.subtask() takes 4 positional arguments but %d were given", len(args)+1)
	}
	id, err := taskID(args[2])
	if err != nil {
		return nil, err
	}
	parent, err := c.needTask(id)
	if err != nil {
		return nil, err
	}
	if _, ok := named["owner"]; ok {
		return nil, fault(errActionNotAllowed, "The owner option is not allowed here")
	}
	if label, ok := named["label"]; ok {
		for _, t := range c.h.state.children(id) {
			if t.label != nil && *t.label == label {
				return t.id, nil
			}
		}
	}
	if kwargs, ok := named["kwargs"].(map[string]any); ok {
		last := map[string]any{"__starstar": true}
		for k, v := range kwargs {
			last[k] = v
		}
		list, _ := args[1].([]any)
		args[1] = append(slices.Clone(list), any(last))
	}
	t, err := c.taskFrom(args[0], args[1], parent, named)
	if err != nil {
		return nil, err
	}
	return t.id, nil
}
