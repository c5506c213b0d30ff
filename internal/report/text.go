package report

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clean makes one line of text that can be shown: control characters become
// their pictures (U+2400 …), and what has no picture, is not UTF-8, is not
// allowed in XML or turns the direction of writing becomes U+FFFD.
// Only the first maxText bytes are kept.
func clean(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return cleanText(s, false)
}

// maxText is more than any name, reason or address that a person would read.
const maxText = 4 << 10

func cleanText(s string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\t'):
			return r
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7f:
			return 0x2421
		case r < 0x7f:
			return r
		case r == utf8.RuneError, unicode.IsControl(r), hidden(r), r&0xfffe == 0xfffe:
			return utf8.RuneError
		}
		return r
	}, s)
}

// hidden reports characters that change what a reader sees around them without
// being seen: direction marks, line separators, invisible joiners.
func hidden(r rune) bool {
	return unicode.Is(unicode.Cf, r) || r == 0x2028 || r == 0x2029
}

// escapes are the colours and cursor movements that programs write into logs
// (ECMA-48 control sequences).
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]")

const (
	maxTailBytes = 16 << 10 // of one log
	maxTailLines = 100
	maxTails     = 1 << 20 // of all logs together
)

// cleanTail makes the end of a log fit to be shown: its last lines, without
// colours.
func cleanTail(s string) string {
	if len(s) > maxTailBytes {
		s = s[len(s)-maxTailBytes:]
		// Not from the middle of a line, nor of a character.
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			s = s[i+1:]
		} else {
			s = strings.TrimLeftFunc(s, func(r rune) bool { return r == utf8.RuneError })
		}
	}
	s = strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\r\n", "\n")
	lines := strings.Split(escapes.ReplaceAllString(s, ""), "\n")
	if len(lines) > maxTailLines {
		lines = lines[len(lines)-maxTailLines:]
	}
	return cleanText(strings.Join(lines, "\n"), true)
}

// shorten cuts s to n cells of a monospace font, with an ellipsis where
// something was cut. Characters outside Latin, Greek and Cyrillic count twice,
// as they may be wide.
func shorten(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	width := 0
	for i, r := range s {
		width += cell(r)
		if width > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

func cells(s string) int {
	n := 0
	for _, r := range s {
		n += cell(r)
	}
	return n
}

func cell(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}

// duration writes d the way people say it: "0.4 s", "12.3 s", "2m05s", "1h02m05s".
func duration(d time.Duration) string {
	d = max(d, 0)
	if tenths := d.Round(100 * time.Millisecond); tenths < time.Minute {
		return fmt.Sprintf("%.1f s", tenths.Seconds())
	}
	s := int64(d.Round(time.Second) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
}

// between is the time from start to end where both are known.
func between(start, end time.Time) (time.Duration, bool) {
	if start.IsZero() || end.IsZero() {
		return 0, false
	}
	return max(end.Sub(start), 0), true
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// safeHref returns the reference in a form that a browser reads as we do, or ""
// where it must not be followed: other schemes than http and https could run
// something, and a host without a scheme depends on where the page lies.
func safeHref(s string) string {
	u, err := url.Parse(s)
	if err != nil || s == "" || len(s) > maxText {
		return ""
	}
	switch {
	case u.Scheme == "" && u.Host == "" && u.User == nil && !strings.HasPrefix(s, "//"):
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	default:
		return ""
	}
	return u.String()
}
