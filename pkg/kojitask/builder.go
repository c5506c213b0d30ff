package kojitask

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// componentChannel is where components are built. Without a channel they would go
// into that of their parent, where perhaps only module tasks run.
const componentChannel = "default"

const buildLabel = "build:"

// A builder builds components as subtasks. It is the modulebuild.Builder of Koji.
type builder struct {
	hub       *hub
	kids      *children
	repos     *buildRepos
	slots     *slots
	story     *story
	rpms      *rpmReader
	sources   map[string]string // of components, as build tasks take them
	distTag   string
	paths     koji.Paths // for people: topurl if there is one
	keepGoing bool

	// earlier are the tasks that built components in this task before it started
	// over, and in those that it resumes, by component; the newest counts.
	earlier map[string]earlierBuild
	inTag   map[int64]bool // builds that were in the module's tag at the start

	mu        sync.Mutex
	built     map[string]*component
	failed    bool  // a component could not be built
	hubFailed error // no other component has a chance
}

// An earlierBuild is a build task that is there already.
type earlierBuild struct {
	task    koji.Task
	own     bool // a child of this task; else of one that is resumed
	attempt int  // from 1
}

// buildAttempts is how often a component's build is begun where what ended it may
// pass.
const buildAttempts = 3

// A component is one that is built.
type component struct {
	task  int64
	build koji.Build
	rpms  []builtRPM
}

// Name is what Koji's builds are called in reports.
func (b *builder) Name() string { return "koji" }

// Prepare has nothing to do: what can be known to fail was looked at when the
// sources were pinned.
func (b *builder) Prepare(context.Context, []modulebuild.Job) error { return nil }

// Build has one component built, or takes what was built of it before.
func (b *builder) Build(ctx context.Context, job modulebuild.Job) (modulebuild.Result, error) {
	result, err := b.build(ctx, job)
	if err != nil && !errors.Is(err, modulebuild.ErrNotStarted) {
		b.mu.Lock()
		b.failed = true
		if isHubError(err) && b.hubFailed == nil {
			b.hubFailed = err
		}
		b.mu.Unlock()
		b.slots.wakeAll()
	}
	return result, err
}

// stopped is asked before something new is started.
func (b *builder) stopped() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hubFailed != nil || b.failed && !b.keepGoing {
		return modulebuild.ErrNotStarted
	}
	return nil
}

// lost tells whether the session cannot be used any more.
func (b *builder) lost() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return expired(b.hubFailed)
}

func (b *builder) build(ctx context.Context, job modulebuild.Job) (modulebuild.Result, error) {
	var c *component
	var taken string
	for attempt := max(1, b.earlier[job.Component].attempt); ; attempt++ {
		var task koji.Task
		var err error
		if task, taken, err = b.start(ctx, job, attempt); err != nil {
			return modulebuild.Result{}, err
		}
		if c, err = b.result(ctx, job, task); err == nil {
			break
		}
		if attempt >= attemptsAfter(err) || b.stopped() != nil {
			return modulebuild.Result{}, err
		}
		b.story.printf("%s: task %d was interrupted; beginning again: %v", job.Component, task.ID, err)
	}
	if !slices.Contains(job.Names, c.build.Name) {
		return modulebuild.Result{}, &modulebuild.BuildError{Component: job.Component, Err: fmt.Errorf(
			"the source package is called %s, not %s: name the component after it, or set its \"name\"", c.build.Name, strings.Join(job.Names, " or "))}
	}
	var err error
	if !b.inTag[c.build.ID] {
		if err := b.hub.tagBuild(ctx, c.build.ID); err != nil {
			return modulebuild.Result{}, fmt.Errorf("putting %s into the module's tag: %w", c.build.NVR, err)
		}
	}
	b.repos.noteTagged(c.build.ID)
	if c.rpms, err = b.rpms.readBuild(ctx, job.Component, c.build); err != nil {
		return modulebuild.Result{}, fmt.Errorf("reading the packages of %s: %w", c.build.NVR, err)
	}
	b.mu.Lock()
	b.built[job.Component] = c
	b.mu.Unlock()
	result := modulebuild.Result{Taken: taken}
	for _, r := range c.rpms {
		result.Packages = append(result.Packages, r.Package)
	}
	slices.SortFunc(result.Packages, func(x, y modulebuild.Package) int { return strings.Compare(x.Path, y.Path) })
	return result, nil
}

// start returns the finished task that has built the component, and why it was not
// started anew.
func (b *builder) start(ctx context.Context, job modulebuild.Job, attempt int) (task koji.Task, taken string, err error) {
	source := b.sources[job.Component]
	if old, ok := b.earlier[job.Component]; ok && attempt == old.attempt {
		switch {
		case old.own && old.task.State.Finished():
			b.story.printf("%s: task %d of an earlier run has ended", job.Component, old.task.ID)
			return old.task, fmt.Sprintf("task %d had built it already", old.task.ID), nil
		case old.own:
			b.story.printf("%s: task %d of an earlier run is building it", job.Component, old.task.ID)
			task, err = b.kids.wait(ctx, old.task.ID)
			return task, "", err
		case b.adoptable(ctx, old.task, source):
			b.story.printf("%s: taken from task %d, which is resumed", job.Component, *old.task.Parent)
			return old.task, fmt.Sprintf("built by task %d, which was resumed", *old.task.Parent), nil
		}
	}
	if err := b.slots.acquire(ctx, b.stopped); err != nil {
		return task, "", err
	}
	defer b.slots.release()
	repo, err := b.repos.need(ctx, b.buildsOf(job.After))
	if err != nil {
		return task, "", fmt.Errorf("a repository to build %s with: %w", job.Component, err)
	}
	if err := b.stopped(); err != nil {
		return task, "", err
	}
	label := buildLabel + job.Component
	if attempt > 1 {
		label += "#" + strconv.Itoa(attempt)
	}
	id, err := b.hub.subtask(ctx, "build", []any{source, nil, map[string]any{"repo_id": repo.ID}}, label, componentChannel)
	if err != nil {
		return task, "", err
	}
	b.story.printf("%s: task %d builds it with repository %d", job.Component, id, repo.ID)
	task, err = b.kids.wait(ctx, id)
	return task, "", err
}

// adoptable tells whether what a task of an earlier module build has built is what
// would be built now.
func (b *builder) adoptable(ctx context.Context, t koji.Task, source string) bool {
	if !t.State.Finished() || len(t.Request) == 0 || t.Request[0] != source {
		return false
	}
	builds, err := b.hub.buildsOf(ctx, t.ID)
	if err != nil || len(builds) != 1 {
		return false
	}
	return builds[0].State == koji.BuildComplete && strings.Contains(builds[0].Release, "."+b.distTag)
}

// buildsOf names the builds of components that are finished.
func (b *builder) buildsOf(components []string) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []int64
	for _, name := range components {
		if c := b.built[name]; c != nil {
			ids = append(ids, c.build.ID)
		}
	}
	return ids
}

// result looks at what a finished task has built. What is complete counts, whatever
// has become of the task afterwards: its builder may have been lost between the two.
func (b *builder) result(ctx context.Context, job modulebuild.Job, t koji.Task) (*component, error) {
	builds, err := b.hub.buildsOf(ctx, t.ID)
	if err != nil {
		return nil, fmt.Errorf("looking for the build of task %d: %w", t.ID, err)
	}
	if len(builds) != 1 || builds[0].State != koji.BuildComplete {
		if t.State != koji.TaskClosed {
			return nil, b.failure(ctx, job, t)
		}
		return nil, &modulebuild.BuildError{Component: job.Component, Err: fmt.Errorf(
			"task %d has ended, and there is no build of it that is complete: was it deleted? build the module anew", t.ID)}
	}
	return &component{task: t.ID, build: builds[0]}, nil
}

// packages are those of all components, by name of component.
func (b *builder) packages() []builtRPM {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []builtRPM
	for _, name := range slices.Sorted(maps.Keys(b.built)) {
		all = append(all, b.built[name].rpms...)
	}
	return all
}

// isHubError tells the errors after which no other component has a chance.
func isHubError(err error) bool {
	var call *koji.CallError
	return errors.As(err, &call)
}
