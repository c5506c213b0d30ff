package kojitest

import (
	"errors"
	"slices"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

type waitParams struct {
	Parent int64 `xmlrpc:"parent"`
}

type setWaitParams struct {
	Parent int64    `xmlrpc:"parent"`
	Tasks  *[]int64 `xmlrpc:"tasks"`
}

// taskSetWait marks a task as waiting, and those of its children that it waits
// for: nil for all. Like Koji it does not ask whether the task is the caller's.
func (c *call) taskSetWait(p setWaitParams) (any, error) {
	if _, err := c.needHost(); err != nil {
		return nil, err
	}
	c.write()
	if t := c.h.state.tasks[p.Parent]; t != nil {
		t.waiting = ptr(true)
	}
	for _, child := range c.h.state.children(p.Parent) {
		switch {
		case p.Tasks == nil || slices.Contains(*p.Tasks, child.id):
			child.awaited = ptr(true)
		case len(*p.Tasks) > 0 && child.awaited != nil && *child.awaited:
			child.awaited = ptr(false)
		}
	}
	return nil, nil
}

func ptr[T any](v T) *T { return &v }

// taskWait returns the awaited children that have finished, which are awaited no
// longer, and those that have not.
func (c *call) taskWait(p waitParams) (any, error) {
	if _, err := c.needHost(); err != nil {
		return nil, err
	}
	finished, unfinished := []any{}, []any{}
	for _, child := range c.h.state.children(p.Parent) {
		switch {
		case child.awaited == nil || !*child.awaited:
		case child.finished():
			c.write()
			child.awaited = ptr(false)
			finished = append(finished, child.id)
		default:
			unfinished = append(unfinished, child.id)
		}
	}
	return []any{finished, unfinished}, nil
}

func (c *call) taskUnwait(p waitParams) (any, error) {
	if _, err := c.needHost(); err != nil {
		return nil, err
	}
	c.unwait(p.Parent)
	return nil, nil
}

func (c *call) unwait(parent int64) {
	c.write()
	if t := c.h.state.tasks[parent]; t != nil {
		t.waiting = ptr(false)
	}
	for _, child := range c.h.state.children(parent) {
		child.awaited = ptr(false)
	}
}

type waitResultsParams struct {
	Parent  int64    `xmlrpc:"parent"`
	Tasks   *[]int64 `xmlrpc:"tasks"`
	CanFail []int64  `xmlrpc:"canfail"`
}

// taskWaitResults returns what tasks have returned, as pairs of id and value.
func (c *call) taskWaitResults(p waitResultsParams) (any, error) {
	if _, err := c.needHost(); err != nil {
		return nil, err
	}
	var ids []int64
	if p.Tasks != nil {
		ids = *p.Tasks
	} else {
		for _, child := range c.h.state.children(p.Parent) {
			if child.finished() {
				ids = append(ids, child.id)
			}
		}
	}
	results := []any{}
	for _, id := range ids {
		t := c.h.state.tasks[id]
		if t == nil {
			return nil, fault(errGeneric, "No such task")
		}
		canFail := slices.Contains(p.CanFail, id)
		v, err := t.value(!canFail)
		var f *xmlrpc.Fault
		if errors.As(err, &f) && canFail && t.state == taskCanceled {
			v, err = map[string]any{"faultCode": f.Code, "faultString": f.Message}, nil
		}
		if err != nil {
			return nil, err
		}
		results = append(results, []any{id, v})
	}
	c.unwait(p.Parent)
	return results, nil
}

// hostTasks returns the host's open tasks; one that waits for a child which has
// finished has an alert.
func (c *call) hostTasks(struct{}) (any, error) {
	h, err := c.needHost()
	if err != nil {
		return nil, err
	}
	list := []any{}
	for id := int64(1); id <= c.h.state.lastID["task"]; id++ {
		t := c.h.state.tasks[id]
		if t == nil || t.host != h || t.state != taskOpen {
			continue
		}
		info := t.info()
		m := map[string]any{"id": t.id, "waiting": info["waiting"], "weight": t.weight}
		if t.waiting != nil && *t.waiting {
			for _, child := range c.h.state.children(id) {
				if child.awaited != nil && *child.awaited && child.finished() {
					m["alert"] = true
				}
			}
		}
		list = append(list, m)
	}
	return list, nil
}
