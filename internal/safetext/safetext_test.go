package safetext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "gcc -O2 foo.c", "gcc -O2 foo.c"},
		{"colours", "\x1b[1;31merror\x1b[0m: x", "error: x"},
		{"a title", "a\x1b]0;PWNED\x07b", "ab"},
		{"a broken sequence", "a\x1b[12", "a[12"},
		{"eight-bit sequences", "a\u009b2Jb\u009dtitle\u009cc", "abc"},
		{"tabs and newlines", "a\tb\nc\rd", "a b c d"},
		{"not UTF-8", "a\xff\xfeb", "a\uFFFDb"},
		{"direction marks", "a\u202eb", "ab"},
		{"heaps of accents", "a\u0301\u0301\u0301\u0301b", "a\u0301\u0301b"},
		{"indentation stays", "    x  ", "    x  "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Line(tt.in); got != tt.want {
				t.Errorf("Line(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	if got := Text("a\n\x1b[2Jb\n"); got != "a\nb\n" {
		t.Errorf("Text: %q", got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("\x1b[1;31merror\x1b]0;x\x07 \u009b2J \xff")
	f.Fuzz(func(t *testing.T, s string) {
		for name, got := range map[string]string{"Line": Line(s), "Text": strings.ReplaceAll(Text(s), "\n", " ")} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
				t.Errorf("%s(%q) = %q", name, s, got)
			}
		}
	})
}
