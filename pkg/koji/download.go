package koji

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Want says what a file that is downloaded must be.
type Want struct {
	// Size in bytes; negative where it is not known.
	Size int64

	// MaxSize bounds a file whose size is not known; 4 GiB unless set.
	MaxSize int64

	// Algorithm and Digest are the checksum of the content: "md5", "sha1",
	// "sha256" or "sha512", and hexadecimal digits. Both empty for none.
	Algorithm, Digest string
}

// Download writes the file at address, below a hub's topurl most often, to w. It
// asks again for what is missing when the connection breaks, for Options.RetryFor.
// The error is ErrDigest if the file is not as wanted, ErrNotFound if there is
// none; w may have got some of it then.
func (c *Client) Download(ctx context.Context, w io.Writer, address string, want Want) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("koji: downloading: the address is no URL that begins with http:// or https://")
	}
	d := download{c: c, url: u, w: w, want: want}
	if want.Digest != "" || want.Algorithm != "" {
		if d.sum = newHash(want.Algorithm); d.sum == nil {
			return fmt.Errorf("koji: downloading %s: unknown checksum algorithm %q", u.Redacted(), want.Algorithm)
		}
	}
	setDefault(&d.want.MaxSize, 4<<30)
	if d.want.Size >= 0 {
		d.want.MaxSize = d.want.Size
	}
	err = d.run(ctx)
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return fmt.Errorf("koji: downloading %s: %w", u.Redacted(), err)
	}
	return nil
}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	}
	return nil
}

type download struct {
	c    *Client
	url  *url.URL
	w    io.Writer
	want Want
	sum  hash.Hash
	n    int64  // bytes written
	etag string // of the file that they are of
}

// run asks until the file is complete.
func (d *download) run(ctx context.Context) error {
	var failures int
	var failing time.Time
	for {
		before := d.n
		err := d.attempt(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !passing(err, d.n > 0) {
			return err
		}
		if d.n > before {
			failures = 0
		}
		if failures++; failures == 1 {
			failing = d.c.now()
		}
		pause := d.c.pause(failures)
		if d.c.opts.RetryFor < 0 || d.c.now().Add(pause).Sub(failing) > d.c.opts.RetryFor {
			return err
		}
		d.c.log.LogAttrs(ctx, slog.LevelWarn, "download broke off; going on", slog.String("url", d.url.Redacted()),
			slog.Int64("bytes", d.n), slog.Duration("pause", pause), slog.String("error", err.Error()))
		if err := d.c.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func (d *download) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(downloadIdle, func() { cancel(errIdle) })
	defer idle.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return &finalError{err}
	}
	req.Header.Set("User-Agent", d.c.opts.UserAgent)
	req.Header.Set("Accept-Encoding", "identity") // as stored: sizes and ranges are of that
	if d.n > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(d.n, 10)+"-")
		if d.etag != "" {
			req.Header.Set("If-Range", d.etag)
		}
	}
	resp, err := d.c.files.Do(req)
	if err != nil {
		return withoutURL(ctx, err)
	}
	defer resp.Body.Close()
	body := &watched{r: resp.Body, idle: idle}
	if err := d.position(resp, body); err != nil {
		return err
	}
	return d.copy(body)
}

// downloadIdle is how long a download may stand still.
const downloadIdle = 2 * time.Minute

var errIdle = fmt.Errorf("nothing came for %s", downloadIdle)

// watched puts off the end of a download that goes on.
type watched struct {
	r    io.Reader
	idle *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.idle.Reset(downloadIdle)
	}
	return n, err
}

// position makes sure that what follows in body is what follows in the file.
func (d *download) position(resp *http.Response, body io.Reader) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent && d.n > 0:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(d.n, 10)+"-") {
			return &finalError{fmt.Errorf("asked for bytes from %d on, got %q", d.n, resp.Header.Get("Content-Range"))}
		}
		return nil
	case resp.StatusCode == http.StatusOK:
		if etag := resp.Header.Get("ETag"); d.etag != "" && etag != d.etag {
			return &finalError{errors.New("the file changed while it was downloaded")}
		} else if !strings.HasPrefix(etag, "W/") {
			d.etag = etag
		}
		// A server that does not know ranges sends it all again.
		if n, err := io.CopyN(io.Discard, body, d.n); err != nil {
			return fmt.Errorf("after %d bytes of %d again: %w", n, d.n, err)
		}
		return nil
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone:
		return &finalError{fmt.Errorf("%w (HTTP status %d)", ErrNotFound, resp.StatusCode)}
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && d.n > 0:
		return &finalError{fmt.Errorf("%w: the file has become shorter", ErrDigest)}
	}
	return httpError(resp)
}

// copy writes the rest of the file.
func (d *download) copy(body io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if d.n+int64(n) > d.want.MaxSize {
			return &finalError{fmt.Errorf("%w: more than %d bytes", ErrDigest, d.want.MaxSize)}
		}
		if _, werr := d.w.Write(buf[:n]); werr != nil {
			return &finalError{werr}
		}
		if d.sum != nil {
			d.sum.Write(buf[:n])
		}
		d.n += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (d *download) check() error {
	if d.want.Size >= 0 && d.n != d.want.Size {
		return fmt.Errorf("%w: %d bytes instead of %d", ErrDigest, d.n, d.want.Size)
	}
	if d.sum != nil {
		if got := hex.EncodeToString(d.sum.Sum(nil)); !strings.EqualFold(got, d.want.Digest) {
			return fmt.Errorf("%w: %s is %s instead of %s", ErrDigest, d.want.Algorithm, got, d.want.Digest)
		}
	}
	return nil
}

// filesClient returns the HTTP client for downloads, which follows redirections as
// mirrors make them, but not from https to http.
func (c *Client) filesClient() *http.Client {
	t := &http.Transport{Proxy: c.opts.Proxy, TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: 2 * time.Minute,
		IdleConnTimeout: 60 * time.Second, MaxResponseHeaderBytes: 256 << 10}
	if c.opts.TLS != nil {
		t.TLSClientConfig = c.opts.TLS.Clone()
	}
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return &finalError{errors.New("more than 10 redirections")}
		}
		if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return &finalError{errors.New("redirected from https to " + req.URL.Scheme)}
		}
		return nil
	}}
}
