package koji

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
)

// A Session is a connection to a hub as somebody, or as nobody. It may be used by
// several goroutines; its calls are made one after the other, because Koji numbers
// them. Subsessions run side by side.
type Session struct {
	client *Client
	http   *http.Client
	tls    *tls.Config // with the client certificate, if any; nil for the default

	// turn holds one token, which whoever talks to the hub takes.
	turn chan struct{}

	mu         sync.Mutex // guards what follows
	kind       sessionKind
	id         int64
	key        secret
	user       string // who was logged in, for people to read
	next       int64  // number of the next call
	exclusive  bool
	network    string // "tcp4" or "tcp6" once connected
	hubVersion string

	// relogin logs in as this session did. With renew the hub gives the session
	// that asks a new key instead of making another session.
	relogin func(ctx context.Context, renew bool) (sessionInfo, error)
	loginOf loginMethod // makes it for a subsession
}

type sessionKind int

const (
	anonymous sessionKind = iota
	own
	child // a subsession: its login is that of its master
	lent
	closed
)

// A secret does not show itself when it, or what it is in, is printed.
type secret struct{ reveal func() string }

func newSecret(s string) secret { return secret{func() string { return s }} }

func (s secret) value() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// sessionInfo is what the hub's login methods return.
type sessionInfo struct {
	ID         int64  `xmlrpc:"session-id"`
	Key        string `xmlrpc:"session-key"`
	HeaderAuth bool   `xmlrpc:"header-auth"`
}

func (c *Client) newSession(kind sessionKind) *Session {
	s := &Session{client: c, kind: kind, turn: make(chan struct{}, 1), network: c.opts.Network}
	s.useTLS(c.opts.TLS)
	return s
}

func (s *Session) useTLS(conf *tls.Config) {
	s.tls, s.http = conf, s.httpClient(conf)
}

// Anonymous returns a session that is not logged in: it can read.
func (c *Client) Anonymous() *Session { return c.newSession(anonymous) }

// A LentSession is a session that somebody else has logged in and lets this
// process use: for example the handler of a task that of its daemon.
type LentSession struct {
	ID  int64
	Key string

	// Callnum is the number of the first call. It must be higher than that of
	// every call so far, and the lender must make none until the loan ends, then
	// go on with a number higher than Session.Callnum.
	Callnum int64
}

// String leaves out the key.
func (l LentSession) String() string { return fmt.Sprintf("session %d", l.ID) }

// GoString leaves out the key.
func (l LentSession) GoString() string { return fmt.Sprintf("koji.LentSession{ID: %d}", l.ID) }

// LogValue leaves out the key.
func (l LentSession) LogValue() slog.Value { return slog.StringValue(l.String()) }

// Lent returns a session that is somebody else's. It is never renewed and never
// logged out: once it has expired, or its lender uses it again, calls fail with
// ErrSessionLost.
func (c *Client) Lent(l LentSession) (*Session, error) {
	if l.ID <= 0 || l.Key == "" || l.Callnum < 0 {
		return nil, errors.New("koji: a lent session needs an id, a key and a callnum")
	}
	s := c.newSession(lent)
	s.id, s.key, s.next = l.ID, newSecret(l.Key), l.Callnum
	return s, nil
}

// ID returns the hub's number of the session, 0 where not logged in.
func (s *Session) ID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Callnum returns the number that the next call will have.
func (s *Session) Callnum() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// HubVersion returns the version of Koji that the hub said it is, for example
// "1.35.3"; "" before the first answer and for hubs older than 1.35, which do not.
func (s *Session) HubVersion() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hubVersion
}

// String says which session it is, without its key.
func (s *Session) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	hub := s.client.String()
	switch s.kind {
	case anonymous:
		return "anonymous session at " + hub
	case lent:
		return fmt.Sprintf("lent session %d at %s", s.id, hub)
	case closed:
		return "closed session at " + hub
	}
	return fmt.Sprintf("session %d of %s at %s", s.id, s.user, hub)
}

// GoString is String: the fields are nobody's business.
func (s *Session) GoString() string { return s.String() }

// LogValue is String.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// begin waits for this goroutine's turn to talk to the hub.
func (s *Session) begin(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Session) end() { <-s.turn }

// Exclusive makes this the only session of its user, as builders and kojira do:
// calls of the user's other sessions fail with ErrAuthLock. With force an
// exclusive session that exists is closed.
func (s *Session) Exclusive(ctx context.Context, force bool) error {
	if err := s.Call(ctx, "exclusiveSession", nil, Named{"force": force}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exclusive = true
	return nil
}

// Subsession returns another session of the same user, which lives as long as this
// one and makes its calls beside it. It should be logged out.
func (s *Session) Subsession(ctx context.Context) (*Session, error) {
	var info sessionInfo
	if err := s.Call(ctx, "subsession", &info); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.client.newSession(child)
	if s.kind == lent {
		sub.kind = lent
	} else if s.loginOf != nil {
		sub.relogin, sub.loginOf = s.loginOf(sub), s.loginOf
	}
	sub.network, sub.user = s.network, s.user
	sub.useTLS(s.tls)
	if err := sub.take(info); err != nil {
		return nil, &CallError{Method: "subsession", Attempts: 1, Err: err}
	}
	return sub, nil
}

// Logout ends the session on the hub, subsessions with it, and closes it here. A
// lent session goes on, on the hub. That the session had ended already is no error.
func (s *Session) Logout(ctx context.Context) error {
	s.mu.Lock()
	kind := s.kind
	s.mu.Unlock()
	var err error
	if kind == own || kind == child {
		err = s.Call(ctx, "logout", nil)
		if errors.Is(err, ErrReplyLost) || errors.Is(err, ErrSessionLost) {
			err = nil
		}
	}
	s.Close()
	return err
}

// Close forgets the session and closes its connections, and does not log out.
// Calls fail from then on.
func (s *Session) Close() {
	s.mu.Lock()
	s.kind, s.key, s.relogin, s.loginOf = closed, secret{}, nil, nil
	s.mu.Unlock()
	s.http.CloseIdleConnections()
}
