// Package kerberos logs in to a Koji hub by Kerberos, with a ticket from a ticket
// cache or a keytab, and without the C libraries:
//
//	session, err := kerberos.Login(ctx, client, kerberos.Options{})
//
// The hub has to prove its identity, too, as Koji's own client demands. Files are
// found as MIT Kerberos finds them: krb5.conf by KRB5_CONFIG, with include and
// includedir; the ticket cache by KRB5CCNAME and default_ccache_name. Caches other
// than FILE cannot be read, KDCs are asked over TCP, and not through an HTTPS proxy.
//
// Files and replies are checked here before gokrb5, which does the cryptography and
// knows the messages, sees them.
package kerberos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kojimod/kojimod/pkg/koji"
)

// Options say whose ticket is used. The zero value takes the ticket that kinit got.
type Options struct {
	// Keytab is the path of a file with keys, used instead of a ticket cache.
	Keytab string

	// Principal is who logs in, for example "packager" or
	// "compose/koji.example.org@EXAMPLE.ORG"; empty for the one of the cache, or of
	// the keytab's first entry.
	Principal string

	// CCache is the ticket cache, "FILE:/path" or "/path"; empty for that of the
	// environment.
	CCache string

	// Config is the path of krb5.conf; empty for that of the environment.
	Config string

	// Host is the name in the hub's principal, HTTP/Host; empty for that of the
	// hub's address, made canonical as krb5.conf wants.
	Host string
}

// An Error says what could not be done, why, and what may help.
type Error struct {
	Op     string // for example "reading the ticket cache /tmp/krb5cc_1000"
	Err    error
	Remedy string // may be empty
}

func (e *Error) Error() string {
	if e.Remedy == "" {
		return fmt.Sprintf("kerberos: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("kerberos: %s: %v; %s", e.Op, e.Err, e.Remedy)
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether it may go away by itself: no KDC answered.
func (e *Error) Temporary() bool {
	var silent *silentError
	return errors.As(e.Err, &silent)
}

// Login logs in to the hub of c, over https:// only. The session is renewed with
// what the ticket cache or the keytab has by then.
func Login(ctx context.Context, c *koji.Client, opts Options) (*koji.Session, error) {
	l := &login{opts: opts, env: systemEnvironment(), now: time.Now}
	s, err := c.LoginHTTP(ctx, l.authorize)
	var status *koji.HTTPError
	if errors.As(err, &status) && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden) {
		return nil, &Error{Op: "showing the ticket to the hub", Err: err,
			Remedy: "see that both clocks agree, that the hub's keytab has this HTTP/ principal with its newest key, and what the log of its web server says"}
	}
	return s, err
}

type login struct {
	opts Options
	env  environment
	now  func() time.Time
}

// authorize is a koji.Authorize.
func (l *login) authorize(r *http.Request) (verify func(http.Header) error, err error) {
	ctx := r.Context()
	conf, err := l.config()
	if err != nil {
		return nil, err
	}
	x := &exchange{conf: conf, now: l.now, dial: (&net.Dialer{Timeout: kdcTimeout}).DialContext}
	from, err := l.credentials(ctx, x)
	if err != nil {
		return nil, err
	}
	var cred *credential
	for i, host := range l.hosts(ctx, conf, r.URL.Hostname()) {
		spn := principal{name: []string{"HTTP", host}, kind: hostService}
		var again error
		cred, again = l.serviceTicket(ctx, x, from, spn, conf.realmOf(host))
		if i == 0 {
			err = again
		}
		if again == nil {
			err = nil
			break
		}
		if !unknownService(again) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	token, verify, err := negotiate(cred, l.now())
	if err != nil {
		return nil, &Error{Op: "making a token for " + cred.server.String(), Err: err}
	}
	r.Header.Set("Authorization", "Negotiate "+token)
	return verify, nil
}

// credentials returns what tickets are asked for with: the credentials of the
// cache, or a new ticket-granting ticket for the keytab's key.
func (l *login) credentials(ctx context.Context, x *exchange) ([]*credential, error) {
	if l.opts.Keytab == "" {
		return l.cached(x.conf)
	}
	path, err := filePath(l.opts.Keytab)
	op := "reading the keytab " + l.opts.Keytab
	if err != nil {
		return nil, &Error{Op: op, Err: err, Remedy: "only keytabs in files can be read: give a path"}
	}
	keys, err := readKeytab(path)
	if err != nil {
		return nil, &Error{Op: op, Err: err, Remedy: "ask for a keytab made by ktadd, ipa-getkeytab or ktpass, readable by you alone"}
	}
	client, err := choosePrincipal(l.opts.Principal, keys, x.conf.defaultRealm)
	if err != nil {
		return nil, &Error{Op: op, Err: err, Remedy: "klist -k lists its principals"}
	}
	tgt, err := x.initial(ctx, client, keys)
	if err != nil {
		return nil, err
	}
	return []*credential{tgt}, nil
}

// serviceTicket returns a ticket for spn: one that is there already, or one that
// the KDCs give.
func (l *login) serviceTicket(ctx context.Context, x *exchange, from []*credential, spn principal, realm string) (*credential, error) {
	for _, c := range from {
		if c.server.sameName(spn) && (realm == "" || c.server.realm == realm) && l.now().Before(c.end.Add(-time.Minute)) {
			return c, nil
		}
	}
	for _, c := range from {
		if c.server.isTGT(c.client.realm) && c.server.realm == c.client.realm {
			return x.service(ctx, c, spn, realm)
		}
	}
	return nil, &Error{Op: "looking for a ticket", Err: fmt.Errorf("there is none for %s, and none to get one with", spn), Remedy: "run kinit"}
}

// hosts returns the names by which the hub may be known to Kerberos, best first.
func (l *login) hosts(ctx context.Context, conf *settings, host string) []string {
	if l.opts.Host != "" {
		return []string{strings.ToLower(l.opts.Host)}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if net.ParseIP(host) != nil && !conf.rdns || conf.canonHost == canonNever {
		return []string{host}
	}
	canon := canonical(ctx, host, conf.rdns)
	switch {
	case canon == host:
		return []string{host}
	case conf.canonHost == canonFallback:
		return []string{host, canon}
	}
	return []string{canon}
}

// canonical returns what the resolver calls host, or host itself when it says
// nothing, as MIT Kerberos does.
func canonical(ctx context.Context, host string, rdns bool) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tidy := func(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
	name := host
	if c, err := net.DefaultResolver.LookupCNAME(ctx, host); err == nil && c != "" {
		name = tidy(c)
	}
	if !rdns {
		return name
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil || len(addrs) == 0 {
		return name
	}
	if names, err := net.DefaultResolver.LookupAddr(ctx, addrs[0]); err == nil && len(names) > 0 {
		return tidy(names[0])
	}
	return name
}
