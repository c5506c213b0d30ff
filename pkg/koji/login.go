package koji

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// LoginPassword logs in by name and password. Over http:// both can be read on the
// way.
func (c *Client) LoginPassword(ctx context.Context, user, password string) (*Session, error) {
	if user == "" || password == "" {
		return nil, &CallError{Method: "login", Err: errors.New("a user and a password are needed")}
	}
	pw := newSecret(password)
	s := c.newSession(own)
	s.user = user
	return s.login(ctx, func(target *Session) func(context.Context, bool) (sessionInfo, error) {
		return func(ctx context.Context, renew bool) (sessionInfo, error) {
			return target.requestLogin(ctx, renew, &request{method: "login"}, user, pw.value())
		}
	})
}

// LoginCertificate logs in by a TLS client certificate, over https:// only. It is
// shown whenever the server asks for one.
//
// Koji's usual configuration asks only at the login's own address, which TLS 1.3
// calls authentication after the handshake, and Go does not have: the login then
// takes TLS 1.2, and all else what both sides can.
func (c *Client) LoginCertificate(ctx context.Context, cert tls.Certificate) (*Session, error) {
	if len(cert.Certificate) == 0 || cert.PrivateKey == nil {
		return nil, &CallError{Method: "sslLogin", Err: errors.New("the certificate is empty or has no private key")}
	}
	if err := c.needHTTPS(); err != nil {
		return nil, err
	}
	s := c.newSession(own)
	s.user = "certificate"
	conf := &tls.Config{}
	if c.opts.TLS != nil {
		conf = c.opts.TLS.Clone()
	}
	conf.Certificates = []tls.Certificate{cert}
	s.useTLS(conf)
	return s.login(ctx, func(target *Session) func(context.Context, bool) (sessionInfo, error) {
		return func(ctx context.Context, renew bool) (sessionInfo, error) {
			return target.certificateLogin(ctx, renew, conf)
		}
	})
}

// Authorize adds to the HTTP request of a login what the server wants to see. What
// it returns looks at the header of the reply, before anything in that reply is
// believed; nil for nothing to look at.
//
// An error with a method Temporary() bool that says so is tried again, as if the
// hub had not answered.
type Authorize func(*http.Request) (verify func(http.Header) error, err error)

// LoginHTTP logs in by what authorize adds to the login's HTTP request, a header
// "Authorization: Negotiate …" for example; over https:// only. It is called for
// each attempt and each renewal. Package kerberos has one.
func (c *Client) LoginHTTP(ctx context.Context, authorize Authorize) (*Session, error) {
	if err := c.needHTTPS(); err != nil {
		return nil, err
	}
	s := c.newSession(own)
	s.user = "HTTP authorization"
	return s.login(ctx, func(target *Session) func(context.Context, bool) (sessionInfo, error) {
		return func(ctx context.Context, renew bool) (sessionInfo, error) {
			return target.requestLogin(ctx, renew, &request{method: "sslLogin", path: "/ssllogin", authorize: authorize})
		}
	})
}

func (c *Client) needHTTPS() error {
	if c.hub.Scheme == "https" {
		return nil
	}
	return &CallError{Method: "sslLogin", Err: fmt.Errorf("the hub's address %s must begin with https:// for this kind of login", c)}
}

// A loginMethod makes the login of a session, or of its subsession.
type loginMethod func(target *Session) func(ctx context.Context, renew bool) (sessionInfo, error)

// login logs a new session in.
func (s *Session) login(ctx context.Context, method loginMethod) (*Session, error) {
	s.relogin, s.loginOf = method(s), method
	info, err := s.relogin(ctx, false)
	if err == nil {
		s.mu.Lock()
		err = s.take(info)
		s.mu.Unlock()
		if err != nil {
			err = &CallError{Method: "login", Attempts: 1, Err: err}
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// take makes what the hub said at a login this session's identity.
func (s *Session) take(info sessionInfo) error {
	if info.ID <= 0 || info.Key == "" {
		return fmt.Errorf("%w: the hub gave no session", ErrBadReply)
	}
	if !info.HeaderAuth {
		return errors.New("the hub is older than Koji 1.30 and takes session keys in URLs only, where logs keep them")
	}
	s.id, s.key = info.ID, newSecret(info.Key)
	return nil
}

// requestLogin makes one of the hub's login calls, again while the network fails.
// A login whose reply is lost leaves a session behind that nobody knows the key of;
// the hub lets it expire.
func (s *Session) requestLogin(ctx context.Context, renew bool, r *request, args ...any) (sessionInfo, error) {
	s.mu.Lock()
	var cred credentials
	if renew {
		// Without a number: the hub compares it with that of the call that found
		// the session expired, and would take the renewal for a repetition.
		cred = credentials{id: s.id, key: s.key, callnum: -1}
		named := Named{"renew": true}
		if s.exclusive {
			named["exclusive"] = true
		}
		args = append(append([]any(nil), args...), named)
	}
	s.mu.Unlock()
	body, err := xmlrpc.EncodeCall(r.method, positional(args)...)
	if err != nil {
		return sessionInfo{}, &CallError{Method: r.method, Err: err}
	}
	r.body, r.contentType = body, "text/xml"
	a := attempts{start: s.client.now()}
	for {
		a.n++
		v, _, err := s.send(ctx, r, cred)
		if err == nil {
			var info sessionInfo
			return info, put(r.method, &info, v)
		}
		var f *xmlrpc.Fault
		again := false
		if errors.As(err, &f) {
			err = scrubArgs(s.scrub(f), args)
		}
		if f == nil || errors.Is(err, ErrServerOffline) {
			again, err = s.afterError(ctx, r, &a, &cred, false, err)
		}
		if !again {
			return sessionInfo{}, &CallError{Method: r.method, Attempts: a.n, Elapsed: s.client.now().Sub(a.start), Err: err}
		}
	}
}

// scrubArgs takes the password out of a fault.
func scrubArgs(f *Fault, args []any) *Fault {
	if len(args) >= 2 {
		if pw, ok := args[1].(string); ok {
			f.Message = replaceSecret(f.Message, pw, "[password]")
		}
	}
	return f
}

// certificateLogin tries with the TLS that both sides like best, then with 1.2 and
// a second handshake.
func (s *Session) certificateLogin(ctx context.Context, renew bool, conf *tls.Config) (sessionInfo, error) {
	login := func(conf *tls.Config) (sessionInfo, error) {
		client := s.httpClient(conf)
		defer client.CloseIdleConnections()
		return s.requestLogin(ctx, renew, &request{method: "sslLogin", path: "/ssllogin", http: client})
	}
	conf = conf.Clone()
	conf.Renegotiation = tls.RenegotiateOnceAsClient
	info, err := login(conf)
	var status *HTTPError
	refused := errors.As(err, &status) && status.Status == http.StatusForbidden || errors.Is(err, ErrAuth)
	if !refused || conf.MinVersion > tls.VersionTLS12 {
		return info, err
	}
	old := conf.Clone()
	old.MaxVersion = tls.VersionTLS12
	info, err12 := login(old)
	if err12 != nil {
		// Where the server has no TLS 1.2 the first answer says more.
		var alert tls.AlertError
		if errors.As(err12, &alert) {
			return info, err
		}
		return info, err12
	}
	return info, nil
}

// renew gets a new key for a session that has expired. fresh reports that it is
// another session now: a renewal whose reply was lost has changed the key to one
// that nobody knows. The turn is the caller's.
func (s *Session) renew(ctx context.Context, cred credentials) (fresh bool, err error) {
	s.mu.Lock()
	relogin, kind, exclusive := s.relogin, s.kind, s.exclusive
	s.mu.Unlock()
	if relogin == nil {
		return false, errors.New("there is no login to repeat")
	}
	info, err := relogin(ctx, true)
	if errors.Is(err, ErrAuth) && kind == own && !exclusive {
		s.client.log.LogAttrs(ctx, slog.LevelWarn, "session could not be renewed; logging in again",
			slog.Int64("session", cred.id), slog.String("error", err.Error()))
		info, err = relogin(ctx, false)
	}
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if info.ID == 0 && kind == child {
		return false, errors.New("the session that it is a subsession of was closed")
	}
	if err := s.take(info); err != nil {
		return false, err
	}
	s.client.log.LogAttrs(ctx, slog.LevelInfo, "session renewed", slog.Int64("session", s.id))
	return s.id != cred.id, nil
}
