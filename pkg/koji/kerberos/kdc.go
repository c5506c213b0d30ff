package kerberos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"

	"github.com/kojimod/kojimod/internal/safetext"
)

const kdcTimeout = 10 * time.Second // for one KDC

// An exchange asks KDCs. gokrb5's own client has no limits of time and size, and
// renews tickets in goroutines of its own.
type exchange struct {
	conf *settings
	now  func() time.Time
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A kdcError is a KDC's refusal.
type kdcError struct {
	code int32 // RFC 4120, 7.5.9
	text string
	time time.Time // the KDC's
	data []byte
	in   string // the realm of which it knows the client to be
}

func (e *kdcError) Error() string {
	msg := "the KDC says " + strings.TrimSpace(errorcode.Lookup(e.code))
	if e.text != "" {
		msg += " (" + e.text + ")"
	}
	return msg
}

// A silentError says that no KDC of a realm answered.
type silentError struct {
	realm string
	errs  []error
}

func (e *silentError) Error() string {
	return fmt.Sprintf("no KDC of %s answers: %v", safetext.Line(e.realm), errors.Join(e.errs...))
}

func (e *silentError) Unwrap() []error { return e.errs }

func unknownService(err error) bool {
	var k *kdcError
	return errors.As(err, &k) && k.code == errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN
}

// send asks the realm's KDCs, one after the other until one of them answers.
func (x *exchange) send(ctx context.Context, realm string, request []byte) ([]byte, error) {
	addrs, err := x.kdcs(ctx, realm)
	if err != nil {
		return nil, err
	}
	silent := &silentError{realm: realm}
	for _, addr := range addrs {
		reply, err := x.ask(ctx, addr, request)
		if err != nil {
			silent.errs = append(silent.errs, err)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue
		}
		var k messages.KRBError
		if safely(func() error { return k.Unmarshal(reply) }) == nil {
			refusal := &kdcError{code: k.ErrorCode, text: shorten(k.EText), time: k.STime, data: k.EData, in: k.CRealm}
			if k.ErrorCode == errorcode.KDC_ERR_SVC_UNAVAILABLE {
				silent.errs = append(silent.errs, fmt.Errorf("%s: %w", addr, refusal))
				continue
			}
			return nil, refusal
		}
		return reply, nil
	}
	return nil, silent
}

func shorten(s string) string {
	s = safetext.Line(s)
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

// kdcs returns the addresses of a realm's KDCs: those of krb5.conf, or of the DNS.
func (x *exchange) kdcs(ctx context.Context, realm string) ([]string, error) {
	var addrs []string
	proxies := false
	for _, kdc := range x.conf.kdcs[realm] {
		if strings.HasPrefix(strings.ToLower(kdc), "http") && strings.Contains(kdc, "://") {
			proxies = true
			continue
		}
		addrs = append(addrs, withPort(kdc))
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case proxies:
		return nil, fmt.Errorf("the KDCs of %s are behind HTTPS proxies, which cannot be used here: name a KDC in %s", realm, x.conf.files)
	case !x.conf.lookupKDC:
		return nil, fmt.Errorf("no KDC of %s is known: name one under [realms] in %s", realm, x.conf.files)
	}
	ctx, cancel := context.WithTimeout(ctx, kdcTimeout)
	defer cancel()
	_, records, err := net.DefaultResolver.LookupSRV(ctx, "kerberos", "tcp", realm)
	var dns *net.DNSError
	if err != nil && errors.As(err, &dns) && !dns.IsNotFound {
		return nil, &silentError{realm: realm, errs: []error{err}}
	}
	for _, r := range records {
		if host := strings.TrimSuffix(r.Target, "."); host != "" && len(addrs) < 10 {
			addrs = append(addrs, net.JoinHostPort(host, strconv.Itoa(int(r.Port))))
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("no KDC of %s is known, neither in %s nor in the DNS (_kerberos._tcp.%s): name one under [realms]", realm, x.conf.files, realm)
	}
	return addrs, nil
}

func withPort(kdc string) string {
	if _, _, err := net.SplitHostPort(kdc); err == nil {
		return kdc
	}
	return net.JoinHostPort(strings.Trim(kdc, "[]"), "88")
}

// ask sends a request to one KDC (RFC 4120, 7.2.2).
func (x *exchange) ask(ctx context.Context, addr string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kdcTimeout)
	defer cancel()
	conn, err := x.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	fail := func(err error) ([]byte, error) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	framed := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(request)), uint32(len(request)))
	if _, err := conn.Write(append(framed, request...)); err != nil {
		return fail(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fail(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxReply {
		return fail(fmt.Errorf("a reply of %d bytes", n))
	}
	reply := make([]byte, n)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return fail(err)
	}
	return reply, nil
}
