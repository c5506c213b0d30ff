package kojitask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// maxChain bounds how many module builds may resume one another.
const maxChain = 100

// resumedTasks lists the moduleBuild tasks that this build goes on from, the newest
// first.
func (t *task) resumedTasks(ctx context.Context) ([]koji.Task, error) {
	var chain []koji.Task
	for next := t.params.Resume; next != 0; {
		if len(chain) == maxChain {
			return nil, fmt.Errorf("more than %d module builds resume one another", maxChain)
		}
		before, err := t.hub.Task(ctx, next)
		if err != nil {
			return nil, fmt.Errorf("task %d, which is to be resumed: %w", next, err)
		}
		chain = append(chain, before)
		var p Parameters
		if len(before.Request) != 1 || decodeInto(before.Request[0], &p) != nil {
			return nil, fmt.Errorf("task %d, which is to be resumed, is no module build", next)
		}
		next = 0
		if p.Opts != nil && p.Opts.Resume < before.ID { // they are older
			next = p.Opts.Resume
		}
	}
	return chain, nil
}

// newBuilder looks at what is there already, of earlier runs and of tasks that are
// resumed.
func (m *module) newBuilder(ctx context.Context) error {
	b := &builder{
		hub: m.hub, kids: m.kids, story: m.story, sources: m.pin.Components, distTag: m.plan.Identity.DistTag,
		paths: m.paths(), keepGoing: m.params.KeepGoing, earlier: map[string]earlierBuild{},
		inTag: map[int64]bool{}, built: map[string]*component{},
	}
	trust, err := m.req.tls()
	if err != nil {
		return err
	}
	b.rpms = &rpmReader{hub: m.hub, topdir: m.req.TopDir, topurl: m.req.TopURL, http: newFilesClient(trust)}
	b.slots = newSlots(m.hub, m.req.MaxJobs, m.opts.Now)
	own, err := m.hub.Children(ctx, m.hub.task)
	if err != nil {
		return fmt.Errorf("looking for what earlier runs have started: %w", err)
	}
	resumed, err := m.resumedTasks(ctx)
	if err != nil {
		return err
	}
	for _, t := range resumed {
		if err := m.addResumed(ctx, b, t.ID); err != nil {
			return err
		}
	}
	events := map[int64]int64{}
	if len(own) > 0 || len(resumed) > 0 {
		tagged, err := m.hub.ListTagged(ctx, m.tags.Tag, koji.TaggedQuery{})
		if err != nil {
			return fmt.Errorf("looking at what the module's tag holds: %w", err)
		}
		for _, build := range tagged {
			events[build.ID], b.inTag[build.ID] = build.TagEvent, true
		}
	}
	b.add(own, true)
	if b.repos, err = newBuildRepos(ctx, m.hub, m.kids, m.tags.BuildTag, m.story, own, events); err != nil {
		return err
	}
	m.builder = b
	return nil
}

// add notes the build tasks among the children of a module task. What is known
// already is newer.
func (b *builder) add(kids []koji.Task, own bool) {
	slices.SortFunc(kids, func(x, y koji.Task) int { return cmp.Compare(y.ID, x.ID) })
	for _, t := range kids {
		if t.Method != "build" || t.Label == nil {
			continue
		}
		label, ok := strings.CutPrefix(*t.Label, buildLabel)
		name, number, _ := strings.Cut(label, "#")
		attempt, err := strconv.Atoi(number)
		if err != nil || !own {
			attempt = 1
		}
		// What others have not finished is of no use.
		if !ok || !own && !t.State.Finished() {
			continue
		}
		have, known := b.earlier[name]
		if !known || own && (!have.own || attempt > have.attempt) {
			b.earlier[name] = earlierBuild{t, own, attempt}
		}
	}
}

// addResumed notes what a task that is resumed has built for this very context.
func (m *module) addResumed(ctx context.Context, b *builder, id int64) error {
	kids, err := m.hub.Children(ctx, id)
	if err != nil {
		return fmt.Errorf("looking at what task %d has built: %w", id, err)
	}
	b.add(kids, false)
	for _, t := range kids {
		var request contextRequest
		if t.Method != methodContext || len(t.Request) != 1 || decodeInto(t.Request[0], &request) != nil ||
			request.Context != m.reserved.Identity.Context {
			continue
		}
		below, err := m.hub.Children(ctx, t.ID)
		if err != nil {
			return fmt.Errorf("looking at what task %d has built: %w", t.ID, err)
		}
		b.add(below, false)
	}
	return nil
}

// buildComponents builds what the plan lists.
func (m *module) buildComponents(ctx context.Context) ([]modulebuild.Outcome, error) {
	engine := modulebuild.Engine{
		Builder: m.builder, Slots: len(m.plan.Components), KeepGoing: m.params.KeepGoing,
		Observe: m.observe, Now: m.opts.Now,
	}
	m.story.printf("%d components; as many are built at once as the builders have places for", len(m.plan.Components))
	outcomes, err := engine.Run(ctx, m.plan)
	if !expired(err) { // else another run goes on
		m.story.raw(table(outcomes))
	}
	return outcomes, err
}

func (m *module) observe(e modulebuild.Event) {
	if m.builder.lost() {
		return // another run goes on
	}
	switch e.State {
	case modulebuild.Built, modulebuild.TakenOver, modulebuild.NotBuilt:
		m.story.printf("%s: %s%s", e.Component, e.State, because(e.State, e.Reason))
	case modulebuild.Failed:
		err := e.Err
		var failed *modulebuild.BuildError
		if errors.As(err, &failed) {
			err = failed.Err
		}
		m.story.printf("%s: failed: %v", e.Component, err)
	}
}

func because(s modulebuild.State, reason string) string {
	if s == modulebuild.Built || reason == "" {
		return ""
	}
	return ": " + reason
}

// table is the components at the end.
func table(outcomes []modulebuild.Outcome) string {
	width := len("component")
	for _, o := range outcomes {
		width = max(width, len(o.Component))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n%-*s  %-10s  %9s  %s\n", width, "component", "state", "took", "packages")
	for _, o := range outcomes {
		took := "-"
		if !o.Started.IsZero() && !o.Ended.IsZero() {
			took = strings.TrimPrefix(elapsed(o.Ended.Sub(o.Started)), "+")
		}
		fmt.Fprintf(&text, "%-*s  %-10s  %9s  %d\n", width, o.Component, o.State, took, len(o.Packages))
	}
	return text.String() + "\n"
}

// paths are where people find Koji's files.
func (t *task) paths() koji.Paths {
	if t.req.TopURL != "" {
		return koji.Paths{Top: t.req.TopURL}
	}
	return koji.Paths{Top: t.req.TopDir}
}
