package rpmfile

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Verify reads the whole package at path and checks it against the sizes and
// digests that it carries, as `rpmkeys --checksig --nosignature` does: those of the header, and those of the
// payload. Signatures are not checked. The error is an *Error that says which
// check failed; a package that carries no digest of header or payload
// fails with ErrNoDigest.
func Verify(ctx context.Context, path string) error {
	f, info, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := Read(f)
	if err != nil {
		return withPath(err, path)
	}
	v := &verifier{pkg: p, fileSize: info.Size()}
	if err := v.checkSizes(); err != nil {
		return withPath(err, path)
	}
	if err := v.checkHeader(); err != nil {
		return withPath(err, path)
	}
	return withPath(v.checkPayload(ctx, f), path)
}

// VerifyHeader checks the main header against the digests that the signature header
// has of it, without looking at the payload. The error is an *Error; one that
// wraps ErrNoDigest where there is none of the header alone, as in packages older
// than rpm 4.
func (p *Package) VerifyHeader() error {
	v := &verifier{pkg: p}
	if !p.Signature.Has(SigTagSHA3) && !p.Signature.Has(SigTagSHA256) && !p.Signature.Has(SigTagSHA1) {
		return &Error{Offset: p.HeaderStart, Part: "header", Err: ErrNoDigest, Detail: "the package has no digest of it"}
	}
	return v.checkHeader()
}

type verifier struct {
	pkg      *Package
	fileSize int64
}

// checkSizes compares the size tags with the file, which tells a truncated file
// before all of it is read.
func (v *verifier) checkSizes() error {
	start := v.pkg.HeaderStart
	size, ok := v.pkg.Signature.Uint64(SigTagLongSize)
	if !ok {
		size, ok = v.pkg.Signature.Uint64(SigTagSize)
	}
	if !ok {
		start = v.pkg.HeaderEnd
		size, ok = v.pkg.Header.Uint64(TagPayloadSize)
	}
	if !ok {
		return nil
	}
	have := v.fileSize - start
	switch {
	case uint64(have) < size:
		return &Error{Offset: v.fileSize, Part: "payload", Err: ErrTruncated,
			Detail: fmt.Sprintf("%d bytes are missing at the end of the file", size-uint64(have))}
	case uint64(have) > size:
		return &Error{Offset: start + clampSize(size), Part: "payload", Err: ErrSize,
			Detail: fmt.Sprintf("%d bytes follow its end", uint64(have)-size)}
	}
	return nil
}

// checkHeader compares the digests of the main header in the signature header.
func (v *verifier) checkHeader() error {
	checks := []struct {
		name string
		tag  Tag
		new  func() hash.Hash
	}{
		{"SHA3-256", SigTagSHA3, func() hash.Hash { return sha3.New256() }},
		{"SHA256", SigTagSHA256, sha256.New},
		{"SHA1", SigTagSHA1, sha1.New},
	}
	found := v.pkg.Signature.Has(SigTagMD5) // it covers the header too, and is checked with the payload
	for _, c := range checks {
		if !v.pkg.Signature.Has(c.tag) {
			continue
		}
		found = true
		h := c.new()
		h.Write(v.pkg.Header.Raw())
		if err := compareDigest(h, v.pkg.Signature.String(c.tag), "header "+c.name, v.pkg.HeaderStart); err != nil {
			return err
		}
	}
	if !found {
		return &Error{Offset: v.pkg.HeaderStart, Part: "header", Err: ErrNoDigest, Detail: "the package has no digest of it"}
	}
	return nil
}

// payloadCheck is one digest that the payload must have.
type payloadCheck struct {
	name string
	hash hash.Hash
	want string
}

// checkPayload hashes what is left of r, the payload.
func (v *verifier) checkPayload(ctx context.Context, r io.Reader) error {
	checks, err := v.payloadChecks()
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		for _, c := range checks {
			c.hash.Write(buf[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the payload: %w", err)
		}
	}
	for _, c := range checks {
		if err := compareDigest(c.hash, c.want, "payload "+c.name, v.pkg.HeaderEnd); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) payloadChecks() ([]payloadCheck, error) {
	var checks []payloadCheck
	h := v.pkg.Header
	if want := h.String(TagPayloadDigest); want != "" {
		algo, ok := h.Uint64(TagPayloadDigestAlgo)
		if !ok {
			algo = pgpSHA256
		}
		name, sum := pgpHash(algo)
		if sum == nil {
			return nil, &Error{Offset: v.pkg.HeaderEnd, Part: "payload", Err: ErrNoDigest,
				Detail: fmt.Sprintf("its digest is of the unknown algorithm %d", algo)}
		}
		checks = append(checks, payloadCheck{name, sum, want})
	}
	if want := h.String(TagPayloadSHA512); want != "" {
		checks = append(checks, payloadCheck{"SHA512", sha512.New(), want})
	}
	if want := h.String(TagPayloadSHA3); want != "" {
		checks = append(checks, payloadCheck{"SHA3-256", sha3.New256(), want})
	}
	// MD5 of header and payload is all that packages older than rpm 4.14 have.
	if want := v.pkg.Signature.Bytes(SigTagMD5); want != nil && len(checks) == 0 {
		sum := md5.New()
		sum.Write(h.Raw())
		checks = append(checks, payloadCheck{"MD5", sum, hex.EncodeToString(want)})
	}
	if len(checks) == 0 {
		return nil, &Error{Offset: v.pkg.HeaderEnd, Part: "payload", Err: ErrNoDigest, Detail: "the package has no digest of it"}
	}
	return checks, nil
}

func compareDigest(h hash.Hash, want, part string, offset int64) error {
	if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, want) {
		return &Error{Offset: offset, Part: part, Err: ErrDigest, Detail: fmt.Sprintf("it is %s, the package says %q", got, want)}
	}
	return nil
}

const pgpSHA256 = 8

// pgpHash gives the hash with an OpenPGP number (RFC 4880, 9.4), nil for those
// that rpm has never used for payloads.
func pgpHash(algo uint64) (string, hash.Hash) {
	switch algo {
	case pgpSHA256:
		return "SHA256", sha256.New()
	case 9:
		return "SHA384", sha512.New384()
	case 10:
		return "SHA512", sha512.New()
	case 11:
		return "SHA224", sha256.New224()
	case 12:
		return "SHA3-256", sha3.New256()
	case 14:
		return "SHA3-512", sha3.New512()
	}
	return "", nil
}
