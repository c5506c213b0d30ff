package kojitest

import "slices"

func sessionMethods() map[string]method {
	return map[string]method{
		"login":            handle(2, (*call).login),
		"logout":           handle(0, (*call).logout),
		"logoutChild":      handle(1, (*call).logoutChild),
		"subsession":       handle(0, (*call).subsession),
		"exclusiveSession": handle(0, (*call).exclusiveSession),
		"sharedSession":    handle(0, (*call).sharedSession),
	}
}

type loginParams struct {
	User      string         `xmlrpc:"user"`
	Password  string         `xmlrpc:"password"`
	Opts      map[string]any `xmlrpc:"opts"`
	Renew     bool           `xmlrpc:"renew"`
	Exclusive bool           `xmlrpc:"exclusive"`
}

func (c *call) login(p loginParams) (any, error) {
	if c.user != nil {
		return nil, fault(errAuth, "Already logged in")
	}
	u := c.h.state.user(p.User)
	if u == nil || p.Password == "" || u.password != p.Password {
		return nil, fault(errAuth, "invalid username or password")
	}
	s := c.session
	if p.Renew && s != nil {
		if master := c.h.state.sessions[s.master]; s.master != 0 && (master == nil || master.closed) {
			return nil, nil
		}
		s.key, s.expired, s.renewed = newKey(u), false, now()
		c.h.note(Event{Kind: SessionChanged, ID: s.id, State: "renewed", User: u.name})
	} else {
		s = c.h.newSession(u, 0)
	}
	if p.Exclusive && !s.exclusive {
		if err := c.makeExclusive(u, s, false); err != nil {
			return nil, err
		}
	}
	return s.info(), nil
}

func (s *session) info() any {
	return map[string]any{"session-id": s.id, "session-key": s.key, "header-auth": true}
}

type sessionParams struct {
	ID *int64 `xmlrpc:"session_id"`
}

func (c *call) logout(p sessionParams) (any, error) {
	if c.user == nil {
		return nil, fault(errAuth, "Not logged in")
	}
	id := c.session.id
	if p.ID != nil && *p.ID != 0 {
		other := c.h.state.sessions[*p.ID]
		if !slices.Contains(c.user.perms, "admin") && (other == nil || other.user != c.user) {
			return nil, fault(errActionNotAllowed, "only admins or owner may logout other session")
		}
		id = *p.ID
	}
	c.write()
	for _, s := range c.h.state.sessions {
		if s.id == id || s.master == id {
			c.h.endSession(s)
		}
	}
	return nil, nil
}

func (c *call) logoutChild(p sessionParams) (any, error) {
	if c.user == nil {
		return nil, fault(errAuth, "Not logged in")
	}
	c.write()
	if p.ID != nil {
		if s := c.h.state.sessions[*p.ID]; s != nil && s.master == c.session.id {
			c.h.endSession(s)
		}
	}
	return nil, nil
}

func (c *call) subsession(struct{}) (any, error) {
	if c.user == nil {
		return nil, fault(errAuth, "Not logged in")
	}
	master := c.session.master
	if master == 0 {
		master = c.session.id
	}
	c.write()
	return c.h.newSession(c.user, master).info(), nil
}

type forceParams struct {
	Force bool `xmlrpc:"force"`
}

func (c *call) exclusiveSession(p forceParams) (any, error) {
	if err := c.needLogin(); err != nil {
		return nil, err
	}
	c.write()
	return nil, c.makeExclusive(c.user, c.session, p.Force)
}

func (c *call) makeExclusive(u *user, s *session, force bool) error {
	if s.master != 0 {
		return fault(errGeneric, "subsessions cannot become exclusive")
	}
	if s.exclusive {
		return fault(errGeneric, "session is already exclusive")
	}
	for _, other := range c.h.state.sessions {
		if other.user != u || !other.exclusive || other.closed {
			continue
		}
		if !force {
			return fault(errAuthLock, "Cannot get exclusive session")
		}
		c.h.endSession(other)
	}
	s.exclusive = true
	return nil
}

func (c *call) sharedSession(struct{}) (any, error) {
	if err := c.needLogin(); err != nil {
		return nil, err
	}
	c.write()
	c.session.exclusive = false
	return nil, nil
}
