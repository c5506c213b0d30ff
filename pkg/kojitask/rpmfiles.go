package kojitask

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/kojimod/kojimod/internal/ctxio"
	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/pkg/koji"
)

// An openFile is the beginning of an RPM in Koji's tree.
type openFile struct {
	io.ReadCloser
	name  string   // path or URL
	size  int64    // in bytes; negative where it is not known
	local *os.File // nil where it is read over HTTP
}

// open finds an RPM: in Koji's files on this machine, else on the web.
func (r *rpmReader) open(ctx context.Context, build koji.Build, rpm koji.RPM) (*openFile, error) {
	var local error
	if r.topdir != "" {
		path, err := koji.Paths{Top: r.topdir}.RPM(build, rpm)
		if err != nil {
			return nil, err
		}
		f, err := r.openLocal(ctx, path)
		if err == nil {
			return f, nil
		}
		if r.topurl == "" || ctx.Err() != nil {
			return nil, err
		}
		local = err
	}
	if r.topurl == "" {
		return nil, errors.New("neither topdir nor topurl is set in kojid.conf: packages cannot be read")
	}
	address, err := koji.Paths{Top: r.topurl}.RPM(build, rpm)
	if err != nil {
		return nil, err
	}
	remote, err := newRemoteFile(ctx, r.http, address, r.wait)
	if err == nil {
		err = remote.connect()
	}
	if err != nil {
		if local != nil {
			err = fmt.Errorf("%w (and %w)", err, local)
		}
		return nil, err
	}
	return &openFile{ReadCloser: remote, name: remote.url.Redacted(), size: remote.size}, nil
}

// localAttempts is how often a file is looked for where there is no other way to
// it. A network file system may be late: it remembers for a minute what was not
// there.
const localAttempts = 6

func (r *rpmReader) openLocal(ctx context.Context, path string) (*openFile, error) {
	for n := 1; ; n++ {
		f, info, err := rpmfile.Open(path)
		if err == nil {
			return &openFile{ReadCloser: f, name: path, size: info.Size(), local: f}, nil
		}
		if !errors.Is(err, os.ErrNotExist) || r.topurl != "" || n == localAttempts {
			return nil, err
		}
		if err := pause(ctx, r.wait, n+2); err != nil {
			return nil, err
		}
	}
}

// headers reads what stands before the payload.
func (f *openFile) headers(b *budget) (*rpmfile.Package, error) {
	limited := &io.LimitedReader{R: f.ReadCloser, N: maxHeaders}
	p, err := rpmfile.Read(bufio.NewReaderSize(b.reader(limited), 32<<10))
	if err != nil {
		if limited.N <= 0 {
			return nil, fmt.Errorf("%s: its header is longer than %d bytes", f.name, maxHeaders)
		}
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return p, nil
}

// checksum gives the SHA-256 of the whole file, if that need not be fetched.
func (f *openFile) checksum(ctx context.Context) (string, error) {
	if f.local == nil {
		return "", errors.New("the hub has no SHA-256 of it, and the file is not on this machine: " +
			"mount Koji's topdir on this builder, or see in the hub's log why getRPMChecksums fails")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, ctxio.Reader(ctx, io.NewSectionReader(f.local, 0, f.size))); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// A budget is how much several readers may read together.
type budget struct{ left atomic.Int64 }

func newBudget(n int64) *budget {
	b := &budget{}
	b.left.Store(n)
	return b
}

func (b *budget) reader(r io.Reader) io.Reader { return budgetReader{b, r} }

type budgetReader struct {
	budget *budget
	r      io.Reader
}

func (r budgetReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.budget.left.Add(-int64(n)) < 0 {
		return 0, errors.New("the headers of this build's packages are too long together")
	}
	return n, err
}
