package kojitest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

type user struct {
	id       int64
	name     string
	password string
	perms    []string
	host     *host // nil for people
}

type session struct {
	id, master int64
	user       *user
	key        string
	callnum    int64 // of the last call that wrote; -1 for none
	expired    bool
	closed     bool
	exclusive  bool
	renewed    time.Time
}

// AddUser makes somebody who can log in, with permissions, and returns the id.
func (h *Hub) AddUser(name, password string, perms ...string) (id int64) {
	h.locked(func() { id = h.state.addUser(name, password, perms).id })
	return id
}

func (s *state) addUser(name, password string, perms []string) *user {
	u := &user{id: s.next("user"), name: name, password: password, perms: perms}
	s.users = append(s.users, u)
	return u
}

func (s *state) user(name string) *user {
	for _, u := range s.users {
		if u.name == name {
			return u
		}
	}
	return nil
}

func (s *state) userByID(id int64) *user {
	for _, u := range s.users {
		if u.id == id {
			return u
		}
	}
	return nil
}

func (u *user) may(perm string) bool {
	return u != nil && (slices.Contains(u.perms, perm) || slices.Contains(u.perms, "admin"))
}

// Lent is a session that somebody else has logged in.
type Lent struct {
	ID  int64
	Key string

	// Callnum is the number for its next call.
	Callnum int64
}

// Lend returns a new exclusive session of a host, such as its daemon lends to the
// handler of a task. An exclusive session that the host has already is closed.
func (h *Hub) Lend(hostName string) (lent Lent) {
	h.locked(func() {
		u := h.state.user(hostName)
		if u == nil || u.host == nil {
			h.t.Errorf("there is no host %q", hostName)
			return
		}
		for _, other := range h.state.sessions {
			if other.user == u && other.exclusive {
				h.endSession(other)
			}
		}
		s := h.newSession(u, 0)
		s.exclusive = true
		lent = Lent{ID: s.id, Key: s.key}
	})
	return lent
}

// ExpireSessions lets sessions expire, all unless some are named, as they do when it
// is long since they were renewed.
func (h *Hub) ExpireSessions(ids ...int64) {
	h.locked(func() {
		if len(ids) == 0 {
			h.expireAll()
		}
		for _, id := range ids {
			if s := h.state.sessions[id]; s != nil {
				s.expired = true
			}
		}
	})
}

func (h *Hub) expireAll() {
	for _, s := range h.state.sessions {
		s.expired = true
	}
}

// OpenSessions returns how many sessions of a user have neither been logged out
// nor closed, expired ones included.
func (h *Hub) OpenSessions(userName string) (n int) {
	h.locked(func() {
		for _, s := range h.state.sessions {
			if s.user.name == userName && !s.closed {
				n++
			}
		}
	})
	return n
}

func (h *Hub) newSession(u *user, master int64) *session {
	s := &session{id: h.state.next("session"), master: master, user: u, callnum: -1, renewed: now()}
	s.key = newKey(u)
	h.state.sessions[s.id] = s
	h.note(Event{Kind: SessionChanged, ID: s.id, State: "made", User: u.name})
	return s
}

func newKey(u *user) string { return fmt.Sprintf("%d-%.19s", u.id, rand.Text()) }

func (h *Hub) endSession(s *session) {
	s.expired, s.closed, s.exclusive = true, true, false
	h.note(Event{Kind: SessionChanged, ID: s.id, State: "closed", User: s.user.name})
}

// authenticate finds the session that a request belongs to (Session.__init__ in
// kojihub/auth.py), in its order of checks.
func (c *call) authenticate(r *http.Request) error {
	header := r.Header.Get("Koji-Session-Id")
	if header == "" {
		if r.URL.RawQuery != "" { // taken for the old way to name a session
			return fault(errAuth, "'session-id' not specified in session args")
		}
		return nil
	}
	id, err := strconv.ParseInt(header, 10, 64)
	if err != nil {
		return unspecified("<class 'ValueError'>: invalid literal for int() with base 10: '%s'", header)
	}
	s := c.h.state.sessions[id]
	if s == nil || s.closed || s.key != r.Header.Get("Koji-Session-Key") {
		return fault(errAuth, "Invalid session or bad credentials")
	}
	if c.h.opts.ExpireAfter > 0 && now().Sub(s.renewed) > c.h.opts.ExpireAfter && !s.expired {
		for _, other := range c.h.state.sessions {
			if other.id == s.id || other.master == s.id {
				other.expired = true
			}
		}
	}
	login := c.method == "login" || c.method == "sslLogin"
	if s.expired && !login {
		return fault(errAuthExpired, `session "%d" has expired`, s.id)
	}
	if err := c.checkNumber(r, s); err != nil {
		return err
	}
	c.session = s
	if s.expired {
		// For a login that renews it. It counts as not logged in.
		return nil
	}
	c.user = s.user
	return c.checkExclusive(s)
}

// retryWhitelist are the calls that may be made twice (auth.RetryWhitelist).
var retryWhitelist = [...]string{"host.taskWait", "host.taskUnwait", "host.taskSetWait", "host.updateHost",
	"host.setBuildRootState", "repoExpire", "repoDelete", "repoProblem"}

func (c *call) checkNumber(r *http.Request, s *session) error {
	num := r.Header.Get("Koji-Callnum")
	if v := r.Header.Get("Koji-Session-Callnum"); v != "" && !c.h.opts.UpTo1353 {
		num = v
	}
	c.callnum = -1
	if num == "" {
		return nil
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil {
		return unspecified("<class 'ValueError'>: invalid literal for int() with base 10: '%s'", num)
	}
	c.callnum = n
	switch {
	case s.callnum > n:
		return fault(errSequence, "%d > %d (session %d)", s.callnum, n, s.id)
	case s.callnum == n && s.callnum >= 0 && !slices.Contains(retryWhitelist[:], c.method):
		method := c.method
		if method == upload {
			method = "None"
		}
		return fault(errRetry, "unable to retry call %d (method %s) for session %d", n, method, s.id)
	}
	return nil
}

func (c *call) checkExclusive(s *session) error {
	c.exclusive = s.exclusive
	if s.exclusive {
		return nil
	}
	for _, other := range c.h.state.sessions {
		if other.user != s.user || !other.exclusive || other.closed {
			continue
		}
		if other.id == s.master {
			c.exclusive = true
			return nil
		}
		if c.method != "exclusiveSession" && c.method != "login" && c.method != "logout" {
			return fault(errAuthLock, "User locked by another session")
		}
	}
	return nil
}
