package kojitask

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kojimod/kojimod/pkg/koji"
)

// Slots bound how many subtasks a module has at once. Builders count tasks that
// wait for their children, so modules that started all they can would fill the
// builders with tasks that wait for others which then find no place. What all
// builders can take, less the modules' own tasks and one place for real work, is
// divided among the modules that are running.
type slots struct {
	hub     *hub
	maxJobs int // of this builder; taken where nothing else is known

	mu      sync.Mutex
	used    int
	limit   int
	counted time.Time
	pool    int // places for tasks on all builders
	pooled  time.Time
	freed   chan struct{} // closed and replaced when a slot is given back
	now     func() time.Time
}

const (
	countAgain = time.Minute
	poolAgain  = 10 * time.Minute
)

func newSlots(h *hub, maxJobs int, now func() time.Time) *slots {
	return &slots{hub: h, maxJobs: maxJobs, freed: make(chan struct{}), now: now}
}

// acquire waits for a slot. stop is asked while waiting.
func (s *slots) acquire(ctx context.Context, stop func() error) error {
	for {
		if err := stop(); err != nil {
			return err
		}
		if err := s.count(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		if s.used < s.limit {
			s.used++
			s.mu.Unlock()
			return nil
		}
		freed := s.freed
		s.mu.Unlock()
		again := time.NewTimer(countAgain)
		select {
		case <-freed:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	close(s.freed)
	s.freed = make(chan struct{})
}

// wakeAll has those who wait ask again whether to stop.
func (s *slots) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.freed)
	s.freed = make(chan struct{})
}

// count settles the limit anew where that is due.
func (s *slots) count(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock() // others wait for the same answer
	now := s.now()
	if s.limit > 0 && now.Sub(s.counted) < countAgain {
		return nil
	}
	if s.pool == 0 || now.Sub(s.pooled) >= poolAgain {
		pool, err := s.hub.places(ctx)
		if err != nil {
			return err
		}
		s.pool, s.pooled = max(pool, s.maxJobs), now
	}
	modules := make([]int, 2)
	err := s.hub.multiCall(ctx, func(tasks *koji.MultiCall) {
		for i, method := range []string{methodBuild, methodContext} {
			query := map[string]any{"method": method, "state": []koji.TaskState{koji.TaskOpen, koji.TaskAssigned}}
			tasks.Add("listTasks", &modules[i], query, map[string]any{"countOnly": true})
		}
	})
	if err != nil {
		return fmt.Errorf("counting the module builds that are running: %w", err)
	}
	running := max(1, modules[0]+modules[1])
	s.limit, s.counted = max(1, (s.pool-running-1)/running), now
	return nil
}

// places returns how many tasks the builders of components take at once.
func (h *hub) places(ctx context.Context) (int, error) {
	var hosts []struct {
		ID int64 `xmlrpc:"id"`
	}
	var data []struct {
		ID   int64 `xmlrpc:"host_id"`
		Data struct {
			MaxJobs int `xmlrpc:"maxjobs"`
		} `xmlrpc:"data"`
	}
	err := h.multiCall(ctx, func(calls *koji.MultiCall) {
		calls.Add("listHosts", &hosts, nil, componentChannel, true, true)
		calls.Add("scheduler.getHostData", &data)
	})
	if err != nil {
		return 0, fmt.Errorf("looking at the builders of channel %s: %w", componentChannel, err)
	}
	jobs := map[int64]int{}
	for _, d := range data {
		jobs[d.ID] = d.Data.MaxJobs
	}
	total := 0
	for _, host := range hosts {
		total += min(max(jobs[host.ID], 0), 1<<16)
	}
	return total, nil
}
