package localbuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kojimod/kojimod/internal/source"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// A Result is how a build ended.
type Result struct {
	Plan     *modulebuild.Plan
	Outcomes []modulebuild.Outcome
	Finished *modulebuild.Finished // nil unless the module is published
	Output   string                // the output directory
	Repo     string                // the published repository
	Report   string                // path of report.html; empty if there is none
	Warnings []string
}

// Build builds a module and publishes it. Result is not nil where the build got
// far enough for a report. Errors that are the input's fault satisfy
// [IsInputError]; whatever was published before an error stays whole.
func Build(ctx context.Context, cfg Config) (*Result, error) {
	t, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer t.close()
	out, err := openOutput(t.cfg.Output, t.cfg.OutputMode)
	if err != nil {
		return nil, err
	}
	defer out.close()
	j, err := readJournal(out.dir)
	if err != nil {
		return nil, err
	}
	var res *Result
	if err = t.settle(ctx, j, out.work("git")); err == nil {
		res, err = t.build(ctx, out, j)
	}
	if res == nil && j == nil {
		out.discard()
	}
	return res, err
}

// build does what the plan says, in an output that is ours alone.
func (t *task) build(ctx context.Context, out *output, j *journal) (*Result, error) {
	started := t.cfg.Now()
	store := &results{dir: out.work("results"), tmp: out.work("tmp")}
	if err := t.plan.TakeOver(ctx, t.cfg.BuilderName, store); err != nil {
		return nil, err
	}
	if err := t.fetch(ctx, out.work("tmp")); err != nil {
		return nil, err
	}
	work := filepath.Join(out.work("tmp"), "builder")
	if err := os.MkdirAll(work, 0o777); err != nil {
		return nil, err
	}
	builder, err := t.cfg.NewBuilder(t.plan, out.dir, work)
	if err != nil {
		return nil, err
	}
	res := &Result{Plan: t.plan, Output: out.dir, Repo: out.repo()}
	// From here on the identity holds, whatever happens.
	if j == nil {
		j = &journal{Identity: t.plan.Identity, VersionFrom: t.plan.VersionFrom}
		if err := out.writeJournal(j); err != nil {
			return nil, err
		}
	}
	if t.cfg.Begin != nil {
		t.cfg.Begin(t.plan)
	}
	engine := &modulebuild.Engine{
		Builder: builder, Results: store, Slots: t.cfg.Jobs, KeepGoing: t.cfg.KeepGoing,
		LogDir: out.logDir, Observe: t.cfg.Observe, Now: t.cfg.Now,
	}
	res.Outcomes, err = engine.Run(ctx, t.plan)
	if err == nil {
		err = t.finish(ctx, out, j, store, res)
	}
	if reportErr := out.writeReport(res, t.cfg.BuilderName, started, t.cfg.Now(), err); reportErr != nil {
		res.Warnings = append(res.Warnings, fmt.Sprintf("there is no report: %v", reportErr))
	}
	return res, err
}

func (t *task) finish(ctx context.Context, out *output, j *journal, store *results, res *Result) error {
	opts := modulebuild.FinishOptions{DefaultProfiles: t.cfg.DefaultProfiles, DefaultStream: t.cfg.DefaultStream}
	if t.module.Clean { // else the commit is not what was built
		opts.SourceURL, opts.Commit = t.module.URL, t.module.Commit
	}
	finished, err := t.plan.Finish(res.Outcomes, opts)
	if err != nil {
		return err
	}
	warnings, err := out.publish(ctx, t.plan, finished, j)
	if err != nil {
		return err
	}
	res.Finished = finished
	res.Warnings = append(finished.Warnings, warnings...)
	if err := store.prune(t.plan); err != nil {
		res.Warnings = append(res.Warnings, fmt.Sprintf("the repository is published, but cleaning up after it failed: %v", err))
	}
	return nil
}

// logDir makes an empty directory for the logs of a component that is built.
func (o *output) logDir(component string) (string, error) {
	if err := safeName(component); err != nil {
		return "", err
	}
	dir := o.path("logs", component)
	if err := removeAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o777)
}

// Plan settles what Build would do, and changes nothing.
func Plan(ctx context.Context, cfg Config) (*modulebuild.Plan, error) {
	t, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer t.close()
	dir := t.cfg.Output
	if err := checkOurs(dir); err != nil {
		return nil, err
	}
	j, err := readJournal(dir)
	if err != nil {
		return nil, err
	}
	if err := t.settle(ctx, j, filepath.Join(t.tmp.dir, "git")); err != nil {
		return nil, err
	}
	var store modulebuild.Results = noResults{}
	if j != nil {
		store = &results{dir: filepath.Join(dir, ".build", "results")}
	}
	return t.plan, t.plan.TakeOver(ctx, cfg.BuilderName, store)
}

// IsInputError tells whether an error is the fault of what the user gave, and
// not of the build or of this machine.
func IsInputError(err error) bool {
	return errors.As(err, new(*modulebuild.InputError)) || source.IsBadInput(err)
}
