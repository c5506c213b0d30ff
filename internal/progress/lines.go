package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// lines writes a line for each change.
type lines struct{ out *output }

func (l *lines) print(b *state, t time.Time, text string) {
	l.out.write(fmt.Sprintf("[%6s] %s\n", tenths(t.Sub(b.start)), text))
}

func (l *lines) observed(b *state, _ time.Time, c *component, e modulebuild.Event, changed bool) {
	if !changed {
		return
	}
	text := c.name + ": " + clean(string(c.state))
	if !c.started.IsZero() && !c.ended.IsZero() {
		switch c.state {
		case modulebuild.Built:
			text += " in " + tenths(c.elapsed(e.Time))
		default:
			text += " after " + tenths(c.elapsed(e.Time))
		}
	}
	switch {
	case e.Err != nil:
		text += ": " + c.line
	case e.Reason != "":
		text += " (" + c.reason + ")"
	}
	l.print(b, e.Time, text)
}

// tick says of long builds, which would else be silent, that they are going on.
func (l *lines) tick(b *state, now time.Time) {
	for _, c := range b.components {
		if c.state != modulebuild.Building || now.Sub(c.beat) < heartbeat {
			continue
		}
		c.beat = now
		text := fmt.Sprintf("%s: still building after %s", c.name, seconds(c.elapsed(now)))
		if c.line != "" {
			text += ": " + c.line
		}
		l.print(b, now, text)
	}
}

func (l *lines) message(b *state, now time.Time, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		l.print(b, now, clean(line))
	}
}

func (l *lines) close(*state, time.Time) {}

// jsonLines writes an object for each change.
type jsonLines struct{ out *output }

// A record is one line of JSON. Event is "state", or "message" with nothing but
// the message.
type record struct {
	Time      time.Time         `json:"time"`
	Event     string            `json:"event"`
	Component string            `json:"component,omitempty"`
	State     modulebuild.State `json:"state,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Error     string            `json:"error,omitempty"`
	Message   string            `json:"message,omitempty"`
	ElapsedMS int64             `json:"elapsed_ms"` // since the beginning of the run
}

func (l *jsonLines) print(b *state, r record) {
	r.Time = r.Time.UTC()
	r.ElapsedMS = max(r.Time.Sub(b.start), 0).Milliseconds()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		// Only a time beyond the year 9999 cannot be written.
		r.Time = b.start.UTC()
		buf.Reset()
		_ = enc.Encode(r)
	}
	l.out.write(escapeControls(buf.String()))
}

// escapeControls escapes DEL and the control characters above it, which JSON
// allows in strings but some terminals obey.
func escapeControls(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, isHighControl) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if isHighControl(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

func isHighControl(r rune) bool { return r >= 0x7f && r <= 0x9f }

func (l *jsonLines) observed(b *state, _ time.Time, c *component, e modulebuild.Event, changed bool) {
	if !changed {
		return
	}
	r := record{Time: e.Time, Event: "state", Component: e.Component, State: e.State, Reason: e.Reason}
	if e.Err != nil {
		r.Error = e.Err.Error()
	}
	l.print(b, r)
}

func (l *jsonLines) message(b *state, now time.Time, text string) {
	l.print(b, record{Time: now, Event: "message", Message: strings.TrimRight(text, "\n")})
}

func (l *jsonLines) tick(*state, time.Time)  {}
func (l *jsonLines) close(*state, time.Time) {}
