package kojitask

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/koji"
)

// A buildRepo is a repository of the build tag.
type buildRepo struct {
	ID    int64
	Event int64
}

// buildRepos makes the repositories that components are built with: one at a time,
// and only when somebody waits for one.
type buildRepos struct {
	hub   *hub
	kids  *children
	tag   string // the build tag
	story *story

	mu      sync.Mutex
	next    int            // number of the next one's label
	current *buildRepo     // the newest
	has     map[int64]bool // builds of the module that are in current
	tagged  map[int64]bool // builds that the next one would have
	making  chan struct{}  // closed when the one that is being made is there, or not
	made    int            // how many by this run
	failed  error          // there will be no more
}

const repoLabel = "repo:"

// newBuildRepos takes over what earlier runs of the task have made. inTag are the
// builds in the module's tag, with the events of their tagging.
func newBuildRepos(ctx context.Context, h *hub, kids *children, tag string, s *story, earlier []koji.Task, inTag map[int64]int64) (*buildRepos, error) {
	r := &buildRepos{hub: h, kids: kids, tag: tag, story: s, next: 1, has: map[int64]bool{}, tagged: map[int64]bool{}}
	for build := range inTag {
		r.tagged[build] = true
	}
	var last *koji.Task
	for i, t := range earlier {
		if t.Label == nil || t.Method != "newRepo" {
			continue
		}
		n, err := strconv.Atoi(strings.TrimPrefix(*t.Label, repoLabel))
		if err != nil || n < r.next {
			continue
		}
		r.next, last = n+1, &earlier[i]
	}
	if last == nil {
		return r, nil
	}
	// The last may be running; it is waited for like one of our own.
	t := *last
	if !t.State.Finished() {
		s.printf("task %d of an earlier run makes a repository of the build tag", t.ID)
		var err error
		if t, err = kids.wait(ctx, t.ID); err != nil {
			return nil, err
		}
	}
	if t.State != koji.TaskClosed {
		return r, nil
	}
	repo, err := r.result(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	r.current = repo
	for build, event := range inTag {
		if event <= repo.Event {
			r.has[build] = true
		}
	}
	return r, nil
}

// noteTagged says that a build is in the module's tag now.
func (r *buildRepos) noteTagged(build int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tagged[build] = true
}

// need returns a repository that has all the builds, which are tagged.
func (r *buildRepos) need(ctx context.Context, builds []int64) (buildRepo, error) {
	for {
		r.mu.Lock()
		missing := slices.ContainsFunc(builds, func(b int64) bool { return !r.has[b] })
		if r.current != nil && !missing {
			repo := *r.current
			r.mu.Unlock()
			return repo, nil
		}
		if r.failed != nil {
			r.mu.Unlock()
			return buildRepo{}, r.failed
		}
		making := r.making
		if making == nil {
			making = make(chan struct{})
			r.making = making
			n, with := r.next, make(map[int64]bool, len(r.tagged))
			for b := range r.tagged {
				with[b] = true
			}
			r.next++
			r.mu.Unlock()
			go r.make(ctx, n, with, making)
		} else {
			r.mu.Unlock()
		}
		select {
		case <-making:
		case <-ctx.Done():
			return buildRepo{}, context.Cause(ctx)
		}
	}
}

// repoAttempts is how many tasks in a row may fail to make a repository.
const repoAttempts = 3

// make makes a repository that has at least the builds in with.
func (r *buildRepos) make(ctx context.Context, n int, with map[int64]bool, done chan<- struct{}) {
	var repo *buildRepo
	var err error
	for attempt := 1; ; attempt++ {
		if repo, err = r.makeOne(ctx, n); err == nil || attempt == repoAttempts || ctx.Err() != nil || isHubError(err) {
			break
		}
		r.story.printf("%v; trying again", err)
		r.mu.Lock()
		n = r.next
		r.next++
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = err
	} else {
		r.current, r.has = repo, with
		r.made++
	}
	r.making = nil
	close(done)
}

func (r *buildRepos) makeOne(ctx context.Context, n int) (*buildRepo, error) {
	label := repoLabel + strconv.Itoa(n)
	id, err := r.hub.subtask(ctx, "newRepo", []any{r.tag}, label, "createrepo")
	if err != nil {
		return nil, err
	}
	r.story.printf("repository %d of the build tag: task %d", n, id)
	t, err := r.kids.wait(ctx, id)
	if err != nil {
		return nil, err
	}
	if t.State != koji.TaskClosed {
		return nil, r.hub.whyFailed(ctx, t, "making repository "+strconv.Itoa(n)+" of the build tag")
	}
	repo, err := r.result(ctx, id)
	if err == nil {
		r.story.printf("repository %d of the build tag is repository %d of Koji", n, repo.ID)
	}
	return repo, err
}

func (r *buildRepos) result(ctx context.Context, task int64) (*buildRepo, error) {
	var result []int64 // repository, event
	if err := r.hub.TaskResult(ctx, task, &result); err != nil {
		return nil, fmt.Errorf("the result of task %d, which made a repository: %w", task, err)
	}
	if len(result) < 2 {
		return nil, fmt.Errorf("the result of task %d, which made a repository, is not repository and event", task)
	}
	return &buildRepo{ID: result[0], Event: result[1]}, nil
}

// whyFailed makes the error of a task that has not succeeded.
func (h *hub) whyFailed(ctx context.Context, t koji.Task, doing string) error {
	if t.State == koji.TaskCanceled {
		return fmt.Errorf("%s: task %d was cancelled", doing, t.ID)
	}
	err := h.TaskResult(ctx, t.ID, nil)
	var failed *koji.TaskError
	switch {
	case err == nil:
		err = fmt.Errorf("task %d failed", t.ID)
	case errors.As(err, &failed):
		err = &taskFailure{t.ID, failed.Fault.Code, safetext.Text(failed.Fault.Message)}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
