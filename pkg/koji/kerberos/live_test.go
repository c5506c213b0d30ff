package kerberos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kojimod/kojimod/pkg/koji"
)

// liveClient returns a client of the hub that the environment names, or skips the
// test:
//
//	KOJI_TEST_KRB_HUB    its address, https://…
//	KOJI_TEST_KEYTAB     a keytab, and
//	KOJI_TEST_PRINCIPAL  whose key in it is used
//	KOJI_TEST_CA         the certificate authority, unless it is one of the system's
//	KRB5_CONFIG          as always
func liveClient(t *testing.T) (c *koji.Client, keytab, principal string) {
	t.Helper()
	hub := os.Getenv("KOJI_TEST_KRB_HUB")
	keytab, principal = os.Getenv("KOJI_TEST_KEYTAB"), os.Getenv("KOJI_TEST_PRINCIPAL")
	if hub == "" || keytab == "" || principal == "" {
		t.Skip("KOJI_TEST_KRB_HUB, KOJI_TEST_KEYTAB and KOJI_TEST_PRINCIPAL do not name a Koji to log in to by Kerberos")
	}
	conf := &tls.Config{}
	if ca := os.Getenv("KOJI_TEST_CA"); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			t.Fatalf("no certificate in %s", ca)
		}
	}
	c, err := koji.New(hub, koji.Options{TLS: conf, RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c, keytab, principal
}

// logsIn logs in and out again.
func logsIn(t *testing.T, c *koji.Client, opts Options, principal string) {
	t.Helper()
	s, err := Login(t.Context(), c, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Logout(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	var me struct {
		Name string `xmlrpc:"name"`
	}
	if err := s.Call(t.Context(), "getLoggedInUser", &me); err != nil || me.Name == "" {
		t.Fatalf("logged in as %q, %v", me.Name, err)
	}
	if name, _, _ := strings.Cut(principal, "@"); me.Name != name {
		t.Logf("%s is the user %s", principal, me.Name)
	}
}

func TestLiveKeytab(t *testing.T) {
	c, keytab, principal := liveClient(t)
	logsIn(t, c, Options{Keytab: keytab, Principal: principal}, principal)
	logsIn(t, c, Options{Keytab: "FILE:" + keytab}, principal)
}

// TestLiveRenewal waits until the session has expired; KOJI_TEST_RENEWAL is the hub's
// SessionRenewalTimeout in minutes.
func TestLiveRenewal(t *testing.T) {
	minutes, err := strconv.Atoi(os.Getenv("KOJI_TEST_RENEWAL"))
	if err != nil || minutes < 1 {
		t.Skip("KOJI_TEST_RENEWAL does not give the hub's SessionRenewalTimeout in minutes")
	}
	c, keytab, principal := liveClient(t)
	s, err := Login(t.Context(), c, Options{Keytab: keytab, Principal: principal})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := s.ID()
	time.Sleep(time.Duration(minutes)*time.Minute + 5*time.Second)
	if err := s.Call(t.Context(), "getLoggedInUser", nil); err != nil || s.ID() != id {
		t.Errorf("session %d, was %d: %v", s.ID(), id, err)
	}
	if err := s.Logout(context.Background()); err != nil {
		t.Error(err)
	}
}

func kinit(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("kinit"); err != nil {
		t.Skip("kinit is not installed")
	}
	if out, err := exec.Command("kinit", args...).CombinedOutput(); err != nil {
		t.Fatalf("kinit %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestLiveCache(t *testing.T) {
	c, keytab, principal := liveClient(t)
	path := filepath.Join(t.TempDir(), "cache")
	kinit(t, "-c", path, "-k", "-t", keytab, principal)
	t.Setenv("KRB5CCNAME", "FILE:"+path)
	logsIn(t, c, Options{}, principal)
	logsIn(t, c, Options{Principal: principal}, principal)
	if _, err := Login(t.Context(), c, Options{Principal: "somebody"}); err == nil || !strings.Contains(err.Error(), "it has tickets of "+principal) {
		t.Errorf("tickets of somebody else: %v", err)
	}
	if _, err := exec.LookPath("kvno"); err == nil {
		// With a ticket for the hub in the cache no KDC is asked.
		host := "HTTP/" + liveHost()
		if out, err := exec.Command("kvno", "-c", path, host).CombinedOutput(); err != nil {
			t.Fatalf("kvno %s: %v\n%s", host, err, out)
		}
		conf := filepath.Join(t.TempDir(), "krb5.conf")
		text := "[libdefaults]\ndns_lookup_kdc = no\ndns_canonicalize_hostname = no\n"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		logsIn(t, c, Options{Config: conf}, principal)
	}
}

func liveHost() string {
	host := strings.TrimPrefix(os.Getenv("KOJI_TEST_KRB_HUB"), "https://")
	host, _, _ = strings.Cut(host, "/")
	host, _, _ = strings.Cut(host, ":")
	return host
}

func TestLiveExpired(t *testing.T) {
	c, keytab, principal := liveClient(t)
	path := filepath.Join(t.TempDir(), "cache")
	kinit(t, "-l", "1s", "-c", path, "-k", "-t", keytab, principal)
	time.Sleep(1100 * time.Millisecond)
	_, err := Login(t.Context(), c, Options{CCache: path})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "has expired") || e.Remedy != "run kinit" {
		t.Errorf("an expired ticket: %v", err)
	}
}

func TestLiveRefusals(t *testing.T) {
	c, keytab, principal := liveClient(t)
	name, _, _ := strings.Cut(principal, "@")
	conf := os.Getenv("KRB5_CONFIG")
	tests := map[string]struct {
		opts Options
		want string
	}{
		"a hub of another name":       {Options{Keytab: keytab, Principal: principal, Host: "other.example.org"}, "the hub is known to Kerberos by another name"},
		"a principal without a key":   {Options{Keytab: keytab, Principal: name + "x"}, "it has no key of"},
		"a realm without a key":       {Options{Keytab: keytab, Principal: name + "@OTHER.EXAMPLE.ORG"}, "it has no key of"},
		"no keytab":                   {Options{Keytab: keytab + ".missing"}, "no such file"},
		"a keytab that is none":       {Options{Keytab: conf}, "not a keytab"},
		"a cache that is none":        {Options{CCache: keytab}, "not a ticket cache"},
		"a cache of the kernel":       {Options{CCache: "KEYRING:persistent:0"}, "only caches in files can be read"},
		"a configuration that is not": {Options{Keytab: keytab, Config: conf + ".missing"}, "no such file"},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			s, err := Login(t.Context(), c, test.opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v; want %q", s, err, test.want)
			}
			t.Log(err)
		})
	}
}
