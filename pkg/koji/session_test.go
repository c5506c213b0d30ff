package koji

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCall(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	var got []any
	if err := s.Call(t.Context(), "echo", &got, 1, "x", Named{"strict": true}); err != nil {
		t.Fatal(err)
	}
	want := []any{int64(1), "x", map[string]any{"strict": true, "__starstar": true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if s.HubVersion() != "1.35.3" {
		t.Errorf("hub version %q", s.HubVersion())
	}
	err := s.Call(t.Context(), "echo", new(int))
	if !errors.Is(err, ErrBadReply) {
		t.Errorf("a list into an int: %v", err)
	}
	if err := s.Call(t.Context(), "echo", nil, "\x00"); err == nil {
		t.Error("a control character was sent")
	}
}

// Each way to fail: how often the change is made, and what is said about it.
func TestTroubles(t *testing.T) {
	tests := []struct {
		name     string
		troubles []trouble
		opts     Options
		changes  int
		is, not  error // what the error is and is not; nil for no error
		attempts int
	}{
		{name: "none", changes: 1},
		{name: "refused twice", troubles: []trouble{{"change", "refuse"}, {"change", "refuse"}}, changes: 1},
		{name: "502, 503, 504, 500", troubles: []trouble{{"change", "502"}, {"change", "503"}, {"change", "504"}, {"change", "500"}}, changes: 1},
		{name: "offline for long", troubles: repeat(trouble{"change", "offline"}, 20), changes: 1},
		{name: "offline for too long", troubles: repeat(trouble{"change", "offline"}, 100), is: ErrServerOffline, not: ErrOutcomeUnknown},
		{name: "offline, not waited for", troubles: []trouble{{"change", "offline"}}, opts: Options{OfflineFor: -1}, is: ErrServerOffline, attempts: 1},
		{name: "reply lost", troubles: []trouble{{"change", "lose"}}, changes: 1, is: ErrReplyLost, not: ErrOutcomeUnknown, attempts: 2},
		{name: "reply cut off", troubles: []trouble{{"change", "cut"}}, changes: 1, is: ErrReplyLost},
		{name: "reply lost by a proxy", troubles: []trouble{{"change", "lose 502"}, {"change", "503"}, {"change", "offline"}}, changes: 1, is: ErrReplyLost},
		{name: "reply lost, no retries", troubles: []trouble{{"change", "lose"}}, opts: Options{RetryFor: -1}, changes: 1, is: ErrOutcomeUnknown, attempts: 1},
		{name: "never answers", troubles: repeat(trouble{"change", "502"}, 1000), is: ErrOutcomeUnknown},
		{name: "garbage", troubles: repeat(trouble{"change", "garbage"}, 3), is: ErrBadReply, attempts: 3},
		{name: "garbage once", troubles: repeat(trouble{"change", "garbage"}, 1), changes: 1},
		{name: "bad request", troubles: []trouble{{"change", "400"}}, is: new(HTTPError), attempts: 1},
		{name: "redirected", troubles: []trouble{{"change", "redirect"}}, is: new(HTTPError), attempts: 1},
		{name: "expired", troubles: []trouble{{"change", "expire"}}, changes: 1},
		{name: "done, reply lost, then expired", troubles: []trouble{{"change", "lose and expire"}}, changes: 1, is: ErrReplyLost},
		{name: "not done, then expired", troubles: []trouble{{"change", "502"}, {"change", "expire"}}, changes: 1},
		{name: "expired, renewal without an answer", troubles: []trouble{{"change", "expire"}, {"login", "503"}, {"login", "offline"}}, changes: 1},
		{name: "expired, reply to the renewal lost", troubles: []trouble{{"change", "expire"}, {"login", "lose"}}, changes: 1},
		{name: "done, expired, reply to the renewal lost", troubles: []trouble{{"change", "lose and expire"}, {"login", "lose"}}, changes: 1, is: ErrOutcomeUnknown, not: ErrReplyLost},
		{name: "expires over and over", troubles: []trouble{{"change", "expire"}, {"change", "expire"}}, is: ErrSessionLost},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			h := newFakeHub(t)
			s := h.login(tc.opts)
			h.trouble(tc.troubles...)
			err := s.Call(t.Context(), "change", nil, "x")
			if got := len(h.changes()); got != tc.changes {
				t.Errorf("changed %d times, want %d (%v)", got, tc.changes, h.seen)
			}
			var status *HTTPError
			switch _, http := tc.is.(*HTTPError); {
			case tc.is == nil && err != nil, http && !errors.As(err, &status), !http && !errors.Is(err, tc.is):
				t.Fatalf("got error %v, want %v", err, tc.is)
			}
			if tc.not != nil && errors.Is(err, tc.not) {
				t.Errorf("error is %v, too: %v", tc.not, err)
			}
			var call *CallError
			if errors.As(err, &call) && tc.attempts != 0 && call.Attempts != tc.attempts {
				t.Errorf("%d attempts, want %d: %v", call.Attempts, tc.attempts, err)
			}
			// Whatever happened, the session goes on where it can.
			h.mu.Lock()
			h.faults = nil
			h.mu.Unlock()
			if !errors.Is(err, ErrSessionLost) {
				if err := s.Call(t.Context(), "change", nil, "y"); err != nil {
					t.Errorf("the call after it: %v", err)
				}
			}
		})
	}
}

func repeat(x trouble, n int) []trouble {
	var list []trouble
	for range n {
		list = append(list, x)
	}
	return list
}

// The same call has the same number, whatever happens; the next has the next.
func TestNumbers(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	h.trouble(trouble{"change", "502"}, trouble{"change", "expire"}, trouble{"change", "503"})
	for range 2 {
		if err := s.Call(t.Context(), "change", nil, "x"); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"login ", "change 0", "change 0", "login ", "change 0", "change 0", "change 1"}
	if diff := cmp.Diff(want, h.seen); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestConcurrentCalls(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	h.trouble(repeat(trouble{"change", "502"}, 5)...)
	h.trouble(trouble{"change", "expire"})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := s.Call(t.Context(), "change", nil, i); err != nil {
				t.Error(err)
			}
			_, _ = s.Callnum(), s.String()
		})
	}
	wg.Wait()
	if n := len(h.changes()); n != 20 {
		t.Errorf("%d changes", n)
	}
}

func TestLent(t *testing.T) {
	h := newFakeHub(t)
	owner := h.login(Options{})
	lend := func() *Session {
		s, err := owner.client.Lent(LentSession{ID: owner.ID(), Key: owner.key.value(), Callnum: owner.Callnum()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := lend()
	if err := s.Call(t.Context(), "change", nil, "x"); err != nil {
		t.Fatal(err)
	}
	if err := owner.Call(t.Context(), "change", nil, "z"); !errors.Is(err, ErrSessionLost) || len(h.changes()) != 1 {
		t.Errorf("a number that was used: %v", err)
	}
	if err := s.Logout(t.Context()); err != nil || len(h.sessions) != 1 {
		t.Errorf("the loan's end ended the session: %v", err)
	}
	if err := s.Call(t.Context(), "change", nil, "x"); !errors.Is(err, ErrSessionLost) {
		t.Errorf("after the end: %v", err)
	}
	s = lend()
	h.trouble(trouble{"change", "expire"})
	err := s.Call(t.Context(), "change", nil, "x")
	if !errors.Is(err, ErrSessionLost) || !errors.Is(err, ErrAuthExpired) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("expired: %v", err)
	}
	if strings.Contains(strings.Join(h.seen[1:], " "), "login") {
		t.Errorf("a lent session was renewed: %v", h.seen)
	}
	for _, l := range []LentSession{{}, {ID: 1}, {Key: "x"}, {ID: 1, Key: "x", Callnum: -1}} {
		if _, err := owner.client.Lent(l); err == nil {
			t.Errorf("%v was accepted", l)
		}
	}
}

func TestSubsession(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	sub, err := s.Subsession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.trouble(trouble{"change", "expire"})
	if err := sub.Call(t.Context(), "change", nil, "x"); err != nil {
		t.Errorf("renewed by itself: %v", err)
	}
	if err := s.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	h.trouble(trouble{"change", "expire"})
	if err := sub.Call(t.Context(), "change", nil, "x"); !errors.Is(err, ErrSessionLost) {
		t.Errorf("its master is gone: %v", err)
	}
}

func TestLogout(t *testing.T) {
	h := newFakeHub(t)
	for _, kind := range []string{"", "lose", "expire", "502"} {
		s := h.login(Options{})
		h.trouble(trouble{"logout", kind})
		if err := s.Logout(t.Context()); err != nil {
			t.Errorf("%q: %v", kind, err)
		}
		if err := s.Logout(t.Context()); err != nil {
			t.Errorf("%q, again: %v", kind, err)
		}
	}
}

func TestContext(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	s.client.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	h.trouble(trouble{"change", "lose"})
	err := s.Call(ctx, "change", nil, "x")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("cancelled after a lost reply: %v", err)
	}
	if err := s.Call(ctx, "change", nil, "x"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("cancelled before: %v", err)
	}
}

func TestRequestTimeout(t *testing.T) {
	h := newFakeHub(t)
	hang := make(chan struct{})
	n := 0
	h.methods["slow"] = func([]any) (any, error) {
		if n++; n == 1 {
			<-hang
		}
		return "done", nil
	}
	s := h.login(Options{RequestTimeout: 200 * time.Millisecond})
	time.AfterFunc(400*time.Millisecond, func() { close(hang) })
	var got string
	if err := s.Call(t.Context(), "slow", &got); err != nil || got != "done" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReplyTooLong(t *testing.T) {
	h := newFakeHub(t)
	h.methods["long"] = func([]any) (any, error) { return strings.Repeat("x", 5000), nil }
	s := h.login(Options{MaxReply: 4000})
	var call *CallError
	if err := s.Call(t.Context(), "long", nil); !errors.As(err, &call) || call.Attempts != 1 || !strings.Contains(err.Error(), "more than 4000 bytes") {
		t.Errorf("got %v", err)
	}
}

// Nothing that is printed, logged or returned has a password or key in it.
func TestSecrets(t *testing.T) {
	h := newFakeHub(t)
	h.debug = true
	var log bytes.Buffer
	opts := Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s := h.login(opts)
	h.trouble(trouble{"change", "expire"}, trouble{"login", "lose"}, trouble{"change", "502"}, trouble{"change", "offline"})
	var said []any
	said = append(said, s.Call(t.Context(), "change", nil, "x"), s.Call(t.Context(), "fail", nil))
	_, err := h.client(opts).LoginPassword(t.Context(), "user", "other-s3cret")
	said = append(said, err, s, struct{ S *Session }{s}, struct{ s Session }{Session{key: newSecret("topsecretkey")}}.s.key,
		LentSession{ID: 1, Key: "topsecretkey"})
	opts.Log.Info("x", "session", s, "lent", LentSession{ID: 1, Key: "topsecretkey"})
	h.Close()
	s.client.opts.RetryFor = -1
	said = append(said, s.Call(t.Context(), "echo", nil))
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range said {
			fmt.Fprintf(&log, format+"\n", v)
		}
	}
	for _, secret := range []string{"topsecretkey", "s3cret"} {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, secret) {
				t.Errorf("%q in %q", secret, line)
			}
		}
	}
}

func TestMultiCall(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	var m MultiCall
	var one, two []any
	m.Add("echo", &one, "a", Named{"k": nil})
	bad := m.Add("noSuchMethod", nil)
	m.Add("echo", &two)
	err := m.Do(t.Context(), s)
	if !errors.Is(err, ErrGeneric) || m.Err(bad) != err || m.Err(0) != nil || m.Err(2) != nil {
		t.Errorf("got %v; %v, %v, %v", err, m.Err(0), m.Err(1), m.Err(2))
	}
	if diff := cmp.Diff([][]any{{"a", map[string]any{"k": nil, "__starstar": true}}, {}}, [][]any{one, two}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := m.Do(t.Context(), s); err == nil {
		t.Error("made twice")
	}
}

func TestFaultClasses(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	err := s.Call(t.Context(), "fail", nil)
	var f *Fault
	if !errors.As(err, &f) || f.Code != ErrPreBuild || f.Message != "no" {
		t.Fatalf("got %v", err)
	}
	for target, want := range map[error]bool{ErrPreBuild: true, ErrBuild: true, ErrGeneric: true, ErrAuth: false, ErrPostBuild: false, ErrUnspecified: false} {
		if errors.Is(err, target) != want {
			t.Errorf("is %v: %v, want %v", target, !want, want)
		}
	}
	if got := (&Fault{Code: 4711, Message: "x"}).Error(); got != "fault 4711: x" {
		t.Errorf("got %q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, bad := range []string{"", "koji.example.org", "ftp://x/", "http://u:s3cret@x/kojihub", "http://x/kojihub?a=b", "http://u:s3cret@x:a/"} {
		_, err := New(bad, Options{})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	c, err := New("http://localhost/kojihub/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.LoginHTTP(t.Context(), func(*http.Request) (func(http.Header) error, error) { return nil, nil }); err == nil {
		t.Error("login by HTTP authorization without TLS")
	}
}

// A hub that has both kinds of addresses sees a session come from one of them.
func TestOneAddress(t *testing.T) {
	h := newFakeHub(t)
	s := h.login(Options{})
	if s.network != "tcp4" {
		t.Fatalf("connected to %s over %q", h.URL, s.network)
	}
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer l.Close()
	if conn, err := s.dial(t.Context(), "tcp", l.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("went over to IPv6")
	}
}
