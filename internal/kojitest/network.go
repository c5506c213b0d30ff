package kojitest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A network is the hub's port. It can be closed for a while, so that connections
// are really refused, without losing it to another process: a second socket, which
// does not listen, stays bound to it.
type network struct {
	addr    string
	holder  int // file descriptor
	handler http.Handler

	mu     sync.Mutex
	server *http.Server // nil while closed
	timer  *time.Timer
	ended  bool
}

func listen(handler http.Handler) (*network, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	n := &network{holder: fd, handler: handler}
	if err = n.hold(); err == nil {
		err = n.open()
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listening on the loopback interface: %w", err)
	}
	return n, nil
}

func (n *network) hold() error {
	if err := unix.SetsockoptInt(n.holder, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	if err := unix.Bind(n.holder, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := unix.Getsockname(n.holder)
	if err != nil {
		return err
	}
	n.addr = "127.0.0.1:" + strconv.Itoa(name.(*unix.SockaddrInet4).Port)
	return nil
}

// open begins to listen, unless it does already or has ended.
func (n *network) open() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil || n.ended {
		return nil
	}
	conf := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(cerr, err)
	}}
	l, err := conf.Listen(context.Background(), "tcp4", n.addr)
	if err != nil {
		return err
	}
	n.server = &http.Server{Handler: n.handler, ReadHeaderTimeout: time.Minute}
	go func(s *http.Server) { _ = s.Serve(l) }(n.server) // ends with ErrServerClosed
	return nil
}

// shut closes the port and all connections. With a duration it opens again after
// that.
func (n *network) shut(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		_ = n.server.Close()
		n.server = nil
	}
	if d > 0 && n.timer == nil {
		n.timer = time.AfterFunc(d, func() {
			n.mu.Lock()
			n.timer = nil
			n.mu.Unlock()
			_ = n.open() // the port is ours, and stays so
		})
	}
}

func (n *network) close() {
	n.mu.Lock()
	n.ended = true
	if n.timer != nil {
		n.timer.Stop()
	}
	n.mu.Unlock()
	n.shut(0)
	unix.Close(n.holder)
}

// reset ends a connection with a reset rather than in order.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
