package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary plays further parts, chosen by this variable.
const partVar = "SANDBOX_TEST_PART"

func TestMain(m *testing.M) {
	Init()
	if dir, ok := strings.CutPrefix(os.Getenv(partVar), "victim:"); ok {
		victim(dir)
	}
	os.Exit(m.Run())
}

// nobody is the ordinary user that the tests run as a second time.
const nobody = 65534

// asUser runs the calling test once more as an ordinary user, where we are root.
func asUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv(partVar) != "" {
		return
	}
	name := t.Name()
	t.Run("ordinary user", func(t *testing.T) {
		dir, exe := userDir(t)
		cmd := exec.Command(exe, "-test.run=^"+name+"$", "-test.v", "-test.timeout=5m")
		cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), partVar + "=user"}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatalf("as an ordinary user: %v", err)
		}
		if bytes.Contains(out, []byte("--- SKIP")) {
			t.Skip("skipped as an ordinary user, see above")
		}
	})
}

// userDir makes a directory for the ordinary user with this test binary in it.
func userDir(t *testing.T) (dir, exe string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	exe = filepath.Join(dir, "test")
	if err := errors.Join(os.WriteFile(exe, data, 0o755), os.Chmod(dir, 0o755), os.Chown(dir, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	return dir, exe
}

// start begins a session, or skips the test where the system forbids it.
func start(t *testing.T, c Config) *Session {
	t.Helper()
	if c.WorkDir == "" {
		c.WorkDir = t.TempDir()
	}
	s, err := Start(context.Background(), c)
	if err != nil {
		if strings.Contains(err.Error(), "may not make user namespaces") || strings.Contains(err.Error(), "forbidden here") ||
			strings.Contains(err.Error(), "does not let root") {
			t.Skipf("this system forbids sandboxes: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// sh runs a shell script and returns what it printed.
func sh(t *testing.T, s *Session, builder bool, script string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := s.Run(context.Background(), Command{Args: []string{"/bin/sh", "-c", script}, Stdout: &out, Stderr: &out, AsBuilder: builder})
	return out.String(), err
}

func TestIdentity(t *testing.T) {
	asUser(t)
	t.Setenv("SECRET_OF_OURS", "tell nobody")
	leak, err := os.Open("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	// Without close-on-exec, as a descriptor that we inherited ourselves.
	fd, err := syscall.Dup(int(leak.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)

	s := start(t, Config{})
	builder := strconv.Itoa(BuilderID)
	tests := []struct {
		name, script string
		builder      bool
		want         string
	}{
		{"root", "id -u; id -g", false, "0\n0\n"},
		{"builder", "id -u; id -g; id -un", true, builder + "\n" + builder + "\n" + BuilderName + "\n"},
		{"no capabilities", "grep CapEff /proc/self/status; grep CapPrm /proc/self/status; grep NoNewPrivs /proc/self/status", true,
			"CapEff:\t0000000000000000\nCapPrm:\t0000000000000000\nNoNewPrivs:\t1\n"},
		{"few capabilities", "grep CapEff /proc/self/status", false, "CapEff:\t00000000800400fb\n"},
		{"environment", "env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=", true, "PATH=" + Path + "\n"},
		{"environment of the first process", "cat /proc/1/environ 2>/dev/null | grep -c SECRET", false, "0\n"},
		{"descriptors", "cd /proc/self/fd && echo *", true, "0 1 2 3\n"}, // 3 is the shell's own
		{"host name", "uname -n", true, Hostname + "\n"},
		{"core files", "ulimit -c", true, "0\n"},
		{"devices", "echo x >/dev/null && head -c 3 /dev/zero | wc -c", true, "3\n"},
		{"homes", "ls -A /root /home /run /srv /mnt | grep -v :$ | grep -v ^$ | wc -l", false, "0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sh(t, s, tt.builder, tt.script)
			if tt.name == "descriptors" {
				got = strings.ReplaceAll(got, "0 1 10 2 3", "0 1 2 3")
			}
			var exit *ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("%s\nprinted %q, want %q", tt.script, got, tt.want)
			}
		})
	}
}

func TestExitStatus(t *testing.T) {
	s := start(t, Config{})
	var exit *ExitError
	if _, err := sh(t, s, true, "exit 7"); !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("exit 7 gave %v", err)
	}
	if _, err := sh(t, s, true, "kill -SEGV $$"); !errors.As(err, &exit) || exit.Signal != "segmentation fault" {
		t.Errorf("a segmentation fault gave %v", err)
	}
	err := s.Run(context.Background(), Command{Args: []string{"no-such-program"}})
	if !errors.As(err, &exit) || exit.Code != 127 {
		t.Errorf("a missing program gave %v", err)
	}
}

// Everything that a hostile build may try must fail or leave the host alone.
func TestContained(t *testing.T) {
	asUser(t)
	before := hostState(t)
	s := start(t, Config{Writable: []string{"/usr/lib"}})
	for _, builder := range []bool{true, false} {
		denied := map[string]string{
			"mount a tmpfs":          "mount -t tmpfs x /mnt",
			"mount the host":         "mkdir -p /tmp/h && mount /dev/vda /tmp/h",
			"make a device":          "mknod /tmp/disk b 254 0",
			"remount /proc/sys":      "mount -o remount,rw /proc/sys",
			"set a sysctl":           "echo x >/proc/sys/kernel/core_pattern",
			"change /sys":            "echo 1 >/sys/kernel/mm/ksm/run",
			"sysrq":                  "echo h >/proc/sysrq-trigger",
			"kill the first process": "kill -9 1; sleep 0.2; kill -0 1 && exit 1",
			"look at its program":    "cat /proc/1/exe | head -c 4 | grep -q ELF",
			"overwrite its program":  "echo x >>/proc/1/exe",
			"enter its root":         "ls /proc/1/root/ && chroot /proc/1/cwd /bin/true && ls /proc/1/cwd/work",
			"reach the network":      "exec 3<>/dev/tcp/1.1.1.1/53",
			"set the clock":          "date -s 2001-01-01",
			"set the host name":      "echo evil >/proc/sys/kernel/hostname",
			"change a device":        "chmod 600 /dev/full",
			"change another device":  "chown 1:1 /dev/null",
			"read password hashes":   "grep -q : /etc/shadow",
		}
		for name, script := range denied {
			if out, err := bash(t, s, builder, script); err == nil {
				t.Errorf("builder=%v could %s: %s", builder, name, out)
			}
		}
	}
	// An ordinary user's builder is the same user as the sandbox's root, seen
	// under another number; it can spoil its own sandbox.
	for _, script := range []string{"echo evil >>/etc/passwd", "rm -f /usr/bin/env", "touch /usr/lib/evil", "cat /etc/shadow"} {
		if _, err := bash(t, s, true, script); err == nil && mayMount() {
			t.Errorf("the builder could %s", script)
		}
	}
	if out, err := bash(t, s, false, "echo evil:x:0:0::/:/bin/sh >>/etc/passwd && touch /usr/lib/evil && grep evil /etc/passwd"); err != nil {
		t.Errorf("root of the sandbox cannot write there: %v: %s", err, out)
	}
	if after := hostState(t); after != before {
		t.Errorf("the host has changed:\n%s\nbefore:\n%s", after, before)
	}
}

// TestPrivate looks for what on the host is not for everybody.
func TestPrivate(t *testing.T) {
	asUser(t)
	private, err := os.MkdirTemp("/var/tmp", "sandbox-private-")
	if err != nil {
		t.Skipf("nothing can be put where it would be seen: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(private) })
	hidden := t.TempDir()
	s := start(t, Config{Hide: []string{"/usr/share/doc", hidden}})
	for _, builder := range []bool{true, false} {
		if out, err := bash(t, s, builder, "ls -A /usr/share/doc /var/tmp; cat /etc/shadow 2>/dev/null; find /etc /var -type f ! -perm -004 -size +0 -readable 2>/dev/null"); err == nil {
			if got := strings.Fields(strings.NewReplacer("/usr/share/doc:", "", "/var/tmp:", "").Replace(out)); len(got) > 0 {
				t.Errorf("builder=%v sees %v", builder, got)
			}
		}
		// Some directories are only for their owner, and needed by programs.
		if out, err := bash(t, s, builder, "echo x > /tmp/x && cat /etc/passwd >/dev/null && echo > /dev/null"); err != nil {
			t.Errorf("builder=%v: %v: %s", builder, err, out)
		}
	}
	if out, err := bash(t, s, false, "ldconfig"); err != nil && mayMount() {
		t.Errorf("ldconfig: %v: %s", err, out)
	}
}

// TestDeniedCalls asks for what seccomp forbids, by way of perl.
func TestDeniedCalls(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("perl, which can make any system call, is not installed")
	}
	s := start(t, Config{})
	for _, n := range denied {
		script := fmt.Sprintf("perl -e '$r = syscall(%d, 0, 0, 0, 0, 0); exit($r == -1 && $! == 1 ? 0 : 1)'", n)
		for _, builder := range []bool{true, false} {
			if out, err := bash(t, s, builder, script); err != nil {
				t.Errorf("builder=%v: system call %d is not refused: %s", builder, n, out)
			}
		}
	}
	if out, err := bash(t, s, true, "perl -e 'exit(syscall(39) > 0 ? 0 : 1)'"); err != nil && runtime.GOARCH == "amd64" {
		t.Errorf("getpid is refused: %s", out)
	}
}

func bash(t *testing.T, s *Session, builder bool, script string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := s.Run(context.Background(), Command{Args: []string{"bash", "-c", script}, Stdout: &out, Stderr: &out, AsBuilder: builder})
	var exit *ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), err
}

// hostState has what a sandbox could have changed on the host.
func hostState(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/dev/null", "/dev/full", "/etc", "/etc/passwd", "/etc/group", "/usr/lib", "/usr/bin", "/usr/bin/env", "/var/lib", "/etc/ld.so.cache"} {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintf(&all, "%s %v\n", path, err)
			continue
		}
		when := info.ModTime()
		if strings.HasPrefix(path, "/dev/") {
			when = time.Time{} // whoever writes to it changes that
		}
		fmt.Fprintf(&all, "%s %v %d %v\n", path, info.Mode(), info.Size(), when)
	}
	for _, path := range []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/self/mountinfo"} {
		data, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %s %v\n", path, data, err)
	}
	return all.String()
}

func TestBackgroundProcessesEnd(t *testing.T) {
	asUser(t)
	s := start(t, Config{})
	for range 3 {
		if out, err := bash(t, s, true, "(trap '' TERM HUP; setsid sleep 1000 </dev/null & disown) ; sleep 1000 & exit 0"); err != nil {
			t.Fatal(err, out)
		}
	}
	if out, _ := bash(t, s, false, "cat /proc/[0-9]*/comm 2>/dev/null | grep -c ^sleep"); out != "0\n" {
		t.Errorf("processes are left: %s", out)
	}
	if out, err := bash(t, s, true, "sleep 1000 & cat /proc/$!/comm"); err != nil || out == "" {
		t.Errorf("cannot see processes at all: %q, %v", out, err)
	}
}

func TestStateStays(t *testing.T) {
	asUser(t)
	dir := t.TempDir()
	if err := Give(dir); err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{
		Binds:    []Bind{{Source: dir, Target: "/builddir", Write: true}},
		Files:    []File{{Path: "/etc/sandbox.d/test/file", Data: []byte("put\n"), Mode: 0o644}},
		Writable: []string{"/usr/share/new/deep"},
	})
	if out, err := bash(t, s, false, "mkdir -p /usr/share/new/deep && echo data >/usr/share/new/deep/file"); err != nil {
		t.Fatal(err, out)
	}
	out, err := bash(t, s, true, "cat /usr/share/new/deep/file /etc/sandbox.d/test/file && echo built >/builddir/out && mkdir -m 0 /builddir/closed")
	if err != nil || out != "data\nput\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(data) != "built\n" {
		t.Errorf("on the host: %q, %v", data, err)
	}
	if err := RemoveAll(filepath.Join(dir, "closed")); err != nil {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	work := t.TempDir()
	s := start(t, Config{WorkDir: work})
	ctx, cancel := context.WithCancel(context.Background())
	out := &signalWriter{seen: make(chan bool, 1)}
	go func() {
		<-out.seen
		cancel()
	}()
	err := s.Run(ctx, Command{Args: []string{"sh", "-c", "trap '' TERM INT HUP; echo up; sleep 1000"}, Stdout: out, AsBuilder: true})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run after cancelling: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(work); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}

type signalWriter struct{ seen chan bool }

func (w *signalWriter) Write(p []byte) (int, error) {
	select {
	case w.seen <- true:
	default:
	}
	return len(p), nil
}

// victim starts a build in a sandbox and waits to be killed.
func victim(dir string) {
	s, err := Start(context.Background(), Config{WorkDir: dir})
	if err != nil {
		fmt.Println("cannot:", err)
		os.Exit(3)
	}
	err = s.Run(context.Background(), Command{
		Args:   []string{"bash", "-c", "mkdir -m 0 /tmp/closed; (setsid sleep 98765 &) ; sleep 98765 & echo up; wait"},
		Stdout: os.Stdout, AsBuilder: true})
	fmt.Println("ended:", err)
	os.Exit(4)
}

// After kill -9 no process and no mount is left, and the next run removes the files.
func TestKilled(t *testing.T) {
	asUser(t)
	start(t, Config{}) // skips where there are no sandboxes
	dir := t.TempDir()
	for i := range 3 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{partVar + "=victim:" + dir}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, _ := out.Read(buf)
		if string(buf[:n]) != "up\n" {
			t.Fatalf("the victim says %q", buf[:n])
		}
		deadline := time.Now().Add(20 * time.Second)
		for sleepers(t) == 0 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		seen := sleepers(t)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if seen == 0 {
			t.Fatal("cannot see the processes of the sandbox from outside")
		}
		_ = cmd.Wait()
		for sleepers(t) > 0 {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: %d processes are left", i, sleepers(t))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(dir)) {
		t.Errorf("a mount is left (%v):\n%s", err, mounts)
	}
	// The lock goes with the last process of the namespace, which has gone.
	if err := Sweep(dir); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("Sweep left %v", left)
	}
}

// sleepers counts the processes that the victims' builds have started.
func sleepers(t *testing.T) int {
	t.Helper()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	n := 0
	for _, path := range lines {
		if data, err := os.ReadFile(path); err == nil && string(data) == "sleep\x0098765\x00" {
			n++
		}
	}
	return n
}

func TestSweepLeavesTheLiving(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{WorkDir: dir})
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if out, err := sh(t, s, true, "echo alive >/tmp/x; cat /tmp/x"); err != nil || out != "alive\n" {
		t.Errorf("after Sweep: %q, %v", out, err)
	}
}

func TestBadConfig(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]Config{
		"relative work directory": {WorkDir: "x"},
		"bind out of the tree":    {WorkDir: dir, Binds: []Bind{{Source: "/tmp", Target: "/../x"}}},
		"relative writable":       {WorkDir: dir, Writable: []string{"usr"}},
		"missing source":          {WorkDir: dir, Binds: []Bind{{Source: "/no/such", Target: "/x"}}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if s, err := Start(context.Background(), c); err == nil {
				s.Close()
				t.Error("no error")
			}
		})
	}
}
