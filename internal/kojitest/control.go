package kojitest

import (
	"errors"
	"fmt"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

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
