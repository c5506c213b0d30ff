package kojitask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// tailBytes and tailLines bound what of a log an error quotes.
const (
	tailBytes = 64 << 10
	tailLines = 25
)

// failure makes the error of a component whose task has not succeeded: with the
// end of the log that tells most.
func (b *builder) failure(ctx context.Context, job modulebuild.Job, t koji.Task) error {
	failed := &modulebuild.BuildError{Component: job.Component}
	if t.State == koji.TaskCanceled {
		failed.Err = fmt.Errorf("task %d was cancelled", t.ID)
		return failed
	}
	err := b.hub.TaskResult(ctx, t.ID, nil)
	var taskError *koji.TaskError
	switch {
	case err == nil:
		failed.Err = fmt.Errorf("task %d failed", t.ID)
	case errors.As(err, &taskError):
		failed.Err = &taskFailure{t.ID, taskError.Fault.Code, safetext.Text(taskError.Fault.Message)}
	default:
		return fmt.Errorf("why task %d failed: %w", t.ID, err)
	}
	b.addLog(ctx, t, failed)
	return failed
}

// A taskFailure is why a subtask failed. It is no koji.Fault, which would be that
// of a call of ours.
type taskFailure struct {
	task int64
	code koji.FaultCode
	msg  string
}

func (f *taskFailure) Error() string { return fmt.Sprintf("task %d failed: %s", f.task, f.msg) }

// attemptsAfter is how often a build is begun in all that has failed so. Some
// failures say nothing about the component: a builder or hub went away in the middle.
// Koji's builders do not begin such builds again by themselves.
func attemptsAfter(err error) int {
	var f *taskFailure
	if !errors.As(err, &f) {
		return 1
	}
	switch f.code {
	case koji.ErrUnspecified, // an exception that nobody expected
		koji.ErrServerOffline, koji.ErrLock, koji.ErrAuth, koji.ErrAuthExpired, koji.ErrAuthLock, koji.ErrRetry, koji.ErrSequence:
		return buildAttempts
	case koji.ErrBuildroot: // or its packages cannot be installed
		return 2
	case koji.ErrBuild:
		// mock has codes of their own for builds and packages that fail (10, 30, 40
		// in mockbuild/exception.py); 1 is what it did not expect.
		if strings.Contains(f.msg, "mock exited with status 1;") {
			return 2
		}
	}
	return 1
}

// addLog looks for the log below the failed task that tells why. That there is
// none is no error of its own.
func (b *builder) addLog(ctx context.Context, t koji.Task, failed *modulebuild.BuildError) {
	kids, err := b.hub.Children(ctx, t.ID)
	if err != nil {
		return
	}
	slices.SortFunc(kids, func(x, y koji.Task) int { return cmp.Compare(x.ID, y.ID) })
	for _, kid := range kids {
		if kid.State != koji.TaskFailed {
			continue
		}
		files, err := b.hub.TaskOutput(ctx, kid.ID)
		if err != nil {
			continue
		}
		// build.log says what the spec did wrong; root.log, what could not be
		// installed; checkout.log, what git did.
		for _, name := range []string{"build.log", "root.log", "checkout.log"} {
			i := slices.IndexFunc(files, func(f koji.OutputFile) bool { return f.Name == name && f.Size > 0 })
			if i < 0 || name == "build.log" && strings.Contains(failed.Err.Error(), "root.log") {
				continue
			}
			data, err := b.hub.ReadTaskOutput(ctx, kid.ID, name, max(0, files[i].Size-tailBytes), tailBytes)
			if err != nil {
				continue
			}
			failed.Log, failed.Tail = fmt.Sprintf("%s of task %d", name, kid.ID), lastLines(string(data), tailLines)
			if dir, err := b.paths.Task(kid.ID); err == nil {
				failed.Log = dir + "/" + name
			}
			return
		}
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(safetext.Text(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
