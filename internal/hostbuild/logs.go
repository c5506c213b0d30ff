package hostbuild

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/kojimod/kojimod/internal/safetext"
)

const (
	maxLine   = 8 << 10 // longer lines are cut
	tailLines = 20
)

// diskFull is how programs say so.
var diskFull = regexp.MustCompile(`No space left on device|database or disk is full|needs [0-9]+.B more space on|Disk quota exceeded`)

// A logFile takes what a build prints: cuts long lines, ends the build when it
// prints too much, keeps the end and tells each line to whoever watches.
type logFile struct {
	Path string

	mu     sync.Mutex
	file   *os.File
	status func(string)
	left   int64  // how many bytes may still come
	over   func() // called once when more come
	line   []byte // begun
	cut    bool   // the rest of the line is dropped
	tail   []string
	full   bool // a program said that the disk is full, and it was
	room   func() bool
}

func newLog(dir, name string, max int64, status func(string), over func()) (*logFile, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	return &logFile{Path: path, file: f, status: status, left: max, over: over}, nil
}

// Write never writes only a part without an error.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left < 0 {
		return len(p), nil // being ended
	}
	l.left -= int64(len(p))
	if l.left < 0 {
		l.over()
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		rest = after
		if room := maxLine - len(l.line); len(part) > room {
			part, l.cut = part[:room], true
		}
		l.line = append(l.line, part...)
		if ended {
			if err := l.endLine(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (l *logFile) endLine() error {
	if l.cut {
		l.line = append(l.line, " [cut]"...)
	}
	text := safetext.Line(string(l.line))
	// Test suites say so as well, of disks that they have made.
	l.full = l.full || diskFull.MatchString(text) && l.room != nil && !l.room()
	l.tail = append(l.tail, text)
	if len(l.tail) > tailLines {
		l.tail = l.tail[1:]
	}
	if l.status != nil {
		l.status(text)
	}
	_, err := l.file.Write(append(l.line, '\n'))
	l.line, l.cut = l.line[:0], false
	return err
}

func (l *logFile) printf(format string, args ...any) {
	fmt.Fprintf(l, format+"\n", args...) // a full disk shows when the log is closed
}

// close ends the log; the error is the first that the disk gave.
func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if len(l.line) > 0 {
		err = l.endLine()
	}
	if syncErr := l.file.Sync(); err == nil {
		err = syncErr
	}
	if closeErr := l.file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// tailText gives the last lines that were printed.
func (l *logFile) tailText() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.tail, "\n")
}
