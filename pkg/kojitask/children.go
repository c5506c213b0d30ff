package kojitask

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kojimod/kojimod/pkg/koji"
)

// pollEvery is how often the hub is asked while nothing tells that a child has
// finished.
const pollEvery = 15 * time.Second

// children are the subtasks that somebody waits for. One call asks for all of
// them.
type children struct {
	hub  *hub
	wake <-chan struct{} // a child has finished, says the builder's daemon
	poll time.Duration

	mu      sync.Mutex
	waiting map[int64][]chan<- koji.Task
	fresh   bool // some were added that the hub does not know to be awaited
	failed  error
	changed chan struct{} // holds one token when something was added
}

func newChildren(h *hub, wake <-chan struct{}, poll time.Duration) *children {
	return &children{hub: h, wake: wake, poll: poll, waiting: map[int64][]chan<- koji.Task{}, changed: make(chan struct{}, 1)}
}

// wait waits until a child has finished, in whatever way.
func (c *children) wait(ctx context.Context, id int64) (koji.Task, error) {
	done := make(chan koji.Task, 1)
	c.mu.Lock()
	if c.failed != nil {
		c.mu.Unlock()
		return koji.Task{}, c.failed
	}
	c.waiting[id] = append(c.waiting[id], done)
	c.fresh = true
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
	select {
	case t, ok := <-done:
		if !ok {
			return koji.Task{}, c.failed
		}
		return t, nil
	case <-ctx.Done():
		return koji.Task{}, context.Cause(ctx)
	}
}

// run serves those who wait, until the context ends.
func (c *children) run(ctx context.Context) {
	tick := time.NewTicker(c.poll)
	defer tick.Stop()
	look := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		case <-c.wake:
			look = true
		case <-tick.C:
			look = true
		}
		if err := c.serve(ctx, look); err != nil {
			if ctx.Err() == nil {
				c.fail(err)
			}
			return
		}
		look = false
	}
}

// fail tells all who wait, now and later, that there is nothing to wait for.
func (c *children) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	for _, list := range c.waiting {
		for _, done := range list {
			close(done)
		}
	}
	c.waiting = nil
}

func (c *children) pending() (ids []int64, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.waiting {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	fresh, c.fresh = c.fresh, false
	return ids, fresh
}

// serve tells the hub what is waited for, so that its daemon sends a signal when
// one has finished, and looks at the children where there is reason to.
func (c *children) serve(ctx context.Context, look bool) error {
	ids, fresh := c.pending()
	if len(ids) == 0 {
		return nil
	}
	if fresh {
		if err := c.hub.call(ctx, "host.taskSetWait", nil, c.hub.task, ids); err != nil {
			return fmt.Errorf("waiting for subtasks: %w", err)
		}
	}
	if !look {
		return nil
	}
	var tasks []koji.Task
	err := c.hub.multiCall(ctx, func(calls *koji.MultiCall) {
		// The first takes the mark of being awaited from what has finished; otherwise
		// the daemon would send its signal again and again. What has lost its mark is
		// seen as finished by the second.
		calls.Add("host.taskWait", nil, c.hub.task)
		calls.Add("getTaskInfo", &tasks, ids)
	})
	if err != nil {
		return fmt.Errorf("looking at subtasks: %w", err)
	}
	return c.deliver(tasks)
}

// deliver gives the tasks that have ended to those who wait for them.
func (c *children) deliver(tasks []koji.Task) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tasks {
		if t.Parent == nil || *t.Parent != c.hub.task {
			return errors.New("the hub has answered for another task's children")
		}
		if t.State.Finished() {
			for _, done := range c.waiting[t.ID] {
				done <- t
			}
			delete(c.waiting, t.ID)
		}
	}
	return nil
}
