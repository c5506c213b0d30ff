package koji

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say how a hub is reached. The zero value works.
type Options struct {
	// TLS has the certificate authorities to trust, and more. The client
	// certificate is given at LoginCertificate. nil stands for the system's
	// authorities.
	TLS *tls.Config

	// Proxy returns the HTTP proxy for a request; nil stands for what the
	// environment says (http.ProxyFromEnvironment).
	Proxy func(*http.Request) (*url.URL, error)

	// Network is "tcp4" or "tcp6" where only one of them may be used. Otherwise a
	// session stays with the one of its first connection, because hubs bind
	// sessions to the client's address.
	Network string

	// RequestTimeout bounds one attempt, reply included; 10 minutes unless set.
	// Some calls of the hub take minutes.
	RequestTimeout time.Duration

	// RetryFor is how long a call that gets no answer is tried again, from its
	// first failure on; 10 minutes unless set, negative for not at all. A context's
	// deadline counts, too.
	RetryFor time.Duration

	// OfflineFor is how long a call waits for a hub that says it is offline
	// (Koji's LockOut, or a database outage); RetryFor unless set, negative for not
	// at all.
	OfflineFor time.Duration

	// RetryMin and RetryMax are the shortest and longest pause before another
	// attempt; 1 and 20 seconds unless set. The first one follows at once.
	RetryMin, RetryMax time.Duration

	// MaxReply bounds the size of a reply in bytes; 128 MiB unless set.
	MaxReply int

	// UploadChunk is how much is sent in one request of an upload, in bytes; 1 MiB
	// unless set.
	UploadChunk int

	// Log is told of attempts that failed and of renewed sessions; nil for nobody.
	Log *slog.Logger

	// UserAgent names the program, for the hub's logs; "koji/1 kojimod" unless set.
	UserAgent string
}

// A Client knows a hub and how to reach it. It may be used by several goroutines.
type Client struct {
	hub  *url.URL
	opts Options
	log  *slog.Logger

	files *http.Client // for downloads

	// What tests replace.
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	jitter func() float64 // from 0 to 1
}

// New returns a client of the hub at hubURL, for example
// "https://koji.example.org/kojihub". It does not connect yet.
func New(hubURL string, opts Options) (*Client, error) {
	u, err := url.Parse(hubURL)
	if err != nil {
		return nil, errors.New("koji: the hub's address is not a URL") // err repeats it, a password in it, too
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("koji: the hub's address %q is not like https://HOST/kojihub", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("koji: the hub's address %q has a user in it; log in with LoginPassword", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("koji: the hub's address %q has a query or fragment in it", hubURL)
	}
	switch opts.Network {
	case "", "tcp4", "tcp6":
	default:
		return nil, fmt.Errorf("koji: option Network is %q, not \"tcp4\" or \"tcp6\"", opts.Network)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if opts.OfflineFor == 0 {
		opts.OfflineFor = opts.RetryFor
	}
	setDefault(&opts.RequestTimeout, 10*time.Minute)
	setDefault(&opts.RetryFor, 10*time.Minute)
	setDefault(&opts.OfflineFor, 10*time.Minute)
	setDefault(&opts.RetryMin, time.Second)
	setDefault(&opts.RetryMax, 20*time.Second)
	setDefault(&opts.MaxReply, 128<<20)
	setDefault(&opts.UploadChunk, 1<<20)
	setDefault(&opts.UserAgent, "koji/1 kojimod")
	if opts.Proxy == nil {
		opts.Proxy = http.ProxyFromEnvironment
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{hub: u, opts: opts, log: log, now: time.Now, sleep: sleep, jitter: rand.Float64}
	c.files = c.filesClient()
	return c, nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// String returns the hub's address.
func (c *Client) String() string { return c.hub.String() }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// pause returns how long to wait before an attempt after n failed ones in a row:
// hardly at all before the first, then twice as long each time. Half of it is
// random, so that the clients of a hub that comes back do not come all at once.
func (c *Client) pause(n int) time.Duration {
	if n <= 1 {
		return time.Duration(c.jitter() * float64(c.opts.RetryMin) / 4)
	}
	d := c.opts.RetryMin
	for range n - 1 {
		if d *= 2; d >= c.opts.RetryMax {
			d = c.opts.RetryMax
			break
		}
	}
	return d/2 + time.Duration(c.jitter()*float64(d)/2)
}
