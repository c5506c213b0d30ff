package repogen

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// hasForbidden says whether s has a character that XML 1.0 cannot carry, not even escaped.
func hasForbidden(s string) bool {
	for i := 0; i < len(s); i++ {
		if forbiddenByte(s[i]) {
			return true
		}
		if s[i] == 0xef && (strings.HasPrefix(s[i:], "\uFFFE") || strings.HasPrefix(s[i:], "\uFFFF")) {
			return true
		}
	}
	return false
}

func forbiddenByte(c byte) bool { return c < ' ' && c != '\t' && c != '\n' && c != '\r' }

// toUTF8 gives s as valid UTF-8. Where it is not, it is taken for Latin-1 as a whole,
// the way createrepo_c does it: bytes from 0x80 to 0xbf are dropped, control
// characters too.
func toUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0xc0:
			b.WriteRune(rune(c))
		case c < 0x80 && !forbiddenByte(c):
			b.WriteByte(c)
		}
	}
	return b.String()
}

// texts turns the strings of one package into what XML can carry. Prose is mended
// with a warning; what identifies something is refused, since another name is worse
// than none. The first refusal stays in err.
type texts struct {
	location string
	warnings []string
	err      error
}

// Bounds on what one package, and what all packages may say.
const (
	maxPackageWarnings = 20
	maxWarnings        = 1000
)

// prose returns s with what XML cannot carry replaced by U+FFFD.
func (t *texts) prose(tag, s string) string {
	if !utf8.ValidString(s) {
		t.warn(tag, "it is not UTF-8; taken for Latin-1")
		return toUTF8(s)
	}
	if !hasForbidden(s) {
		return s
	}
	t.warn(tag, "control characters replaced by U+FFFD")
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && forbiddenByte(byte(r)) || r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r
	}, s)
}

// exact returns s, converted to UTF-8 where needed, and fails on what XML cannot carry.
func (t *texts) exact(tag, s string) string {
	if hasForbidden(s) {
		if t.err == nil {
			t.err = &PackageError{Location: t.location, Tag: tag, Err: fmt.Errorf("%.200q has a control character", s)}
		}
		return ""
	}
	if !utf8.ValidString(s) {
		t.warn(tag, "it is not UTF-8; taken for Latin-1")
		mended := toUTF8(s)
		if mended == "" && t.err == nil {
			t.err = &PackageError{Location: t.location, Tag: tag, Err: fmt.Errorf("%.200q is neither UTF-8 nor Latin-1", s)}
		}
		return mended
	}
	return s
}

func (t *texts) warn(tag, what string) {
	w := fmt.Sprintf("package %s: %s: %s", t.location, tag, what)
	if len(t.warnings) < maxPackageWarnings && (len(t.warnings) == 0 || t.warnings[len(t.warnings)-1] != w) {
		t.warnings = append(t.warnings, w)
	}
}
