package repogen

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/kojimod/kojimod/internal/ctxio"
	"github.com/kojimod/kojimod/internal/rpmfile"
)

// readBuffer is large enough that reading costs little beside hashing.
const readBuffer = 256 << 10

// ReadPackage reads the RPM file at path, once from start to end. location is where the
// repository has it, see Package. A file that is no RPM package is a *PackageError.
func ReadPackage(ctx context.Context, path, location string) (Package, error) {
	f, info, err := rpmfile.Open(path)
	if err != nil {
		return Package{}, fmt.Errorf("reading package: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	in := bufio.NewReaderSize(io.TeeReader(ctxio.Reader(ctx, f), sum), readBuffer)
	header, err := rpmfile.Read(in)
	if err != nil {
		if ctx.Err() != nil {
			return Package{}, ctx.Err()
		}
		var bad *rpmfile.Error
		if errors.As(err, &bad) {
			bad.Path = path
			return Package{}, &PackageError{Location: location, Err: err}
		}
		return Package{}, fmt.Errorf("reading package %s: %w", path, err)
	}
	p := Package{
		Header:      header.Raw(),
		HeaderStart: header.HeaderStart,
		HeaderEnd:   header.HeaderEnd,
		ArchiveSize: header.ArchiveSize(),
		Time:        info.ModTime(),
		Location:    location,
	}
	payload, err := discard(in)
	if err != nil {
		return Package{}, fmt.Errorf("reading package %s: %w", path, err)
	}
	p.Size = header.HeaderEnd + payload
	p.Checksum = hex.EncodeToString(sum.Sum(nil))
	return p, nil
}

// discard reads in to its end, and returns how many bytes there were.
func discard(in *bufio.Reader) (int64, error) {
	var total int64
	for {
		n, err := in.Discard(readBuffer)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
