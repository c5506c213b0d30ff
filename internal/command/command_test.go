package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test program play the parent that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("COMMAND_TEST_PARENT") != "" {
		cmd := exec.Command("sh", "-c", "echo $$; exec sleep 300")
		cmd.Stdout = os.Stdout
		fmt.Println(Run(context.Background(), cmd))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(state), ") Z ")
}

func ended(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}

func TestNoChildOutlivesUs(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "COMMAND_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	ended(t, child)
}

func TestContextEndsTheGroup(t *testing.T) {
	for _, tt := range []struct{ name, script string }{
		{"a child", "echo $$; exec sleep 300"},
		{"a grandchild that ignores SIGTERM", "trap '' TERM; sleep 300 & echo $!; exit 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "-c", "("+tt.script+"); exec sleep 300")
			cmd.Stdout = write
			done := make(chan error, 1)
			go func() { done <- Run(ctx, cmd) }()
			buf := make([]byte, 20)
			n, err := read.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v, want the context's error", err)
			}
			ended(t, pid)
		})
	}
}

func TestContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, exec.Command("false")); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v, want the context's error", err)
	}
}

func TestOutput(t *testing.T) {
	out, err := Output(t.Context(), exec.Command("sh", "-c", "echo out; echo no >&2"))
	if string(out) != "out\n" || err != nil {
		t.Errorf("Output: %q, %v", out, err)
	}
	_, err = Output(t.Context(), exec.Command("sh", "-c", "echo why >&2; exit 3"))
	var e *Error
	if !errors.As(err, &e) || e.Program != "sh" || e.Stderr != "why" || ExitCode(err) != 3 {
		t.Errorf("Output of a failure: %v, exit code %d", err, ExitCode(err))
	}
	_, err = Output(t.Context(), exec.Command("/no/such/program"))
	if !errors.Is(err, syscall.ENOENT) || ExitCode(err) != -1 {
		t.Errorf("Output of what is not there: %v", err)
	}
	_, err = Output(t.Context(), exec.Command("head", "-c", strconv.Itoa(maxOutput+1), "/dev/zero"))
	if err == nil || !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("Output of too much: %v", err)
	}
}
