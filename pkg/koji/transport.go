package koji

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// A request is one call, the same however often it is sent.
type request struct {
	method      string // of the hub; "rawUpload" for the content of a file, as in Koji's client
	path        string // to be added to the hub's; "/ssllogin" or empty
	query       url.Values
	contentType string
	body        []byte
	authorize   Authorize    // adds what a login by HTTP needs; may be nil
	http        *http.Client // instead of the session's; may be nil
}

// credentials are what a request is sent with. The zero value is nobody's.
type credentials struct {
	id      int64
	key     secret
	callnum int64 // negative for none
}

// httpClient returns an HTTP client for this session alone. It follows no
// redirection: a POST would become a GET, and another host would get the key.
func (s *Session) httpClient(conf *tls.Config) *http.Client {
	if conf != nil {
		conf = conf.Clone()
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  s.client.opts.Proxy,
			DialContext:            s.dial,
			TLSClientConfig:        conf,
			TLSHandshakeTimeout:    30 * time.Second,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        60 * time.Second,
			MaxResponseHeaderBytes: 256 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial connects, from the second time on over the same version of IP as before:
// the hub refuses a session that comes from another address than its login did.
// Addresses are tried in the resolver's order, one after the other, as Koji's own
// client does, so that a lent session comes from where its lender did.
func (s *Session) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	s.mu.Lock()
	if s.network != "" {
		network = s.network
	}
	s.mu.Unlock()
	d := net.Dialer{Timeout: 30 * time.Second, FallbackDelay: -1}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		s.mu.Lock()
		if s.network == "" {
			s.network = "tcp6"
			if tcp.IP.To4() != nil {
				s.network = "tcp4"
			}
		}
		s.mu.Unlock()
	}
	return conn, nil
}

// send sends a request once. sent reports whether the hub may have got it; err is
// a *xmlrpc.Fault, a *HTTPError, or what the network or the decoder says.
func (s *Session) send(ctx context.Context, r *request, cred credentials) (result any, sent bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.client.opts.RequestTimeout, errAttemptTimeout)
	defer cancel()
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, verify, err := s.newHTTPRequest(traced, r, cred)
	if err != nil {
		return nil, false, err
	}
	client := s.http
	if r.http != nil {
		client = r.http
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, connected.Load(), withoutURL(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, true, httpError(resp)
	}
	if verify != nil {
		if err := verify(resp.Header); err != nil {
			return nil, true, &finalError{fmt.Errorf("verifying the reply to the login: %w", err)}
		}
	}
	s.noteVersion(resp.Header.Get("Koji-Version"))
	limit := s.client.opts.MaxReply
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if err != nil {
		return nil, true, withoutURL(ctx, fmt.Errorf("reading the reply: %w", err))
	}
	result, err = xmlrpc.DecodeResponse(body, xmlrpc.Limits{Bytes: limit})
	return result, true, err
}

var errAttemptTimeout = errors.New("no reply within the time for one attempt")

func (s *Session) newHTTPRequest(ctx context.Context, r *request, cred credentials) (*http.Request, func(http.Header) error, error) {
	u := *s.client.hub
	u.Path += r.path
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, nil, &finalError{err}
	}
	req.Header.Set("Content-Type", r.contentType)
	req.Header.Set("User-Agent", s.client.opts.UserAgent)
	if cred.id != 0 {
		req.Header.Set("Koji-Session-Id", strconv.FormatInt(cred.id, 10))
		req.Header.Set("Koji-Session-Key", cred.key.value())
		if cred.callnum >= 0 {
			num := strconv.FormatInt(cred.callnum, 10)
			req.Header.Set("Koji-Session-Callnum", num)
			// Hubs up to 1.35.3 look for this name, and without it have no
			// protection against a call that is made twice.
			req.Header.Set("Koji-Callnum", num)
		}
	}
	if r.authorize == nil {
		return req, nil, nil
	}
	verify, err := r.authorize(req)
	if err != nil {
		err = fmt.Errorf("authorizing the login: %w", err)
		var t interface{ Temporary() bool }
		if !errors.As(err, &t) || !t.Temporary() {
			err = &finalError{err}
		}
		return nil, nil, err
	}
	return req, verify, nil
}

func (s *Session) noteVersion(v string) {
	if v != "" && len(v) < 100 {
		s.mu.Lock()
		s.hubVersion = v
		s.mu.Unlock()
	}
}

// withoutURL takes the URL off an error of net/http, and has the reason for which
// the context ended instead of "deadline exceeded" where that is ours.
func withoutURL(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if context.Cause(ctx) == errAttemptTimeout {
		return errAttemptTimeout
	}
	return err
}

// httpError makes an error of a reply that is not 200.
func httpError(resp *http.Response) *HTTPError {
	e := &HTTPError{Status: resp.StatusCode}
	if loc := resp.Header.Get("Location"); loc != "" && resp.StatusCode/100 == 3 {
		if u, err := url.Parse(loc); err == nil {
			e.Detail = "redirected to " + u.Redacted() + "; use that address"
		}
		return e
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 2000)) // it is a hint only
	line := strings.Join(strings.Fields(strings.ToValidUTF8(string(b), "?")), " ")
	e.Detail = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, line)
	if runes := []rune(e.Detail); len(runes) > 200 {
		e.Detail = string(runes[:200]) + "…"
	}
	return e
}

// A finalError is one that another attempt does not help against.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// passing reports whether an error of send may go away by itself. Refused
// certificates and names that do not exist do not.
func passing(err error, everConnected bool) bool {
	var (
		status *HTTPError
		limit  *xmlrpc.LimitError
		verify *tls.CertificateVerificationError
		alert  tls.AlertError
		record tls.RecordHeaderError
		dns    *net.DNSError
		final  *finalError
	)
	switch {
	case errors.As(err, &final):
		return false
	case errors.As(err, &status):
		return status.temporary()
	case errors.As(err, &limit), errors.As(err, &verify), errors.As(err, &alert), errors.As(err, &record):
		return false
	case errors.As(err, &dns):
		return everConnected || !dns.IsNotFound
	}
	return true
}
