package kojitask

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A module is the build of one context.
type module struct {
	*task
	ctx      moduleContext
	requires resolver
	pin      pin
	reserved *reservation
	plan     *modulebuild.Plan
	tags     moduleTags
	builder  *builder
}

func (t *task) newResolver() resolver {
	return resolver{hub: t.hub, dest: t.platform.target.DestTagName, platform: t.platform.stream}
}

// buildContext builds and publishes one context.
func (t *task) buildContext(ctx context.Context, c moduleContext) (map[string]any, error) {
	m := &module{task: t, ctx: c, requires: t.newResolver()}
	if err := m.findReserved(ctx); err != nil {
		return nil, err
	}
	if m.reserved != nil && m.reserved.Finished != nil {
		done := *m.reserved.Finished
		t.story.printf("an earlier run has published %s", done.NVR)
		return m.result(done, m.reserved.Identity.Name+":"+m.reserved.Identity.Stream, nil), nil
	}
	if err := m.decide(ctx); err != nil {
		return nil, err
	}
	if err := m.makeTags(ctx); err != nil {
		return nil, err
	}
	if err := m.newBuilder(ctx); err != nil {
		return nil, err
	}
	outcomes, err := m.buildComponents(ctx)
	if err == nil {
		var result map[string]any
		if result, err = m.publish(ctx, outcomes); err == nil {
			return result, nil
		}
	}
	m.report(ctx, outcomes, nil, err)
	return nil, err
}

// findReserved takes what an earlier run has reserved, or the task that is resumed.
// The task of a context has its identity from the start.
func (m *module) findReserved(ctx context.Context) error {
	var err error
	if m.req.Method != methodContext {
		if m.reserved, err = m.hub.reserved(ctx); err != nil {
			return fmt.Errorf("asking for the task's reservation: %w", err)
		}
		return nil
	}
	given := m.req.Parameters
	m.pin = *given.Pin
	m.reserved, err = m.hub.reserve(ctx, identity{given.Name, given.Stream, given.Version, given.Context}, m.pin)
	if errors.Is(err, koji.ErrBuild) {
		return &takenError{err}
	}
	if err != nil {
		return fmt.Errorf("reserving %s:%s:%s:%s: %w", given.Name, given.Stream, given.Version, given.Context, err)
	}
	return nil
}

// decide settles what is built: what an earlier run has decided, or anew.
func (m *module) decide(ctx context.Context) error {
	if m.reserved != nil && m.reserved.Pin != nil && m.reserved.Pin.Components != nil {
		m.pin = *m.reserved.Pin
	}
	if err := m.findRequired(ctx); err != nil {
		return err
	}
	draft, err := m.draft(ctx)
	if err != nil {
		return err
	}
	if m.pin.Components == nil {
		if err := m.pinSources(ctx, draft); err != nil {
			return err
		}
	}
	if m.reserved == nil {
		if err := m.reserve(ctx, draft); err != nil {
			return err
		}
	}
	return m.settle()
}

// findRequired finds the modules that are built with.
func (m *module) findRequired(ctx context.Context) error {
	if m.pin.Requires != nil {
		return m.requires.pinned(ctx, m.pin.Requires)
	}
	plan, err := modulebuild.NewPlan(m.ctx.doc, m.options())
	if err != nil {
		return err
	}
	if err := m.requires.resolve(ctx, plan.Enable); err != nil {
		return err
	}
	m.pin.Requires = m.requires.builds()
	for _, s := range m.requires.streams() {
		f := m.requires.found[s.Name]
		m.story.printf("built with %s:%s:%s:%s", f.Name, f.Stream, f.Version, f.Context)
	}
	return nil
}

// options are what of the plan is known so far.
func (m *module) options() modulebuild.Options {
	opts := modulebuild.Options{
		Name: m.doc.name, Stream: m.doc.stream, Marking: m.platform.marking,
		Enable: m.requires.streams(), Scratch: m.params.Scratch, Now: m.opts.Now(),
	}
	if m.params.Name != "" {
		opts.Name = m.params.Name
	}
	if m.params.Stream != "" {
		opts.Stream = m.params.Stream
	}
	if m.platform.stream != "" {
		opts.Platform = &modulebuild.ModuleStream{Name: modulebuild.PlatformModule, Stream: m.platform.stream}
	}
	if m.pin.Time != 0 {
		opts.SourceTime = time.Unix(m.pin.Time, 0)
	} else {
		opts.SourceTime = m.doc.time
	}
	return opts
}

// draft is the plan but for what the hub has its part in: the version that is
// free, and the number in the dist tag.
func (m *module) draft(ctx context.Context) (*modulebuild.Plan, error) {
	if m.pin.Time == 0 {
		m.pin.Source = m.req.Source.Pinned
		m.pin.Time = m.doc.time.Unix()
		if m.doc.time.IsZero() {
			// An upload is as old as the task that asks for it.
			own, err := m.hub.Task(ctx, m.hub.task)
			if err != nil {
				return nil, err
			}
			m.pin.Time = own.Created.Unix()
		}
	}
	opts := m.options()
	if v := m.ctx.doc.Version; v != 0 {
		// As the Module Build Service, which puts its prefix before any version.
		opts.Version = modulebuild.PrefixVersion(m.platform.stream, v)
	}
	if m.params.Version != "" {
		var err error
		if opts.Version, err = strconv.ParseUint(m.params.Version, 10, 64); err != nil {
			return nil, input("", "version "+m.params.Version, err)
		}
	}
	return modulebuild.NewPlan(m.ctx.doc, opts)
}

func (m *module) pinSources(ctx context.Context, draft *modulebuild.Plan) error {
	finder := &sourceFinder{workDir: m.req.WorkDir, repoBase: m.platform.repoBase, srpms: m.params.SRPMs, log: m.opts.Log}
	var err error
	m.pin.Components, err = finder.pin(ctx, draft)
	return err
}

// reserveAttempts is how many versions in a row are tried.
const reserveAttempts = 100

// draftIdentity is the identity to reserve.
func (m *module) draftIdentity(draft *modulebuild.Plan) identity {
	id := identity{Name: draft.Identity.Name, Stream: draft.Identity.Stream,
		Version: strconv.FormatUint(draft.Identity.Version, 10), Context: string(draft.Identity.Context)}
	if m.params.Scratch {
		id.Context += "_1" // as scratch builds are called; the task's number in the tag sets them apart
	}
	return id
}

// reserve claims the identity. Where the version is taken, and the user has not
// asked for it, the next free one is.
func (m *module) reserve(ctx context.Context, draft *modulebuild.Plan) error {
	id := m.draftIdentity(draft)
	version := draft.Identity.Version
	for range reserveAttempts {
		r, err := m.hub.reserve(ctx, id, m.pin)
		if err == nil {
			m.reserved = r
			m.story.printf("building %s:%s:%s:%s", id.Name, id.Stream, id.Version, id.Context)
			return nil
		}
		switch {
		case !errors.Is(err, koji.ErrBuild):
			return fmt.Errorf("reserving %s:%s:%s:%s: %w", id.Name, id.Stream, id.Version, id.Context, err)
		case m.params.Version != "":
			return input("--version "+m.params.Version, "it is taken; leave the option out to get the next free one", err)
		}
		version++
		id.Version = strconv.FormatUint(version, 10)
	}
	return fmt.Errorf("none of %d versions up to %d is free", reserveAttempts, version)
}

// A takenError says that an identity has been taken by somebody else.
type takenError struct{ error }

func (e *takenError) Unwrap() error { return e.error }

// settle makes the plan from what is reserved.
func (m *module) settle() error {
	version, err := m.reserved.Identity.version()
	if err != nil {
		return err
	}
	opts := m.options()
	opts.Version, opts.Context = version, modulemd.Context(m.reserved.Identity.Context)
	opts.Name, opts.Stream = m.reserved.Identity.Name, m.reserved.Identity.Stream
	opts.Index = m.reserved.FirstTask
	if m.plan, err = modulebuild.NewPlan(m.ctx.doc, opts); err != nil {
		return err
	}
	if id := m.plan.Identity; id.Name != opts.Name || id.Stream != opts.Stream {
		return fmt.Errorf("%s:%s is reserved, and the document is of %s:%s", opts.Name, opts.Stream, id.Name, id.Stream)
	}
	for i := range m.plan.Components {
		c := &m.plan.Components[i]
		src, ok := m.pin.Components[c.Name]
		if !ok {
			return fmt.Errorf("component %s is not among those that the task has pinned: was the source changed behind its commit?", c.Name)
		}
		c.Source = modulebuild.Source{Kind: "srpm", Location: src, Digest: src}
		if location, commit, ok := strings.Cut(src, "#"); ok {
			c.Source = modulebuild.Source{Kind: "git", Location: location, Ref: c.Doc.Ref, Commit: commit, Digest: src}
		}
		c.Reason = "no task had built it yet"
	}
	return nil
}

func (m *module) makeTags(ctx context.Context) error {
	plan := tagPlan{Requires: m.pin.Requires, Groups: m.requires.groups(), Arches: m.ctx.doc.BuildOpts.Arches}
	if len(plan.Arches) > 0 {
		plan.Arches = slices.DeleteFunc(slices.Clone(plan.Arches), func(a string) bool { return !slices.Contains(m.platform.arches, a) })
		if len(plan.Arches) == 0 {
			return input(m.doc.file, fmt.Sprintf("buildopts.arches allows only %s, and the target is for %s",
				strings.Join(m.ctx.doc.BuildOpts.Arches, ", "), strings.Join(m.platform.arches, ", ")), nil)
		}
	}
	names := map[string]bool{}
	for _, c := range m.plan.Components {
		for _, n := range c.Names {
			if !names[n] {
				names[n] = true
				plan.Packages = append(plan.Packages, n)
			}
		}
	}
	plan.Macros = tagMacros(m.plan.Macros)
	if err := checkArches(plan.arches(m.platform)); err != nil {
		return err
	}
	var err error
	if m.tags, err = m.hub.makeTags(ctx, plan); err != nil {
		return fmt.Errorf("making the module's tags: %w", err)
	}
	m.story.printf("tag %s, for %s", m.tags.Tag, strings.Join(m.tags.Arches, ", "))
	return nil
}

// arches are those that the tags will have.
func (p tagPlan) arches(platform *platform) []string {
	if len(p.Arches) > 0 {
		return p.Arches
	}
	return platform.arches
}

// tagMacros are macros as the extra of a tag has them, by name. mock writes each on
// a line of a macro file: a body of several lines needs its backslashes. Of several
// that differ in their parameters only rpm knows the last.
func tagMacros(macros []modulebuild.Macro) map[string]string {
	tagged, names := map[string]string{}, map[string]string{}
	for _, macro := range macros {
		bare, _, _ := strings.Cut(macro.Name, "(")
		delete(tagged, names[bare])
		names[bare] = macro.Name
		tagged[macro.Name] = strings.ReplaceAll(macro.Body, "\n", "\\\n")
	}
	return tagged
}
