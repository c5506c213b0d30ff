// Package rpmfile reads the headers of RPM packages (formats 3 to 6), from files
// that anybody may have made.
//
// No count in a file is believed before the bytes are there: reading allocates
// at most about twice the header bytes that the file really has. Nothing here
// looks into the payload, except for Verify, which hashes it.
//
//	p, err := rpmfile.ReadFile("bash-5.2.26-3.fc40.x86_64.rpm")
//	if err != nil {
//		return err
//	}
//	fmt.Println(p.NEVRA(), p.License())
package rpmfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

const leadSize = 96

// leadMagic starts every RPM file.
var leadMagic = [4]byte{0xed, 0xab, 0xee, 0xdb}

// A Package is what stands before the payload of an RPM file. The methods of the
// main Header are available on it.
type Package struct {
	*Header           // the main header
	Signature *Header // the signature header

	HeaderStart int64 // offset in the file of the main header's first byte
	HeaderEnd   int64 // offset of the first byte after it, where the payload starts
}

// ReadFile reads the headers of the package at path, which must be a regular
// file. The error is an *Error where the content is at fault.
func ReadFile(path string) (*Package, error) {
	f, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := Read(f)
	if err != nil {
		return nil, withPath(err, path)
	}
	return p, nil
}

// Open opens a regular file for reading, and refuses all others without waiting
// for a writer at the other end of a pipe.
func Open(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &Error{Path: path, Part: "file", Err: ErrNotRPM, Detail: "it is no regular file"}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Read reads lead, signature header and main header from r and leaves r at the
// first byte of the payload. It reads in few but exact pieces: a caller with a
// slow r gives a buffered one.
func Read(r io.Reader) (*Package, error) {
	in := &offsetReader{r: r}
	if err := readLead(in); err != nil {
		return nil, err
	}
	sig, err := readHeader(in, "signature header", maxSigEntries, maxSigData)
	if err != nil {
		return nil, err
	}
	if padding := (8 - len(sig.raw)%8) % 8; padding > 0 {
		if _, err := in.readFull(make([]byte, padding), "signature header"); err != nil {
			return nil, err
		}
	}
	p := &Package{Signature: sig, HeaderStart: in.offset}
	if p.Header, err = readHeader(in, "header", maxEntries, maxData); err != nil {
		return nil, err
	}
	p.HeaderEnd = in.offset
	return p, nil
}

func readLead(in *offsetReader) error {
	var lead [leadSize]byte
	n, err := in.readFull(lead[:], "lead")
	if n < len(leadMagic) || [4]byte(lead[:4]) != leadMagic {
		if err != nil && !errors.Is(err, ErrTruncated) {
			return err
		}
		detail := fmt.Sprintf("it starts with % x", lead[:min(n, 4)])
		if n == 0 {
			detail = "it is empty"
		}
		return &Error{Part: "lead", Err: ErrNotRPM, Detail: detail}
	}
	if err != nil {
		return err
	}
	if major, sigType := lead[4], lead[79]; major < 3 || lead[78] != 0 || sigType != 5 {
		return &Error{Offset: 4, Part: "lead", Err: ErrMalformed,
			Detail: fmt.Sprintf("format %d with signatures of type %d is not supported", major, sigType)}
	}
	return nil
}

// readHeader reads one header. offset of errors is in the file.
func readHeader(in *offsetReader, part string, entryLimit, dataLimit uint32) (*Header, error) {
	start := in.offset
	shift := func(err error) error {
		var e *Error
		if errors.As(err, &e) {
			e.Offset += start
		}
		return err
	}
	var intro [introSize]byte
	if _, err := in.readFull(intro[:], part); err != nil {
		return nil, err
	}
	entries, data, err := parseIntro(intro[:], part, entryLimit, dataLimit)
	if err != nil {
		return nil, shift(err)
	}
	raw, err := in.readGrowing(intro[:], introSize+entrySize*entries+data, part)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(raw, part)
	if err != nil {
		return nil, shift(err)
	}
	return h, nil
}

// offsetReader knows where in the input it is.
type offsetReader struct {
	r      io.Reader
	offset int64
}

// readFull fills b; part names in an error what was being read.
func (in *offsetReader) readFull(b []byte, part string) (int, error) {
	n, err := io.ReadFull(in.r, b)
	in.offset += int64(n)
	switch {
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		err = &Error{Offset: in.offset, Part: part, Err: ErrTruncated, Detail: "the file ends here"}
	case err != nil:
		err = fmt.Errorf("reading the %s: %w", part, err)
	}
	return n, err
}

// readGrowing returns head followed by what is missing to size bytes. It reads
// pieces, each no larger than all before it together, and joins them when all
// are there: a lying size costs at most twice what the file has.
func (in *offsetReader) readGrowing(head []byte, size int, part string) ([]byte, error) {
	const firstPiece = 64 << 10
	if size <= firstPiece {
		raw := make([]byte, size)
		copy(raw, head)
		_, err := in.readFull(raw[len(head):], part)
		return raw, err
	}
	pieces := [][]byte{head}
	have := len(head)
	for have < size {
		piece := make([]byte, min(size-have, max(firstPiece, have)))
		if _, err := in.readFull(piece, part); err != nil {
			return nil, err
		}
		pieces = append(pieces, piece)
		have += len(piece)
	}
	raw := make([]byte, 0, size)
	for _, piece := range pieces {
		raw = append(raw, piece...)
	}
	return raw, nil
}
