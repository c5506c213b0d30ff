package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Session is a running sandbox. Its commands run one after the other and see
// what those before them wrote; processes that a command leaves in the
// background are killed when it ends.
type Session struct {
	dir   string   // private directory
	alone bool     // see OneUser
	lock  *os.File // held while the session lives
	conn  *net.UnixConn
	first *os.Process   // first process of the namespaces
	done  chan struct{} // closed when it was reaped

	mu     sync.Mutex // one command at a time
	close  sync.Once
	closed error
}

// setup is what the first process is told on its second descriptor.
type setup struct {
	Dir       string
	UserNS    bool // we made a user namespace, so only our own user exists
	UserXattr bool
	Binds     []Bind
	Hide      []string
	Writable  []string
	Files     []File
}

// request and reply are the messages on the socket, one datagram each.
type request struct {
	Args    []string
	Env     []string
	Dir     string
	Builder bool
}

type reply struct {
	Error  string // the command could not be started, or setting up failed
	Code   int
	Signal string
	Notes  []string // things that the log should have, on setting up
}

func itoa(n int) string { return strconv.Itoa(n) }

// Start makes a sandbox. The error says what this kernel or system forbids, and
// what to do about it, where that is why.
func Start(ctx context.Context, c Config) (_ *Session, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if os.Args[0] == initMarker {
		// We are the first process of a session, and main goes on as usual: it
		// would start sessions without end.
		return nil, errors.New("starting a sandbox: this program does not call sandbox.Init at its beginning")
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("starting a sandbox: %w", err)
	}
	dir, lock, err := newWorkDir(c.WorkDir)
	if err != nil {
		return nil, fmt.Errorf("starting a sandbox: %w", err)
	}
	userNS := !mayMount()
	s := &Session{dir: dir, alone: userNS, lock: lock, done: make(chan struct{})}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	how := setup{Dir: dir, UserNS: userNS, UserXattr: userNS || !initialUserNS(),
		Binds: c.Binds, Hide: c.Hide, Writable: c.Writable, Files: c.Files}
	if err := s.launch(how); err != nil {
		return nil, fmt.Errorf("starting a sandbox: %w", err)
	}
	stop := context.AfterFunc(ctx, s.kill)
	defer stop()
	r, err := s.receive()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("starting a sandbox: its first process ended: %w", err)
	case r.Error != "":
		return nil, fmt.Errorf("starting a sandbox: %s", r.Error)
	}
	if c.Log != nil {
		for _, note := range r.Notes {
			c.Log.Info("sandbox: " + note)
		}
	}
	return s, nil
}

func (c Config) check() error {
	if !filepath.IsAbs(c.WorkDir) {
		return fmt.Errorf("the work directory %q is not an absolute path", c.WorkDir)
	}
	paths := append([]string(nil), c.Writable...)
	paths = append(paths, c.Hide...)
	for _, b := range c.Binds {
		paths = append(paths, b.Source, b.Target)
	}
	for _, f := range c.Files {
		paths = append(paths, f.Path)
	}
	for _, p := range paths {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p {
			return fmt.Errorf("%q is not a clean absolute path", p)
		}
	}
	return nil
}

// launch starts the first process and hands it the setup.
func (s *Session) launch(how setup) error {
	text, err := json.Marshal(how)
	if err != nil {
		return err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	s.conn = ours
	setupR, setupW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer setupR.Close()

	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{initMarker},
		Env:        []string{}, // none of ours may be seen inside
		Dir:        "/",
		ExtraFiles: []*os.File{theirs, setupR, s.lock},
		SysProcAttr: &syscall.SysProcAttr{
			Pdeathsig: syscall.SIGKILL,
			Setsid:    true,
			Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
				syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		},
	}
	if how.UserNS {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	if err := s.startHeld(cmd); err != nil {
		setupW.Close()
		return explainClone(err, how.UserNS)
	}
	go func() {
		_, _ = setupW.Write(text) // a first process that died is noticed by receive
		setupW.Close()
	}()
	return nil
}

// startHeld starts cmd from a thread that is kept until cmd has ended: the
// kernel sends the parent-death signal when the thread that made the child
// ends, not the process (golang.org/issue/27505).
func (s *Session) startHeld(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.first = cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		close(s.done)
	}()
	return <-started
}

func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs = os.NewFile(uintptr(fds[1]), "sandbox")
	mine := os.NewFile(uintptr(fds[0]), "sandbox")
	defer mine.Close()
	ours, err = unixConn(mine)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func unixConn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s is not a Unix socket", f.Name())
	}
	return u, nil
}

// maxMessage bounds a request: a datagram must fit the socket's buffer, and an
// argument of a program the kernel's limit of 128 KiB.
const maxMessage = 96 << 10

func (s *Session) receive() (reply, error) {
	var r reply
	buf := make([]byte, maxMessage)
	n, err := s.conn.Read(buf)
	if err != nil {
		return r, err
	}
	if n == 0 {
		return r, io.EOF
	}
	return r, json.Unmarshal(buf[:n], &r)
}

// OneUser tells that inside there is only the user who started the session, under
// two numbers: no file can be given to anybody else.
func (s *Session) OneUser() bool { return s.alone }

// Run runs one command and waits for it. The error is ctx.Err() where ctx ended
// first, and then the session is over; an *ExitError where the command did not
// end well; else why it could not be run.
func (s *Session) Run(ctx context.Context, c Command) error {
	if len(c.Args) == 0 {
		return errors.New("running nothing in a sandbox")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.kill)
	defer stop()
	r, err := s.roundTrip(c)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF):
		return fmt.Errorf("running %s in a sandbox: the sandbox's first process was killed (is memory short?)", c.Args[0])
	case err != nil:
		return fmt.Errorf("running %s in a sandbox: %w", c.Args[0], err)
	case r.Error != "":
		return fmt.Errorf("running %s in a sandbox: %s", c.Args[0], r.Error)
	case r.Code != 0 || r.Signal != "":
		return &ExitError{Program: c.Args[0], Code: r.Code, Signal: r.Signal}
	}
	return nil
}

// roundTrip sends the command with the write ends of two pipes, and copies what
// comes out of them until the last process that could write has gone.
func (s *Session) roundTrip(c Command) (reply, error) {
	text, err := json.Marshal(request{Args: c.Args, Env: c.Env, Dir: c.Dir, Builder: c.AsBuilder})
	if err != nil {
		return reply{}, err
	}
	if len(text) > maxMessage {
		return reply{}, fmt.Errorf("its arguments and environment have %d bytes, more than %d", len(text), maxMessage)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return reply{}, err
	}
	defer outR.Close()
	errR, errW := outR, outW
	same := sameWriter(c.Stdout, c.Stderr)
	if !same {
		if errR, errW, err = os.Pipe(); err != nil {
			outW.Close()
			return reply{}, err
		}
		defer errR.Close()
	}
	rights := unix.UnixRights(int(outW.Fd()), int(errW.Fd()))
	_, _, err = s.conn.WriteMsgUnix(text, rights, nil)
	outW.Close()
	if !same {
		errW.Close()
	}
	if err != nil {
		return reply{}, err
	}
	var copies sync.WaitGroup
	var outErr, errErr error
	copies.Go(func() { outErr = drain(c.Stdout, outR) })
	if !same {
		copies.Go(func() { errErr = drain(c.Stderr, errR) })
	}
	r, err := s.receive()
	copies.Wait()
	return r, errors.Join(err, outErr, errErr)
}

// drain copies r to w. When w fails the rest is still read, so that the writer
// does not hang; the writer's failure is returned.
func drain(w io.Writer, r io.Reader) error {
	if w == nil {
		w = io.Discard
	}
	_, err := io.Copy(w, r)
	if err != nil {
		_, _ = io.Copy(io.Discard, r)
		return fmt.Errorf("writing its output: %w", err)
	}
	return nil
}

func sameWriter(a, b io.Writer) bool {
	defer func() { _ = recover() }() // writers of a type that cannot be compared differ
	return a != nil && a == b
}

// kill ends everything in the session at once.
func (s *Session) kill() {
	if s.first != nil {
		_ = s.first.Kill() // fails where it has ended, which is as well
	}
}

// Close ends the session and removes all that was written in it. When it
// returns, no process of the session is left.
func (s *Session) Close() error {
	s.close.Do(func() {
		if s.conn != nil {
			s.conn.Close()
		}
		if s.first != nil {
			s.kill()
			<-s.done
		}
		s.closed = RemoveAll(s.dir)
		s.lock.Close()
	})
	return s.closed
}
