package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kojimod/kojimod/pkg/kojitask"
)

// exitExpired says that the session must be renewed (EX_TEMPFAIL in sysexits.h).
const exitExpired = 75

// version is set by packagers: -ldflags "-X main.version=1.0".
var version string

func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

func newTaskCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "task",
		Short: "Carry out a task of Koji (Koji's builder runs this)",
		Long: `Carry out a module build that Koji has given to this builder.

This is for the builder's plugin, which says on standard input what to do and
reads the result from standard output, a line of JSON each. It ends when
standard input ends.

Exit codes: 0 there is a result, 1 there is a fault, 75 the session has expired:
renew it and start again, 130 told to end by a signal: another run goes on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTask(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// runTask serves one request.
func runTask(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	// The handler's own death ends its tasks' rights; nothing must go on without it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	wake := make(chan struct{}, 1)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	defer signal.Stop(signals)
	log := slog.New(slog.NewTextHandler(stderr, nil))
	in := bufio.NewReader(stdin)
	req, err := kojitask.ReadRequest(in)
	if err != nil {
		return err
	}
	told := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel(errors.New("standard input has ended: the handler is gone"))
	}()
	go func() {
		for range signals {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}()
	reply, err := kojitask.Run(ctx, req, kojitask.Options{Version: programVersion(), Wake: wake, Log: log})
	if told.Err() != nil && reply.Result == nil {
		// A daemon that stops frees its tasks for its successor: to be ended is no
		// fault of the module's.
		return told.Err()
	}
	if writeErr := reply.Write(stdout); writeErr != nil {
		return writeErr
	}
	switch {
	case errors.Is(err, kojitask.ErrSessionExpired):
		return exitError(exitExpired)
	case err != nil:
		return err
	case reply.Fault != nil:
		return exitError(exitFailed)
	}
	return nil
}

// An exitError ends the program without a word: what is to be said is said.
type exitError int

func (e exitError) Error() string { return "" }
