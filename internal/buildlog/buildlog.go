// Package buildlog deals in the output of builds, which can be of any size and
// hold anything. What it gives is fit for a terminal.
package buildlog

import (
	"bytes"
	"io"
	"os"
	"strings"

	"github.com/kojimod/kojimod/internal/safetext"
)

// maxLine is how much of a line is passed on or shown.
const maxLine = 4096

// Lines gives a writer that calls each with every line written to it, less the
// newline, cut where it is long. Close passes on a last line without a newline.
// It is for one writing goroutine. each may be nil.
func Lines(each func(line string)) io.WriteCloser {
	return &lines{each: each}
}

type lines struct {
	each func(string)
	part []byte // of the line under way, at most maxLine bytes
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			l.add(p)
			return n, nil
		}
		l.add(p[:end])
		l.flush()
		p = p[end+1:]
	}
}

func (l *lines) add(p []byte) {
	l.part = append(l.part, p[:min(len(p), maxLine-len(l.part))]...)
}

func (l *lines) flush() {
	if l.each != nil {
		l.each(safetext.Line(string(bytes.TrimSuffix(l.part, []byte("\r")))))
	}
	l.part = l.part[:0]
}

func (l *lines) Close() error {
	if len(l.part) > 0 {
		l.flush()
	}
	return nil
}

// Tail gives the last n lines of a file, each cut where it is long; nothing
// where the file cannot be read.
func Tail(path string, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	window := int64(n * maxLine)
	start := max(0, info.Size()-window)
	data, err := io.ReadAll(io.NewSectionReader(f, start, window))
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimRight(safetext.Text(string(data)), "\n"), "\n")
	all = all[max(0, len(all)-n):]
	for i, line := range all {
		if len(line) > maxLine {
			all[i] = strings.ToValidUTF8(line[:maxLine], "") + " …"
		}
	}
	return strings.Join(all, "\n")
}
