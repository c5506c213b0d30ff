package rpmfile

import (
	"errors"
	"fmt"
)

// What is wrong with a file; an *Error wraps one of them.
var (
	ErrNotRPM    = errors.New("not an RPM package")
	ErrTruncated = errors.New("truncated")
	ErrMalformed = errors.New("malformed")
	ErrDigest    = errors.New("digest does not match")
	ErrSize      = errors.New("size does not match")
	ErrNoDigest  = errors.New("nothing to verify it with")
	ErrName      = errors.New("cannot be part of a file name")
)

// An Error says where an RPM file is bad and how.
type Error struct {
	Path   string // of the file; empty where the bytes came from elsewhere
	Offset int64  // in the file, or in the header that ParseHeader was given, of what is bad
	Part   string // what is bad: "lead", "signature header", "header", "payload", or a tag
	Detail string // more words; may be empty
	Err    error  // one of the errors above, or why reading failed
}

func (e *Error) Error() string {
	msg := fmt.Sprintf("%s: %v", e.Part, e.Err)
	if errors.Is(e.Err, ErrNotRPM) {
		msg = e.Err.Error()
	}
	if e.Detail != "" {
		msg += ": " + e.Detail
	}
	if e.Offset > 0 {
		msg += fmt.Sprintf(" (at byte %d)", e.Offset)
	}
	if e.Path != "" {
		msg = e.Path + ": " + msg
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// withPath adds the file's name to an error of this package.
func withPath(err error, path string) error {
	var e *Error
	if errors.As(err, &e) && e.Path == "" {
		e.Path = path
	}
	return err
}
