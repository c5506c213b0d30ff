package buildlog

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 2*maxLine)
	for _, tt := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"whole lines", []string{"a\nb\n"}, []string{"a", "b"}},
		{"a line in parts", []string{"a", "b\nc", "\n"}, []string{"ab", "c"}},
		{"no newline at the end", []string{"a\nb"}, []string{"a", "b"}},
		{"empty lines", []string{"\n\na\n"}, []string{"", "", "a"}},
		{"carriage return", []string{"a\r\n"}, []string{"a"}},
		{"a long line is cut", []string{long, long, "\nb\n"}, []string{long[:maxLine], "b"}},
		{"not UTF-8", []string{"a\xffb\n"}, []string{"a\uFFFDb"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			w := Lines(func(line string) { got = append(got, line) })
			for _, s := range tt.writes {
				if n, err := io.WriteString(w, s); n != len(s) || err != nil {
					t.Fatalf("Write: %d, %v", n, err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, tt := range []struct {
		name, log, want string
	}{
		{"short", "a\nb\n", "a\nb"},
		{"long", strings.Repeat("before\n", 100_000) + "a\nb\nc\n", "a\nb\nc"},
		{"empty", "", ""},
		{"one endless line", strings.Repeat("x", 1<<20), strings.Repeat("x", maxLine) + " …"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.log), 0o666); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, Tail(path, 3)); diff != "" {
				t.Errorf("tail (-want +got):\n%s", diff)
			}
		})
	}
	if got := Tail(path+".none", 3); got != "" {
		t.Errorf("tail of no file: %q", got)
	}
}
