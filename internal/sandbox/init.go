package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The names under which this program starts itself. They are argv[0], which no
// user's command line has.
const (
	initMarker = "kojimod-sandbox-init" // first process of a session
	execMarker = "kojimod-sandbox-exec" // about to become a command
)

// The descriptors that the first process gets.
const (
	fdSocket = 3 + iota
	fdSetup
	fdLock // only held
)

// Init must be called first in main, and in TestMain, of a program that starts
// sandboxes. In a process that Start or Run has made it does not return;
// elsewhere it does nothing.
func Init() {
	switch os.Args[0] {
	case initMarker:
		// What our parent has inherited from its own parent is not for the build.
		closeOnExec(fdSocket)
		os.Exit(serve())
	case execMarker:
		closeOnExec(3)
		fmt.Fprintln(os.Stderr, becomeCommand())
		os.Exit(exitCannotRun)
	}
}

// closeOnExec marks all descriptors from first on.
func closeOnExec(first uint) {
	if unix.CloseRange(first, ^uint(0)>>1&0x7fffffff, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	entries, err := os.ReadDir("/proc/self/fd") // kernels before 5.11
	if err != nil {
		return
	}
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err == nil && fd >= int(first) {
			syscall.CloseOnExec(fd)
		}
	}
}

// serve is the life of a session's first process: set up, then run what is
// asked for until nobody is there to ask.
func serve() int {
	syscall.Umask(0o022) // what is made here others in the sandbox must read
	socket := os.NewFile(fdSocket, "socket")
	conn, err := unixConn(socket)
	socket.Close()
	if err != nil {
		return 1
	}
	how, err := readSetup()
	if err != nil {
		return 1
	}
	m := &mounter{setup: how}
	if err := m.run(); err != nil {
		_ = send(conn, reply{Error: err.Error()})
		return 1
	}
	// From now on no process of the same user may look into this one, whose
	// executable and descriptors are the host's.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		_ = send(conn, reply{Error: "making the first process unreadable: " + err.Error()})
		return 1
	}
	if err := send(conn, reply{Notes: m.notes}); err != nil {
		return 1
	}
	requests := make(chan message)
	go receiveAll(conn, requests)
	for msg := range requests {
		r := msg.run(how.UserNS)
		killRest()
		if err := send(conn, r); err != nil {
			return 1
		}
	}
	return 0
}

func readSetup() (setup, error) {
	var how setup
	f := os.NewFile(fdSetup, "setup")
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return how, err
	}
	return how, json.Unmarshal(text, &how)
}

func send(conn *net.UnixConn, r reply) error {
	const maxText = 16 << 10
	if len(r.Error) > maxText {
		r.Error = r.Error[:maxText]
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = conn.Write(text)
	return err
}

// A message is a request with the descriptors for its output.
type message struct {
	request
	stdout, stderr int
}

// receiveAll reads requests. When the other side has gone the process ends at
// once, and with it, as it is the first of its PID namespace, all others.
func receiveAll(conn *net.UnixConn, to chan<- message) {
	buf := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(2*4))
	for {
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if err != nil || n == 0 {
			os.Exit(0)
		}
		var msg message
		fds, err := descriptors(oob[:oobn])
		if err != nil || len(fds) != 2 || json.Unmarshal(buf[:n], &msg.request) != nil {
			os.Exit(1)
		}
		msg.stdout, msg.stderr = fds[0], fds[1]
		to <- msg
	}
}

func descriptors(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) != 1 {
		return nil, fmt.Errorf("no descriptors came with the request: %v", err)
	}
	return unix.ParseUnixRights(&msgs[0])
}

// run starts the command and waits for it, reaping whatever else ends meanwhile.
func (m message) run(userNS bool) reply {
	defer syscall.Close(m.stdout)
	defer syscall.Close(m.stderr)
	text, err := json.Marshal(m.request)
	if err != nil {
		return reply{Error: err.Error()}
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return reply{Error: "opening /dev/null: " + err.Error()}
	}
	defer syscall.Close(null)
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: []uintptr{uintptr(null), uintptr(m.stdout), uintptr(m.stderr)},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	if m.Builder && userNS {
		// The only user that exists here is the one who runs us, seen as root. A
		// second user namespace shows the same user as the builder.
		attr.Sys.Cloneflags = syscall.CLONE_NEWUSER
		attr.Sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: BuilderID, Size: 1}}
		attr.Sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: BuilderID, Size: 1}}
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{execMarker, string(text)}, attr)
	if err != nil {
		return reply{Error: "starting a process: " + err.Error()}
	}
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return reply{Error: "waiting for it: " + err.Error()}
		case got != pid:
		case status.Signaled():
			return reply{Code: -1, Signal: status.Signal().String()}
		default:
			return reply{Code: status.ExitStatus()}
		}
	}
}

// killRest kills every other process of the namespace and reaps them.
func killRest() {
	_ = syscall.Kill(-1, syscall.SIGKILL)
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && err != syscall.EINTR {
			return
		}
	}
}
