package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kojimod/kojimod/internal/atomicfile"
)

// A location is a place where lookaside files may be: a URL or a directory.
type location struct {
	url *url.URL // http or https; nil for a directory
	dir string
}

func (l location) String() string {
	if l.url == nil {
		return l.dir
	}
	u := *l.url
	u.User = nil // may be a token
	return u.String()
}

func (l location) join(elem ...string) location {
	if l.url == nil {
		return location{dir: filepath.Join(append([]string{l.dir}, elem...)...)}
	}
	u := *l.url
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + strings.Join(elem, "/")
	u.RawPath = ""
	return location{url: &u}
}

// parseLocation reads a lookaside location. Relative directories start at
// baseDir. local says whether a directory may be named at all.
func parseLocation(s, baseDir string, local bool) (location, error) {
	if s == "" || len(s) > maxURL || strings.ContainsFunc(s, isControl) {
		return location{}, errors.New("the lookaside location is empty, too long or has control characters")
	}
	dir := s
	if strings.Contains(s, "://") {
		u, err := url.Parse(s)
		switch {
		case err != nil:
			return location{}, errors.New("the lookaside URL cannot be read")
		case u.RawQuery != "" || u.Fragment != "":
			return location{}, errors.New("the lookaside URL has a query or fragment")
		case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
			return location{url: u}, nil
		case u.Scheme != "file" || u.Host != "" && u.Host != "localhost" || u.Path == "":
			return location{}, errors.New("the lookaside URL must be http, https or file")
		}
		dir = u.Path
	}
	if !local {
		return location{}, fmt.Errorf("a modulemd from elsewhere may not name the directory %q; give --lookaside", dir)
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(baseDir, dir)
	}
	return location{dir: filepath.Clean(dir)}, nil
}

// locations gives where the component's lookaside files may be: the user's
// lookaside before the document's.
func (f *Finder) locations(r Request) ([]location, error) {
	var all []location
	if f.Lookaside != "" {
		cwd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		base, err := parseLocation(f.Lookaside, cwd, true)
		if err != nil {
			return nil, badInput("", "", "--lookaside", err)
		}
		for _, name := range r.own() {
			all = append(all, base.join(name))
		}
		all = append(all, base)
	}
	if r.Cache != "" {
		base, err := parseLocation(r.Cache, r.BaseDir, !r.Remote)
		if err != nil {
			return nil, badInput("", "", "cache", err)
		}
		all = append(all, base)
	}
	return all, nil
}

// candidates gives where in the locations the file may be, in the layouts that
// lookaside caches have: with the kind of checksum, the older without, and plain.
func (f File) candidates(bases []location) []location {
	var hashed, plain []location
	for _, b := range bases {
		hashed = append(hashed, b.join(f.Name, f.Type, f.Hash, f.Name), b.join(f.Name, f.Hash, f.Name))
		plain = append(plain, b.join(f.Name))
	}
	return append(hashed, plain...)
}

// lookaside gives the path of a verified copy of the file in the work directory,
// downloading it unless it is there from an earlier run.
func (f *Finder) lookaside(ctx context.Context, file File, bases []location) (string, error) {
	g, err := f.git() // its directory is known to exist and to be ours
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(g.dir), "lookaside", file.Type, file.Hash)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	lock, err := lockFile(ctx, filepath.Join(dir, ".lock"), f.log())
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := atomicfile.Sweep(dir); err != nil {
		return "", err
	}
	// Named for nothing but its content: the file's own name could be .lock.
	dst := filepath.Join(dir, "content")
	if old, err := os.Open(dst); err == nil {
		h := file.newHash()
		_, err = io.Copy(h, old)
		old.Close()
		if err == nil && file.verify(h, dst) == nil {
			return dst, nil
		}
		f.log().Warn("a damaged download is made anew", "file", file.Name)
	}
	return dst, f.download(ctx, file, file.candidates(bases), dst)
}

// download tries the candidates in order until one has the file.
func (f *Finder) download(ctx context.Context, file File, from []location, dst string) error {
	var tried []string
	var wrong error // the first that was something else
	for _, loc := range from {
		err := f.attempt(ctx, file, loc, dst)
		var absent *absentError
		switch {
		case err == nil:
			f.log().Info("fetched", "file", file.Name, "from", loc.String())
			return nil
		case !errors.As(err, &absent) && !IsBadInput(err):
			return err
		case absent == nil:
			// Not what is wanted: some caches answer with a page of theirs. Another
			// location may have it.
			if wrong == nil {
				wrong = err
			}
			continue
		}
		tried = append(tried, fmt.Sprintf("\n  %s (%s)", loc, absent.why))
	}
	if wrong != nil {
		return wrong
	}
	return badInput("", "", fmt.Sprintf("sources line %d: %s is in none of the lookaside locations:%s",
		file.Line, file.Name, strings.Join(tried, "")), nil)
}

// absentError says that a location does not have the file.
type absentError struct{ why string }

func (e *absentError) Error() string { return e.why }

// transientError is a failure that may pass.
type transientError struct{ err error }

func (e *transientError) Error() string { return e.err.Error() }
func (e *transientError) Unwrap() error { return e.err }

// attempt fetches the file from one location, again after failures that may pass.
func (f *Finder) attempt(ctx context.Context, file File, from location, dst string) error {
	retries, pause := f.Retries, f.Backoff
	if retries == 0 {
		retries = defaultRetries
	}
	if pause <= 0 {
		pause = defaultBackoff
	}
	for n := 0; ; n++ {
		err := f.fetchOnce(ctx, file, from, dst)
		var transient *transientError
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.As(err, &transient) {
			return err
		}
		if n >= retries {
			return &Error{Subject: from.String(), Msg: fmt.Sprintf("cannot fetch %s", file.Name), Err: transient.err}
		}
		f.log().Warn("a download is tried again", "url", from.String(), "error", transient.err, "after", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (f *Finder) fetchOnce(ctx context.Context, file File, from location, dst string) (err error) {
	stall := f.Stall
	if stall <= 0 {
		stall = defaultStall
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer timer.Stop()

	body, err := f.open(ctx, from)
	if err != nil {
		return err
	}
	defer body.Close()
	out, err := atomicfile.Create(dst, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	h := file.newHash()
	source := readerFunc(func(p []byte) (int, error) {
		n, err := body.Read(p)
		timer.Reset(stall)
		if err != nil && err != io.EOF {
			if errors.Is(context.Cause(ctx), errStalled) {
				err = fmt.Errorf("%w for %v", errStalled, stall)
			}
			err = &transientError{err}
		}
		return n, err
	})
	if err := copyBounded(io.MultiWriter(out, h), source, f.maxSize(), from.String()); err != nil {
		return err
	}
	if err := file.verify(h, from.String()); err != nil {
		return err
	}
	return out.Commit()
}

// open starts reading from a location.
func (f *Finder) open(ctx context.Context, from location) (io.ReadCloser, error) {
	if from.url == nil {
		return openLocal(from.dir)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.url.String(), nil)
	if err != nil {
		return nil, errors.New("the lookaside URL cannot be used")
	}
	client := f.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	// Asked for as it is: a server that compresses on the way would otherwise
	// have a .tar.gz unpacked for us.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		var inner *url.Error // has the URL, and so perhaps a token, in it
		if errors.As(err, &inner) {
			err = inner.Err
		}
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		return nil, &transientError{err}
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	resp.Body.Close()
	status := fmt.Sprintf("HTTP status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
		return nil, &transientError{errors.New(status)}
	}
	return nil, &absentError{status}
}

func openLocal(path string) (io.ReadCloser, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, &absentError{"no such file"}
	}
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, &absentError{"not a file"}
	}
	return file, nil
}

// copyBounded copies at most limit bytes; more is an error that names from.
func copyBounded(w io.Writer, r io.Reader, limit int64, from string) error {
	n, err := io.Copy(w, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = badInput("", from, fmt.Sprintf("is larger than %d bytes", limit), nil)
	}
	return err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
