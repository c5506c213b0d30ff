// Package command runs outside programs so that they do not outlive us.
//
// Every child gets a process group of its own and the kernel's promise to be
// killed when we die (PR_SET_PDEATHSIG). The promise is for the child alone: a
// caller whose programs have children of their own gives them a PID namespace
// (SysProcAttr.Cloneflags), which ends as a whole. When the context ends, the
// group first gets SIGTERM and, after a grace period, SIGKILL.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Grace is how long a child may take to end after SIGTERM before it is killed.
const Grace = 5 * time.Second

// Run starts cmd and waits for it. cmd must come from exec.Command, not from
// exec.CommandContext: ending it is done here. SysProcAttr that the caller has
// set is kept and added to.
//
// The error is ctx.Err() where the context ended first, else what exec reports
// (*exec.ExitError for a non-zero exit).
func Run(ctx context.Context, cmd *exec.Cmd) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	attr := &syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = cmd.SysProcAttr
	}
	attr.Setpgid = true
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = attr
	// A grandchild that keeps our pipe open must not keep us waiting for ever.
	cmd.WaitDelay = Grace

	// The kernel sends the parent-death signal when the *thread* that made the
	// child ends (golang.org/issue/27505), so this one is held until it is reaped.
	done := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		done <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		return err
	}
	group := -cmd.Process.Pid
	// Whatever of the group outlives its first process ends as well.
	defer syscall.Kill(group, syscall.SIGKILL)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	// The first process of a PID namespace does not hear SIGTERM.
	signal := syscall.SIGTERM
	if attr.Cloneflags&syscall.CLONE_NEWPID != 0 {
		signal = syscall.SIGKILL
	}
	_ = syscall.Kill(group, signal)
	select {
	case <-done:
		return ctx.Err()
	case <-time.After(Grace):
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	select {
	case <-done:
		return ctx.Err()
	case <-time.After(2 * Grace):
		// A program that has become another user cannot be killed by us.
		return fmt.Errorf("%w, and %s (process %d) cannot be ended", ctx.Err(), cmd.Args[0], cmd.Process.Pid)
	}
}

// maxOutput bounds what Output keeps of either stream.
const maxOutput = 16 << 20

// Output runs the program and returns what it wrote to standard output. An
// error carries the program's name and the end of its standard error.
func Output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr limitedBuffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := Run(ctx, cmd)
	if err == nil && stdout.truncated {
		err = fmt.Errorf("it wrote more than %d MiB", maxOutput>>20)
	}
	if err != nil && ctx.Err() == nil {
		name := cmd.Path
		if len(cmd.Args) > 0 {
			name = cmd.Args[0]
		}
		return stdout.buf.Bytes(), &Error{Program: name, Stderr: tail(stderr.buf.String(), 20), Err: err}
	}
	return stdout.buf.Bytes(), err
}

// Error is the failure of an outside program.
type Error struct {
	Program string // as it was called
	Stderr  string // the last lines of its standard error
	Err     error  // *exec.ExitError, or why it could not be started
}

func (e *Error) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("%s: %v", e.Program, e.Err)
	}
	return fmt.Sprintf("%s: %v: %s", e.Program, e.Err, e.Stderr)
}

func (e *Error) Unwrap() error { return e.Err }

// ExitCode is the exit status in err, or -1 if err is not a program's exit.
func ExitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// limitedBuffer does not embed its buffer: io.Copy would find Buffer.ReadFrom and
// go round the limit.
type limitedBuffer struct {
	buf       bytes.Buffer
	truncated bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := max(maxOutput-b.buf.Len(), 0)
	b.truncated = b.truncated || len(p) > room
	b.buf.Write(p[:min(len(p), room)])
	return len(p), nil
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
