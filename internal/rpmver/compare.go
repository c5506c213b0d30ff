// Package rpmver compares RPM versions and version ranges the way rpm does.
//
// The rules are those of rpm 4.15 and later: `~` sorts before everything, even
// the end of the string; `^` sorts after the end of the string but before
// anything else.
package rpmver

import (
	"cmp"
	"strings"
)

// Compare returns -1, 0 or 1 as the version (or release) string a is older than,
// as old as, or newer than b. Strings are split in runs of ASCII digits and runs of
// ASCII letters; all else separates. Strings that differ in their separators
// alone are equal.
func Compare(a, b string) int {
	if a == b {
		return 0
	}
	for a != "" || b != "" {
		a, b = trimSeparators(a), trimSeparators(b)
		switch c, both := compareMarks(a, b); {
		case both:
			a, b = a[1:], b[1:]
			continue
		case c != 0:
			return c
		}
		if a == "" || b == "" {
			break
		}
		isRun := isAlpha
		numeric := isDigit(a[0])
		if numeric {
			isRun = isDigit
		}
		var runA, runB string
		runA, a = cutRun(a, isRun)
		runB, b = cutRun(b, isRun)
		if runB == "" { // of different kinds: digits are newer than letters
			if numeric {
				return 1
			}
			return -1
		}
		if numeric {
			runA, runB = strings.TrimLeft(runA, "0"), strings.TrimLeft(runB, "0")
			if c := cmp.Compare(len(runA), len(runB)); c != 0 {
				return c
			}
		}
		if c := strings.Compare(runA, runB); c != 0 {
			return c
		}
	}
	// All runs so far are equal: what has more of them is newer.
	return cmp.Compare(min(len(a), 1), min(len(b), 1))
}

// compareMarks compares what a and b start with: a '~', the end, a '^', or a run,
// in this order. both says that they start with the same mark.
func compareMarks(a, b string) (c int, both bool) {
	rank := func(s string) int {
		switch {
		case s == "":
			return 1
		case s[0] == '~':
			return 0
		case s[0] == '^':
			return 2
		}
		return 3
	}
	ra, rb := rank(a), rank(b)
	if ra == rb {
		return 0, ra == 0 || ra == 2
	}
	if ra == 1 && rb == 3 || ra == 3 && rb == 1 {
		return 0, false // the end against a run: what is left decides at the end
	}
	return cmp.Compare(ra, rb), false
}

func trimSeparators(s string) string {
	i := 0
	for i < len(s) && !isDigit(s[i]) && !isAlpha(s[i]) && s[i] != '~' && s[i] != '^' {
		i++
	}
	return s[i:]
}

func cutRun(s string, is func(byte) bool) (run, rest string) {
	i := 0
	for i < len(s) && is(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
