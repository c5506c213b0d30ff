package yamlx

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// A chunk is the text of one document, markers and directives included.
type chunk struct {
	text []byte
	line int  // of the file, where text begins
	over bool // the document was larger than the limit; text is not kept

	directives int
}

// A splitter cuts a YAML stream into its documents without parsing it. This is
// safe byte by byte: "---" and "..." at the beginning of a line and before a
// blank are markers wherever they stand, inside block and quoted text too
// (YAML 1.2, rule c-forbidden). It holds one document at a time.
type splitter struct {
	r     *bufio.Reader
	limit int
	line  int // lines read so far

	text      []byte
	first     int  // line on which text begins
	over      bool // text outgrew limit
	explicit  bool // text has its "---"
	content   bool // text has more than comments, blank lines and directives
	directive int  // how many directives text has
}

func newSplitter(r io.Reader, limit int) *splitter {
	return &splitter{r: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// next returns the next document, or io.EOF. A stretch that holds only
// comments and blank lines is no document.
func (s *splitter) next() (chunk, error) {
	for {
		head, err := s.r.Peek(4)
		if len(head) == 0 {
			if err != nil && err != io.EOF {
				return chunk{}, err
			}
			if s.explicit || s.content || s.directive > 0 {
				return s.take(), nil
			}
			return chunk{}, io.EOF
		}
		if isMarker(head, "---") && (s.explicit || s.content) {
			return s.take(), nil
		}
		end := isMarker(head, "...")
		if err := s.readLine(); err != nil {
			return chunk{}, err
		}
		if end {
			if s.explicit || s.content || s.directive > 0 {
				return s.take(), nil
			}
			s.take()
		}
	}
}

// take hands over the document read so far and begins an empty one.
func (s *splitter) take() chunk {
	c := chunk{text: s.text, line: s.first, over: s.over, directives: s.directive}
	*s = splitter{r: s.r, limit: s.limit, line: s.line}
	return c
}

// readLine moves one line into the document, or only past it when the
// document is too large already or the line cannot matter.
func (s *splitter) readLine() error {
	s.line++
	begin := true
	for {
		part, err := s.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && err != io.EOF {
			return err
		}
		partial := errors.Is(err, bufio.ErrBufferFull)
		if begin && s.classify(part, partial) || !begin && len(s.text) > 0 {
			s.append(part)
		}
		if begin = false; !partial {
			return nil
		}
	}
}

// classify notes what a line that begins with part is, and reports whether it
// must be kept. Comments and blank lines ahead of a document are not. A
// partial line of blanks counts as content: something may follow.
func (s *splitter) classify(part []byte, partial bool) bool {
	keep := true
	switch {
	case s.content:
	case isMarker(part, "---"):
		s.explicit = true
		rest := bytes.TrimLeft(part[3:], " \t\r\n")
		s.content = len(rest) > 0 && rest[0] != '#'
	case isMarker(part, "..."):
	case !s.explicit && part[0] == '%':
		s.directive++
	default:
		rest := bytes.TrimLeft(part, " \t\r\n")
		s.content = len(rest) > 0 && rest[0] != '#' || len(rest) == 0 && partial
		keep = s.content || s.explicit || s.directive > 0
	}
	if keep && len(s.text) == 0 && !s.over {
		s.first = s.line
	}
	return keep
}

func (s *splitter) append(part []byte) {
	if s.over || len(s.text)+len(part) > s.limit {
		s.over, s.text = true, nil
		return
	}
	s.text = append(s.text, part...)
}

// isMarker reports whether a line that begins with head is a document marker.
func isMarker(head []byte, marker string) bool {
	if len(head) < 3 || string(head[:3]) != marker {
		return false
	}
	return len(head) == 3 || head[3] == ' ' || head[3] == '\t' || head[3] == '\n' || head[3] == '\r'
}
