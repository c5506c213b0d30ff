package koji

import (
	"errors"
	"fmt"
	"time"
)

// What can become of a call besides success and a *Fault.
var (
	// ErrReplyLost: the hub carried the call out, and the reply was lost. Its
	// effect must be read back.
	ErrReplyLost = errors.New("the hub carried this call out, but its reply was lost")

	// ErrOutcomeUnknown: a request was sent, no reply came, and it was given up.
	// The hub may have carried the call out, or may yet.
	ErrOutcomeUnknown = errors.New("no reply: the hub may have carried this call out")

	// ErrSessionLost: the session cannot be used any more: a lent one has expired,
	// or was renewed or counted on by its lender; one's own was closed, or could
	// not be renewed. The hub has not carried the call out, unless the error is
	// ErrOutcomeUnknown, too.
	ErrSessionLost = errors.New("the session cannot be used any more")

	// ErrNotFound: what was asked for does not exist.
	ErrNotFound = errors.New("not found")

	// ErrBadReply: what came is not an answer of Koji's hub, or has another shape
	// than the call's results have.
	ErrBadReply = errors.New("bad reply")

	// ErrDigest: a file that was sent or received is not the one it should be.
	ErrDigest = errors.New("size or checksum does not match")
)

// A CallError says which call failed. Every error of a call is one.
type CallError struct {
	Method   string
	Attempts int           // how often the request was sent or tried to be
	Elapsed  time.Duration // from the first attempt on

	// Err is why: a *Fault, one of the errors above, that of a context, of the
	// network …; errors.Is and errors.As look into it.
	Err error
}

func (e *CallError) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("koji: %s: %v (after %d attempts in %s)", e.Method, e.Err, e.Attempts, e.Elapsed.Round(time.Millisecond))
	}
	return fmt.Sprintf("koji: %s: %v", e.Method, e.Err)
}

func (e *CallError) Unwrap() error { return e.Err }

// An HTTPError is an answer that the hub or something before it gives instead of
// XML-RPC, or a web server instead of a file.
type HTTPError struct {
	Status int    // the HTTP status
	Detail string // its beginning in one line, or where a redirection points
}

func (e *HTTPError) Error() string {
	msg := fmt.Sprintf("HTTP status %d", e.Status)
	if e.Detail != "" {
		msg += ": " + e.Detail
	}
	return msg
}

// temporary reports whether the same request may succeed later.
func (e *HTTPError) temporary() bool {
	switch e.Status {
	case 408, 425, 429, 500, 502, 503, 504:
		return true
	}
	return false
}
