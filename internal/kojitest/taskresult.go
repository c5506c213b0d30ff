package kojitest

import (
	"errors"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

type resultParams struct {
	ID         int64 `xmlrpc:"taskId"`
	RaiseFault *bool `xmlrpc:"raise_fault"`
}

func (c *call) getTaskResult(p resultParams) (any, error) {
	t := c.h.state.tasks[p.ID]
	if t == nil {
		return nil, fault(errGeneric, "No such task")
	}
	return t.value(p.RaiseFault == nil || *p.RaiseFault)
}

// value returns what a task has returned (Task.getResult).
func (t *task) value(raise bool) (any, error) {
	switch {
	case t.state == taskCanceled:
		return nil, fault(errGeneric, "Task %d is canceled", t.id)
	case !t.finished():
		return nil, fault(errGeneric, "Task %d is not finished", t.id)
	}
	v, err := xmlrpc.DecodeResponse([]byte(t.result), xmlrpc.Limits{})
	var f *xmlrpc.Fault
	switch {
	case errors.As(err, &f) && raise:
		return nil, f
	case errors.As(err, &f):
		return map[string]any{"faultCode": f.Code, "faultString": f.Message}, nil
	case err != nil:
		return nil, unspecified("%v", err)
	}
	return v, nil
}

type cancelParams struct {
	ID      int64 `xmlrpc:"task_id"`
	Recurse *bool `xmlrpc:"recurse"`
}

func (c *call) cancelTask(p cancelParams) (any, error) {
	t, err := c.mayCancel(p.ID)
	if err != nil {
		return nil, err
	}
	c.cancel(t, p.Recurse == nil || *p.Recurse)
	return nil, nil
}

func (c *call) cancelTaskChildren(p cancelParams) (any, error) {
	t, err := c.mayCancel(p.ID)
	if err != nil {
		return nil, err
	}
	for _, child := range c.h.state.children(t.id) {
		c.cancel(child, true)
	}
	return nil, nil
}

func (c *call) mayCancel(id int64) (*task, error) {
	t := c.h.state.tasks[id]
	if t == nil && c.user != nil {
		return nil, fault(errGeneric, "No such task: %d", id)
	}
	if t == nil || c.user == nil || t.owner != c.user && !c.holds(t) && !c.user.may("admin") {
		return nil, fault(errActionNotAllowed, "Cannot cancel task, not owner")
	}
	return t, nil
}

// cancel ends a task, what it builds, and the tasks below it unless it has
// finished before.
func (c *call) cancel(t *task, recurse bool) {
	if t.finished() {
		return
	}
	c.end(t, taskCanceled, "")
	for _, b := range c.h.state.builds {
		if b.taskID == t.id && b.state == buildBuilding {
			c.setBuildState(b, buildCanceled)
		}
	}
	if recurse {
		for _, child := range c.h.state.children(t.id) {
			c.cancel(child, true)
		}
	}
}

// end puts a task into one of its last states.
func (c *call) end(t *task, state int, result string) {
	c.write()
	t.state, t.result, t.closed = state, result, now()
	if stop := c.h.running[t.id]; stop != nil {
		stop()
	}
	c.endReservation(t)
	c.h.noteTask(t)
}
