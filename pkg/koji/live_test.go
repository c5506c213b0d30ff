package koji

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"
)

// live returns a client of the hub that the environment names, or skips the test.
// It is a hub for testing: tasks and uploads are made there.
//
//	KOJI_TEST_HUB       its address
//	KOJI_TEST_USER      a user that logs in by password, an administrator best
//	KOJI_TEST_PASSWORD
//
// Single tests need more, and say so:
//
//	KOJI_TEST_FILES     the topurl
//	KOJI_TEST_TARGET    a build target whose tags have builds
//	KOJI_TEST_TLS_HUB, KOJI_TEST_CERT, KOJI_TEST_CA
//	KOJI_TEST_RENEWAL   the hub's SessionRenewalTimeout, in minutes
//
// Logins by Kerberos are tested in package kerberos.
func live(t *testing.T) (c *Client, user, password string) {
	t.Helper()
	hub := os.Getenv("KOJI_TEST_HUB")
	user, password = os.Getenv("KOJI_TEST_USER"), os.Getenv("KOJI_TEST_PASSWORD")
	if hub == "" || user == "" || password == "" {
		t.Skip("KOJI_TEST_HUB, KOJI_TEST_USER and KOJI_TEST_PASSWORD do not name a Koji to test against")
	}
	c, err := New(hub, Options{RetryFor: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c, user, password
}

func liveSession(t *testing.T) *Session {
	t.Helper()
	c, user, password := live(t)
	s, err := c.LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Logout(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestLiveLogin(t *testing.T) {
	c, user, password := live(t)
	s := liveSession(t)
	var me struct {
		Name string `xmlrpc:"name"`
	}
	if err := s.Call(t.Context(), "getLoggedInUser", &me); err != nil || me.Name != user {
		t.Errorf("logged in as %q, %v", me.Name, err)
	}
	t.Logf("%v, Koji %q", s, s.HubVersion())

	if _, err := c.LoginPassword(t.Context(), user, password+"x"); !errors.Is(err, ErrAuth) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := s.Call(t.Context(), "noSuchMethod", nil); !errors.Is(err, ErrGeneric) {
		t.Errorf("a method that does not exist: %v", err)
	}
	if err := s.Call(t.Context(), "getTag", nil, 1, 2, 3, 4, 5, 6, 7); !errors.Is(err, ErrParameter) {
		t.Errorf("too many parameters: %v", err)
	}
	var echo []any
	if err := s.Call(t.Context(), "echo", &echo, nil, "", "ä<&>\r\n", int64(1)<<40, true, 0.5); err != nil {
		t.Fatal(err)
	}
	want := []any{nil, "", "ä<&>\r\n", int64(1) << 40, true, 0.5}
	for i := range want {
		// The hub writes carriage returns plainly, and they come back as line feeds.
		if got := echo[i]; got != want[i] && got != "ä<&>\n" {
			t.Errorf("echo %d: got %#v, want %#v", i, got, want[i])
		}
	}
	var m MultiCall
	var tag *Tag
	var words []string
	m.Add("getTag", &tag, "no-such-tag", Named{"strict": false})
	bad := m.Add("getTag", nil, "no-such-tag", Named{"strict": true})
	m.Add("echo", &words, "a")
	if err := m.Do(t.Context(), s); !errors.Is(err, ErrGeneric) || m.Err(bad) != err || m.Err(0) != nil || tag != nil || len(words) != 1 {
		t.Errorf("several calls at once: %v; %v, %v", err, tag, words)
	}
	sub, err := s.Subsession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if sub.ID() == s.ID() {
		t.Error("a subsession with its master's id")
	}
	if err := sub.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Call(t.Context(), "echo", nil); err != nil {
		t.Errorf("after the subsession's logout: %v", err)
	}
}

func TestLiveReplay(t *testing.T) {
	c, user, password := live(t)
	s, err := c.LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	loan := LentSession{ID: s.id, Key: s.key.value(), Callnum: 1000}
	s.mu.Unlock()
	borrowed, err := c.Lent(loan)
	if err != nil {
		t.Fatal(err)
	}
	// A call that changes something, and a lower number after it.
	if err := borrowed.Call(t.Context(), "subsession", nil); err != nil {
		t.Fatal(err)
	}
	again, err := c.Lent(loan)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Call(t.Context(), "subsession", nil); !errors.Is(err, ErrSessionLost) || !errors.Is(err, ErrRetry) {
		t.Errorf("a number that is taken: %v", err)
	}
	if err := borrowed.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Call(t.Context(), "echo", nil); !errors.Is(err, ErrSessionLost) {
		t.Errorf("a lender that does not count on: %v", err)
	}
	s.mu.Lock()
	s.next = borrowed.Callnum() + 1000
	s.mu.Unlock()
	if err := s.Call(t.Context(), "echo", nil); err != nil {
		t.Errorf("a lent session must not be logged out: %v", err)
	}
	if err := s.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	late, err := c.Lent(loan)
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Call(t.Context(), "echo", nil); !errors.Is(err, ErrSessionLost) {
		t.Errorf("lent, and logged out by its owner: %v", err)
	}
}

// TestLiveCertificate needs KOJI_TEST_TLS_HUB, KOJI_TEST_CERT (certificate and key
// in one PEM file) and KOJI_TEST_CA.
func TestLiveCertificate(t *testing.T) {
	hub, file, ca := os.Getenv("KOJI_TEST_TLS_HUB"), os.Getenv("KOJI_TEST_CERT"), os.Getenv("KOJI_TEST_CA")
	if hub == "" || file == "" || ca == "" {
		t.Skip("KOJI_TEST_TLS_HUB, KOJI_TEST_CERT and KOJI_TEST_CA do not name a Koji to log in to by certificate")
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s", ca)
	}
	cert, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(hub, Options{TLS: &tls.Config{RootCAs: pool}, RetryFor: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.LoginCertificate(t.Context(), cert)
	if err != nil {
		t.Fatal(err)
	}
	var me struct {
		Name string `xmlrpc:"name"`
	}
	if err := s.Call(t.Context(), "getLoggedInUser", &me); err != nil || me.Name == "" {
		t.Errorf("logged in as %q, %v", me.Name, err)
	}
	t.Logf("%s: %v", me.Name, s)
	if err := s.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	strict, err := New(hub, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var call *CallError
	if _, err := strict.LoginCertificate(t.Context(), cert); !errors.As(err, &call) || call.Attempts != 1 {
		t.Errorf("a server that nobody vouches for must be refused at once: %v", err)
	}
}

// TestLiveRenewal waits until the session has expired, twice.
func TestLiveRenewal(t *testing.T) {
	minutes, err := strconv.Atoi(os.Getenv("KOJI_TEST_RENEWAL"))
	if err != nil || minutes < 1 {
		t.Skip("KOJI_TEST_RENEWAL does not give the hub's SessionRenewalTimeout in minutes")
	}
	c, user, password := live(t)
	lender := liveSession(t)
	loan, err := c.Lent(LentSession{ID: lender.ID(), Key: lender.key.value(), Callnum: lender.Callnum() + 100})
	if err != nil {
		t.Fatal(err)
	}
	exclusive, err := c.LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	s := liveSession(t)
	for round := range 2 {
		// Calls that change something, so that the hub stores their numbers.
		for range 3 {
			if err := s.Call(t.Context(), "subsession", nil); err != nil {
				t.Fatal(err)
			}
		}
		id, num, key := s.ID(), s.Callnum(), s.key.value()
		time.Sleep(time.Duration(minutes)*time.Minute + 5*time.Second)
		if err := s.Call(t.Context(), "subsession", nil); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if s.ID() != id || s.Callnum() != num+1 || s.key.value() == key {
			t.Errorf("round %d: session %d, was %d; call %d, was %d; same key: %v", round, s.ID(), id, s.Callnum(), num, s.key.value() == key)
		}
	}
	err = loan.Call(t.Context(), "subsession", nil)
	if !errors.Is(err, ErrSessionLost) || !errors.Is(err, ErrAuthExpired) {
		t.Errorf("a lent session that has expired: %v", err)
	}
	// Its lender renews it.
	lender.next = loan.Callnum() + 100
	if err := lender.Call(t.Context(), "subsession", nil); err != nil {
		t.Errorf("the lender: %v", err)
	}
	if err := exclusive.Exclusive(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Duration(minutes)*time.Minute + 5*time.Second)
	if err := exclusive.Call(t.Context(), "getLoggedInUser", nil); err != nil {
		t.Errorf("an exclusive session: %v", err)
	}
	if err := s.Call(t.Context(), "getLoggedInUser", nil); !errors.Is(err, ErrAuthLock) {
		t.Errorf("beside an exclusive session: %v", err)
	}
	if err := exclusive.Logout(t.Context()); err != nil {
		t.Error(err)
	}
}
