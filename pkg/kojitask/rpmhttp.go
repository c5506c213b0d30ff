package kojitask

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// newFilesClient makes an HTTP client for Koji's files. It does not follow from
// https to http. It has one connection: where files come from the hub's own Apache,
// which has a process for each and not many, a new one may have to wait for seconds
// until Apache has had enough of somebody else's idle one, or of ours.
func newFilesClient(config *tls.Config) *http.Client {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 30 * time.Second,
		ResponseHeaderTimeout: time.Minute, IdleConnTimeout: time.Second, MaxResponseHeaderBytes: 256 << 10,
		MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true}
	t.TLSClientConfig = config.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than 10 redirections")
		}
		if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return errors.New("redirected from https to " + req.URL.Scheme)
		}
		return nil
	}}
}

// A remoteFile reads a file on the web from its beginning, in pieces: a reader that
// stops has fetched little more than it has read. It goes on after failures where
// it was. A server that knows no ranges sends everything, of which the rest is
// dropped with the connection.
type remoteFile struct {
	ctx    context.Context
	client *http.Client
	url    *url.URL
	wait   func(int) time.Duration

	size     int64 // of the file; -1 where the server does not say
	offset   int64 // of the next byte
	piece    int64 // how much to ask for
	body     io.ReadCloser
	left     int64 // of body; -1 where that is not known
	failures int   // in a row
	cancel   context.CancelFunc
}

const (
	firstPiece   = 64 << 10 // more than most packages have before the payload
	largestPiece = 1 << 20
	pieceTimeout = 2 * time.Minute
	maxAttempts  = 10
	shortestWait = 250 * time.Millisecond
	longestWait  = 20 * time.Second
)

// errBadFile marks what another attempt would not mend.
var errBadFile = errors.New("it cannot be read")

func newRemoteFile(ctx context.Context, client *http.Client, address string, wait func(int) time.Duration) (*remoteFile, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("topurl is no URL that begins with http:// or https://")
	}
	return &remoteFile{ctx: ctx, client: client, url: u, wait: wait, size: -1, piece: firstPiece}, nil
}

// connect asks for the first piece, which tells whether the file is there and how
// long it is.
func (f *remoteFile) connect() error {
	for {
		err := f.request()
		if err == nil {
			return nil
		}
		if err := f.again(err); err != nil {
			return err
		}
	}
}

func (f *remoteFile) Read(p []byte) (int, error) {
	for {
		if f.body == nil {
			if f.size >= 0 && f.offset >= f.size {
				return 0, io.EOF
			}
			if err := f.connect(); err != nil {
				return 0, err
			}
		}
		n, err := f.body.Read(p)
		if n > 0 {
			f.failures = 0
			f.offset += int64(n)
			f.left -= int64(n)
			return n, nil
		}
		if err == nil {
			continue
		}
		f.drop()
		switch {
		case err == io.EOF && f.left == 0: // the piece is complete
			f.piece = min(2*f.piece, largestPiece)
		case err == io.EOF && f.left < 0 && f.size < 0: // nobody said how long it is
			return 0, io.EOF
		default:
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if err := f.again(err); err != nil {
				return 0, err
			}
		}
	}
}

// again waits before the next attempt, or gives the error that ends it all.
func (f *remoteFile) again(err error) error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	if f.failures++; errors.Is(err, errBadFile) || f.failures >= maxAttempts {
		return fmt.Errorf("reading %s: %w", f.url.Redacted(), err)
	}
	return pause(f.ctx, f.wait, f.failures)
}

// request asks for the next piece.
func (f *remoteFile) request() error {
	ctx, cancel := context.WithTimeout(f.ctx, pieceTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url.String(), nil)
	if err != nil {
		cancel()
		return fmt.Errorf("%w: the address is no URL", errBadFile)
	}
	req.Header.Set("User-Agent", "kojimod/1")
	req.Header.Set("Accept-Encoding", "identity") // ranges are of the file as it is
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", f.offset, f.offset+f.piece-1))
	resp, err := f.client.Do(req)
	if err != nil {
		cancel()
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which may have a password in it
		}
		return err
	}
	f.body, f.cancel = resp.Body, cancel
	if err := f.accept(resp); err != nil {
		f.drop()
		return err
	}
	return nil
}

// accept brings the reply's body to where the file is to be read on.
func (f *remoteFile) accept(resp *http.Response) error {
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return fmt.Errorf("%w: the server sends it packed with %.40q", errBadFile, e)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusPartialContent:
		first, last, total, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || first != f.offset || last < first {
			return fmt.Errorf("%w: asked for bytes from %d on, got %.80q", errBadFile, f.offset, resp.Header.Get("Content-Range"))
		}
		f.left = last - first + 1
		return f.sized(total)
	case code == http.StatusOK:
		f.left = resp.ContentLength
		if err := f.sized(resp.ContentLength); err != nil {
			return err
		}
		n, err := io.CopyN(io.Discard, resp.Body, f.offset)
		if f.left >= 0 {
			f.left -= n
		}
		return err
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%w: HTTP status %d: %w", errBadFile, code, fs.ErrNotExist)
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return fmt.Errorf("HTTP status %d", code)
	default:
		return fmt.Errorf("%w: HTTP status %d", errBadFile, code)
	}
}

// sized takes note of the file's size, which must stay the same.
func (f *remoteFile) sized(size int64) error {
	if size < 0 {
		return nil
	}
	if f.size >= 0 && f.size != size {
		return fmt.Errorf("%w: it had %d bytes before and has %d now", errBadFile, f.size, size)
	}
	f.size = size
	return nil
}

// contentRange reads "bytes FIRST-LAST/TOTAL", where "*" stands for a total that is
// not known.
func contentRange(s string) (first, last, total int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, size, ok2 := strings.Cut(s, "/")
	from, to, ok3 := strings.Cut(span, "-")
	number := func(s string) int64 {
		n, err := strconv.ParseUint(s, 10, 62)
		ok = ok && err == nil
		return int64(n)
	}
	ok = ok && ok2 && ok3
	first, last, total = number(from), number(to), -1
	if size != "*" {
		total = number(size)
	}
	return first, last, total, ok && (total < 0 || last < total)
}

// drop ends the present request. What is left of a piece is read, so that the
// connection can be used again.
func (f *remoteFile) drop() {
	if f.body == nil {
		return
	}
	if f.left >= 0 && f.left <= firstPiece {
		_, _ = io.CopyN(io.Discard, f.body, firstPiece+1)
	}
	f.body.Close()
	f.cancel()
	f.body = nil
}

func (f *remoteFile) Close() error {
	f.drop()
	return nil
}

// pauseAfter is how long to wait after n failed attempts: twice as long each time,
// half of it random, so that not all come back at once.
func pauseAfter(n int) time.Duration {
	d := longestWait
	if n < 8 {
		d = min(d, shortestWait<<n)
	}
	return d/2 + rand.N(d/2)
}

func pause(ctx context.Context, wait func(int) time.Duration, n int) error {
	if wait == nil {
		wait = pauseAfter
	}
	t := time.NewTimer(wait(n))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
