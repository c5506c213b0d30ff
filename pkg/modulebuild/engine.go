package modulebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Engine carries plans out.
type Engine struct {
	Builder   Builder
	Results   Results // nil where the Builder itself keeps what it builds
	Slots     int     // components built at once; less than one is one
	KeepGoing bool    // go on with what does not depend on a failed component
	// LogDir makes and names the directory for a component's logs; nil where the
	// Builder itself keeps them.
	LogDir func(component string) (string, error)
	// Observe, where not nil, is told what happens, one event at a time.
	Observe func(Event)
	// Now tells the time; nil is time.Now.
	Now func() time.Time
}

// An Outcome is what became of one component.
type Outcome struct {
	Component      string
	State          State
	Reason         string
	Packages       []Package
	Started, Ended time.Time // zero where nothing was built
	Err            error     // with Failed
}

// Run builds what the plan says must be built. The outcomes are numbered as the
// plan's components. The error is the first failure in the order of the plan, or
// the context's; what was finished before it is kept.
//
// Sources must have been fetched and [Plan.TakeOver] called.
func (e *Engine) Run(ctx context.Context, plan *Plan) ([]Outcome, error) {
	r := &engineRun{Engine: e, plan: plan, outcomes: make([]Outcome, len(plan.Components))}
	weights := make([]float64, len(plan.Components))
	var jobs []Job
	for i, c := range plan.Components {
		r.outcomes[i] = Outcome{Component: c.Name, State: Waiting, Reason: c.Reason}
		weights[i] = c.Weight
		if c.Taken == nil && c.Skip == "" {
			jobs = append(jobs, plan.job(i))
		}
	}
	if len(jobs) > 0 {
		if err := e.Builder.Prepare(ctx, jobs); err != nil {
			return r.outcomes, err
		}
	}
	schedule := Schedule{Slots: e.Slots, Weights: weights, KeepGoing: e.KeepGoing}
	started, errs := schedule.Run(ctx, plan.Graph, r.do)
	for i := range plan.Components {
		if !started[i] {
			r.notBuilt(ctx, i, errs)
		}
	}
	if ctx.Err() != nil {
		return r.outcomes, context.Cause(ctx)
	}
	// Several may have failed; all are told, in the plan's order.
	errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, ErrNotStarted) })
	return r.outcomes, errors.Join(errs...)
}

type engineRun struct {
	*Engine
	plan     *Plan
	mu       sync.Mutex // guards what follows, and calls of Observe
	outcomes []Outcome
}

func (r *engineRun) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r *engineRun) tell(ev Event) {
	if r.Observe != nil {
		ev.Time = r.now()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Observe(ev)
	}
}

func (r *engineRun) do(ctx context.Context, i int) error {
	c := &r.plan.Components[i]
	o := Outcome{Component: c.Name, Reason: c.Reason}
	switch {
	case c.Skip != "":
		o.State = Skipped
	case c.Taken != nil:
		o.State, o.Packages = TakenOver, c.Taken.Packages
	default:
		o.Started = r.now()
		r.tell(Event{Component: c.Name, State: Building, Reason: c.Reason})
		result, err := r.build(ctx, i, o.Started)
		o.Ended = r.now()
		switch {
		case err == nil && result.Taken != "":
			o.State, o.Packages, o.Reason = TakenOver, result.Packages, result.Taken
		case err == nil:
			o.State, o.Packages = Built, result.Packages
		case ctx.Err() != nil:
			o.State, o.Reason, o.Err = NotBuilt, "the run was interrupted", nil
		case errors.Is(err, ErrNotStarted):
			o = Outcome{Component: c.Name, State: NotBuilt, Reason: "something else failed before"}
		default:
			o.State, o.Err = Failed, err
		}
		r.set(i, o)
		r.tell(Event{Component: c.Name, State: o.State, Reason: o.Reason, Err: o.Err})
		return err
	}
	r.set(i, o)
	r.tell(Event{Component: c.Name, State: o.State, Reason: c.Reason})
	return nil
}

func (r *engineRun) set(i int, o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[i] = o
}

// available gives the packages of all that stands before component i, which is
// finished. Of two packages of one name and version, that of the component later
// in the order counts: a bootstrap build is replaced by the real one.
func (r *engineRun) available(i int) []Package {
	r.mu.Lock()
	defer r.mu.Unlock()
	latest := map[string]Package{}
	for _, b := range r.plan.Graph.AllBefore(i) {
		for _, pkg := range r.outcomes[b].Packages {
			latest[pkg.NEVRA.String()] = pkg
		}
	}
	packages := make([]Package, 0, len(latest))
	for _, pkg := range latest {
		packages = append(packages, pkg)
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	return packages
}

func (r *engineRun) build(ctx context.Context, i int, started time.Time) (Result, error) {
	c := &r.plan.Components[i]
	job := r.plan.job(i)
	job.Available = r.available(i)
	job.Status = func(line string) {
		r.tell(Event{Component: c.Name, State: Building, Line: line})
	}
	var err error
	if r.LogDir != nil {
		if job.LogDir, err = r.LogDir(c.Name); err != nil {
			return Result{}, fmt.Errorf("making the log directory of %s: %w", c.Name, err)
		}
	}
	if r.Results != nil {
		if job.OutDir, err = r.Results.Begin(c.Name, c.Key); err != nil {
			return Result{}, fmt.Errorf("making a directory for the packages of %s: %w", c.Name, err)
		}
	}
	result, err := r.Builder.Build(ctx, job)
	if err != nil {
		return Result{}, err
	}
	if err := r.plan.check(c, result); err != nil {
		return Result{}, &BuildError{Component: c.Name, Err: err}
	}
	if r.Results == nil {
		return result, nil
	}
	rec, err := r.Results.Finish(Record{
		Component: c.Name, Key: c.Key, Inputs: c.Inputs, Packages: result.Packages,
		Started: started, Ended: r.now(),
	})
	if err != nil {
		return Result{}, fmt.Errorf("keeping the packages of %s: %w", c.Name, err)
	}
	result.Packages = rec.Packages
	return result, nil
}

func (p *Plan) job(i int) Job {
	c := &p.Components[i]
	job := Job{
		Component: c.Name, Names: c.Names, Source: c.Source, SRPM: c.SRPM, Spec: c.Spec,
		Arch: p.Identity.Arch, Macros: p.Macros, Time: p.Identity.Time,
		InstallAlways: c.Inputs.Always,
	}
	for _, b := range p.Graph.AllBefore(i) {
		job.After = append(job.After, p.Components[b].Name)
	}
	slices.Sort(job.After)
	return job
}

// check reads the finished packages: each must carry the marks of this build.
func (p *Plan) check(c *Component, result Result) error {
	if len(result.Packages) == 0 {
		return errors.New("the build made no packages")
	}
	label := p.Identity.NSVC()
	for _, pkg := range result.Packages {
		if arch := pkg.NEVRA.Arch; p.Identity.Arch != "" && pkg.SourceRPM != "" && arch != p.Identity.Arch && arch != "noarch" {
			return fmt.Errorf("package %s is not for %s, which is built for", pkg.NEVRA, p.Identity.Arch)
		}
		if !hasDistTag(pkg.NEVRA.Release, p.Identity.DistTag) {
			return fmt.Errorf("package %s has no .%s in its release: write %%{?dist} in the spec's Release", pkg.NEVRA, p.Identity.DistTag)
		}
		if pkg.Label != label {
			return fmt.Errorf("package %s has the MODULARITYLABEL %q instead of %q: does its spec define %%modularitylabel?",
				pkg.NEVRA, pkg.Label, label)
		}
		if pkg.SourceRPM == "" && !slices.Contains(c.Names, pkg.NEVRA.Name) {
			return fmt.Errorf("the source package is called %s, not %s: name the component after it, or set its \"name\"",
				pkg.NEVRA.Name, strings.Join(c.Names, " or "))
		}
	}
	return nil
}

// notBuilt says why a component was not started.
func (r *engineRun) notBuilt(ctx context.Context, i int, errs []error) {
	c := &r.plan.Components[i]
	o := Outcome{Component: c.Name, State: NotBuilt}
	switch {
	case c.Taken != nil:
		// It is there, whatever happened around it.
		o.State, o.Packages, o.Reason = TakenOver, c.Taken.Packages, c.Reason
	case ctx.Err() != nil:
		o.Reason = "the run was interrupted"
	default:
		o.Reason = "something else failed before"
		for _, b := range r.plan.Graph.AllBefore(i) {
			if errs[b] != nil {
				o.Reason = r.plan.Components[b].Name + ", which comes before it, failed"
				break
			}
		}
	}
	r.set(i, o)
	r.tell(Event{Component: c.Name, State: o.State, Reason: o.Reason})
}
