// Module-builder-task builds RPM modules: see its --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kojimod/kojimod/internal/localbuild"
	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/internal/sandbox"
)

// The exit codes of all verbs.
const (
	exitBuilt       = 0
	exitFailed      = 1   // a component or the environment
	exitUsage       = 2   // usage, or bad input
	exitInterrupted = 130 // SIGINT, SIGTERM or SIGHUP
)

func main() {
	sandbox.Init() // this program is also the first process of its sandboxes
	// Modes of files get into packages and repositories: they must not depend on
	// who builds. Only the output directory itself is as private as its owner wants.
	mask := syscall.Umask(0o022)
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	context.AfterFunc(ctx, stop) // a second signal ends us at once
	code := run(ctx, os.Args[1:], os.FileMode(mask), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// endings are the signals that end a build, less those that whoever started us
// wants ignored: nohup ignores SIGHUP, and a shell SIGINT for what it runs in the
// background.
func endings() []os.Signal {
	var signals []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

func run(ctx context.Context, args []string, umask os.FileMode, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "module-builder-task",
		Short: "Build RPM modules",
		Long: `module-builder-task builds RPM modules: it rebuilds all component packages of a
module from source, in order, and publishes them in a repository with the
module's metadata in it.`,
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; see %s --help", args[0], cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("no command given; see %s --help", cmd.CommandPath())}
		},
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(newBuildCmd(umask), newPlanCmd(), newTaskCmd(), newDoctorCmd())
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if err != nil && !errors.As(err, new(reportedError)) && !errors.As(err, new(exitError)) {
		sayError(ctx, stderr, err)
	}
	return code
}

func exitCode(ctx context.Context, err error) int {
	var exit exitError
	switch {
	case errors.As(err, &exit):
		return int(exit)
	case err == nil:
		return exitBuilt
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, new(usageError)), localbuild.IsInputError(err):
		return exitUsage
	}
	return exitFailed
}

// sayError tells the user what went wrong. The text may have come from strangers.
func sayError(ctx context.Context, w io.Writer, err error) {
	if ctx.Err() != nil {
		fmt.Fprintln(w, "module-builder-task: interrupted; the same command again goes on where this one stopped")
		return
	}
	text := safetext.Text(err.Error())
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !strings.Contains(text, "disk is full") {
		text += "\nthe disk is full: make room where --output and TMPDIR are, and start again"
	}
	fmt.Fprintf(w, "module-builder-task: %s\n", text)
}

// A usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A reportedError was shown to the user already.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

// oneSource checks a verb's arguments.
func oneSource(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%d arguments instead of one SOURCE; see %s --help", len(args), cmd.CommandPath())}
	}
	return nil
}
