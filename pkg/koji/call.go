package koji

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// Named are parameters by name. They are the last argument of a call.
type Named map[string]any

// Call calls a method of the hub, and puts what it returns into result, which is a
// pointer, or nil where the result does not matter.
//
// Arguments are nil, booleans, integers, floating-point numbers, strings (UTF-8,
// without control characters), []byte, slices, maps with string keys, and structs
// whose fields have tags like `xmlrpc:"name"` or `xmlrpc:"name,omitempty"`.
// Results go into the same, or into an any, which then has a nil, bool, int64,
// float64, string, []byte, []any or map[string]any. None of Koji's times is a time
// on the wire: a time.Time takes the seconds of the fields called …_ts. nil sets a
// zero value; where they differ, use a pointer.
//
// The error is a *CallError.
func (s *Session) Call(ctx context.Context, method string, result any, args ...any) error {
	body, err := xmlrpc.EncodeCall(method, positional(args)...)
	if err != nil {
		return &CallError{Method: method, Err: err}
	}
	v, err := s.do(ctx, &request{method: method, contentType: "text/xml", body: body})
	if err != nil {
		return err
	}
	return put(method, result, v)
}

// put puts a decoded result into what the caller gave for it.
func put(method string, result, v any) error {
	if result == nil {
		return nil
	}
	if err := xmlrpc.Assign(result, v); err != nil {
		return &CallError{Method: method, Attempts: 1, Err: fmt.Errorf("%w: %w", ErrBadReply, err)}
	}
	return nil
}

// positional turns a last argument of type Named into the struct that Koji takes
// for named parameters.
func positional(args []any) []any {
	if len(args) == 0 {
		return nil
	}
	named, ok := args[len(args)-1].(Named)
	if !ok {
		return args
	}
	last := make(map[string]any, len(named)+1)
	for k, v := range named {
		last[k] = v
	}
	last["__starstar"] = true
	return append(append([]any(nil), args[:len(args)-1]...), last)
}

// An attempts is what has happened to a call so far.
type attempts struct {
	n        int
	start    time.Time
	failures int       // in a row, of the network
	failing  time.Time // since when
	offline  time.Time // since when the hub has said so
	garbage  int       // replies that were not XML-RPC
	lost     bool      // the hub may have got it, and no reply came
	renewed  bool
	newborn  bool // the session is another one than the first attempt's
}

// do makes a call: sends the request until there is an answer.
func (s *Session) do(ctx context.Context, r *request) (any, error) {
	a := attempts{start: s.client.now()}
	fail := func(err error) (any, error) {
		if a.lost && !errors.Is(err, ErrReplyLost) && !settles(err) {
			err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		}
		return nil, &CallError{Method: r.method, Attempts: a.n, Elapsed: s.client.now().Sub(a.start), Err: err}
	}
	if err := s.begin(ctx); err != nil {
		return fail(err)
	}
	defer s.end()
	cred, err := s.number()
	if err != nil {
		return fail(err)
	}
	for {
		a.n++
		v, sent, err := s.send(ctx, r, cred)
		if err == nil {
			return v, nil
		}
		var f *xmlrpc.Fault
		if errors.As(err, &f) {
			err = s.scrub(f)
		}
		var again bool
		if again, err = s.afterError(ctx, r, &a, &cred, sent, err); !again {
			return fail(err)
		}
	}
}

// settles reports whether an error says that the hub did nothing, though a reply to
// an earlier attempt is missing: the hub would have known the number of the call.
// It does not look at that of a session that has ended, or while it is offline.
func settles(err error) bool {
	var f *Fault
	return errors.As(err, &f) && !errors.Is(err, ErrServerOffline) && !errors.Is(err, ErrSessionLost)
}

// number returns what the next call is sent with.
func (s *Session) number() (credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.kind {
	case closed:
		return credentials{}, fmt.Errorf("%w: it was closed", ErrSessionLost)
	case anonymous:
		return credentials{}, nil
	}
	cred := credentials{id: s.id, key: s.key, callnum: s.next}
	s.next++
	return cred, nil
}

// afterError decides whether a call is sent again, and waits until then.
func (s *Session) afterError(ctx context.Context, r *request, a *attempts, cred *credentials, sent bool, err error) (bool, error) {
	c := s.client
	var f *Fault
	switch {
	case errors.Is(err, ErrServerOffline):
		return s.waitOffline(ctx, r, a, err)
	case errors.As(err, &f):
		return s.afterFault(ctx, r, a, cred, f)
	}
	a.offline = time.Time{}
	a.lost = a.lost || sent
	if ctx.Err() != nil {
		return false, fmt.Errorf("%w (the last attempt: %w)", ctx.Err(), err)
	}
	var syntax *xmlrpc.SyntaxError
	if errors.As(err, &syntax) {
		err = fmt.Errorf("%w: %w", ErrBadReply, err)
		if a.garbage++; a.garbage > 2 {
			return false, err
		}
	}
	s.mu.Lock()
	connected := s.network != ""
	s.mu.Unlock()
	if !passing(err, connected) {
		return false, err
	}
	if a.failures++; a.failures == 1 {
		a.failing = c.now()
	}
	pause := c.pause(a.failures)
	if c.opts.RetryFor < 0 || c.now().Add(pause).Sub(a.failing) > c.opts.RetryFor {
		return false, err
	}
	c.log.LogAttrs(ctx, slog.LevelWarn, "hub did not answer; trying again", slog.String("method", r.method),
		slog.Int("attempt", a.n), slog.Duration("pause", pause), slog.String("error", err.Error()))
	if werr := c.sleep(ctx, pause); werr != nil {
		return false, fmt.Errorf("%w (the last attempt: %w)", werr, err)
	}
	return true, nil
}

// waitOffline waits for a hub that says it is offline, which it says before it does
// anything.
func (s *Session) waitOffline(ctx context.Context, r *request, a *attempts, err error) (bool, error) {
	c := s.client
	a.failures = 0
	if a.offline.IsZero() {
		a.offline = c.now()
	}
	waited := c.now().Sub(a.offline)
	pause := max(c.opts.RetryMin, min(c.opts.RetryMax, waited))
	pause = pause/2 + time.Duration(c.jitter()*float64(pause)/2)
	if c.opts.OfflineFor < 0 || waited+pause > c.opts.OfflineFor {
		return false, err
	}
	c.log.LogAttrs(ctx, slog.LevelWarn, "hub is offline; waiting", slog.String("method", r.method),
		slog.Int("attempt", a.n), slog.Duration("pause", pause))
	if werr := c.sleep(ctx, pause); werr != nil {
		return false, fmt.Errorf("%w (the last attempt: %w)", werr, err)
	}
	return true, nil
}

// afterFault looks at the faults that are about the session, not about the call.
func (s *Session) afterFault(ctx context.Context, r *request, a *attempts, cred *credentials, f *Fault) (bool, error) {
	s.mu.Lock()
	kind := s.kind
	s.mu.Unlock()
	switch {
	case kind == anonymous:
		return false, f
	case f.Code == ErrRetry && a.lost && !a.newborn:
		// Koji stores the number of a call in the transaction of its effect.
		return false, fmt.Errorf("%w (%w)", ErrReplyLost, f)
	case f.Code == ErrRetry, f.Code == ErrSequence:
		// Nothing of ours had this number or a higher one: somebody else calls.
		return false, fmt.Errorf("%w: somebody else uses it: %w", ErrSessionLost, f)
	case f.Code == ErrAuth && strings.HasPrefix(f.Message, "Invalid session"):
		return false, fmt.Errorf("%w: %w", ErrSessionLost, f)
	case f.Code == ErrAuthExpired && (kind == lent || a.renewed):
		return false, fmt.Errorf("%w: %w", ErrSessionLost, f)
	case f.Code == ErrAuthExpired:
		a.renewed = true
		fresh, err := s.renew(ctx, *cred)
		if err != nil {
			return false, fmt.Errorf("%w: renewing it: %w (%w)", ErrSessionLost, err, f)
		}
		if fresh && a.lost {
			// Another session does not know the numbers of this one's calls.
			return false, fmt.Errorf("%w: the session had to be replaced by a new one", ErrOutcomeUnknown)
		}
		a.newborn = a.newborn || fresh
		s.mu.Lock()
		cred.id, cred.key = s.id, s.key // and the same number: the call is the same
		s.mu.Unlock()
		return true, nil
	case f.Code == ErrLock && r.method == "rawUpload" && a.n < 10:
		// An attempt of which no reply came still writes that file.
		if err := s.client.sleep(ctx, s.client.pause(a.n+1)); err != nil {
			return false, err
		}
		return true, nil
	}
	return false, f
}

// scrub makes a Fault of the hub's, with the session's key taken out: hubs in
// debug mode put their variables into tracebacks.
func (s *Session) scrub(f *xmlrpc.Fault) *Fault {
	s.mu.Lock()
	key := s.key.value()
	s.mu.Unlock()
	msg := replaceSecret(f.Message, key, "[key]")
	code := FaultCode(f.Code)
	if int64(code) != f.Code {
		code = ErrUnspecified
	}
	return &Fault{Code: code, Message: msg}
}

func replaceSecret(msg, secret, by string) string {
	if secret == "" {
		return msg
	}
	return strings.ReplaceAll(msg, secret, by)
}
