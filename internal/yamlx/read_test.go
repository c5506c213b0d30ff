package yamlx

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// show gives a tree in one line: scalars with style and place, [lists] and
// {mappings}.
func show(n *Node) string {
	if n == nil {
		return "nothing"
	}
	var parts []string
	for i := range n.Content {
		parts = append(parts, show(&n.Content[i]))
	}
	switch n.Kind {
	case Sequence:
		return "[" + strings.Join(parts, " ") + "]"
	case Mapping:
		return "{" + strings.Join(parts, " ") + "}"
	}
	mark := [...]string{Plain: "", SingleQuoted: "'", DoubleQuoted: "\"", Literal: "|", Folded: ">"}[n.Style]
	return fmt.Sprintf("%s%q@%d:%d", mark, n.Text, n.Line, n.Column)
}

// readAll gives what Next returns until the end, one line each.
func readAll(t testing.TB, text string) []string {
	var all []string
	for r := NewReader(strings.NewReader(text), "f", Limits{}); ; {
		doc, err := r.Next()
		var bad *Error
		switch {
		case err == io.EOF:
			return all
		case errors.As(err, &bad):
			all = append(all, err.Error())
		case err != nil:
			t.Fatal(err)
		default:
			all = append(all, show(doc.Root))
		}
	}
}

func TestNext(t *testing.T) {
	tests := []struct {
		name string
		text string
		want []string
	}{
		{"nothing", "", nil},
		{"comments and blank lines", "# a\n\n  # b\n   ", nil},
		{"end markers alone", "...\n...\n# x\n...\n", nil},
		{"text is kept", "[1.10, 010, no, ~, 1_000, 2020-01-01, 0x1F, 12e45678]\n",
			[]string{`["1.10"@1:2 "010"@1:8 "no"@1:13 "~"@1:17 "1_000"@1:20 "2020-01-01"@1:27 "0x1F"@1:39 "12e45678"@1:45]`}},
		{"styles", "- 'a'\n- \"b\"\n- |\n  c\n- >\n  d\n", []string{`['"a"@1:3 ""b"@2:3 |"c\n"@3:3 >"d\n"@5:3]`}},
		{"places over documents", "# c\n\n---\na: b\n---\n# d\nc:\n  d: e\n...\nf: g\n",
			[]string{`{"a"@4:1 "b"@4:4}`, `{"c"@7:1 {"d"@8:3 "e"@8:6}}`, `{"f"@10:1 "g"@10:4}`}},
		{"columns are characters", "é: ü\n", []string{`{"é"@1:1 "ü"@1:4}`}},
		{"carriage return and line feed", "a: b\r\n---\r\nc: d\r\n", []string{`{"a"@1:1 "b"@1:4}`, `{"c"@3:1 "d"@3:4}`}},
		{"byte order mark", "\ufeffa: b\n", []string{`{"a"@1:1 "b"@1:4}`}},
		{"no line break at the end", "---\na: b\n---", []string{`{"a"@2:1 "b"@2:4}`, "nothing"}},
		{"content beside the marker", "--- a\n--- b", []string{`"a"@1:5`, `"b"@2:5`}},
		{"marker within a word", "---a\n", []string{`"---a"@1:1`}},
		{"marker in a block ends it", "a: |\n  x\n---\nb: c\n", []string{`{"a"@1:1 |"x\n"@1:4}`, `{"b"@4:1 "c"@4:4}`}},
		{"indented marker is text", "a: |\n  ---\n  x\n", []string{`{"a"@1:1 |"---\nx\n"@1:4}`}},
		{"directive", "%YAML 1.1\n# c\n---\na: b\n", []string{`{"a"@4:1 "b"@4:4}`}},
		{"directive within a document", "a: b\n%YAML 1.1\n---\nc: d\n",
			[]string{`f:2: document 1: expected the end of the document, or "---" before a further one; found "%YAML 1.1"`, `{"c"@4:1 "d"@4:4}`}},
		{"anchor that nothing uses", "a: &x b\n", []string{`{"a"@1:1 "b"@1:4}`}},
		{"tag of plain YAML", "a: !!str 1\n", []string{`{"a"@1:1 "1"@1:4}`}},

		{"bad document between good ones", "a: b\n---\nc: [d\n---\ne: f\n",
			[]string{`{"a"@1:1 "b"@1:4}`, `f:3: document 2: expected ',' or ']' in this [list]; found "c: [d"`, `{"e"@5:1 "f"@5:4}`}},
		{"wrong indentation", "a:\n  b: c\n d: e\nf: g\n", []string{`f:3: document 1: expected "key: value" at the indentation of this mapping (or its end); found " d: e"`}},
		{"list item among keys", "a: b\nc: d\n- e\n", []string{`f:3: document 1: expected "key: value" at the indentation of this mapping (or its end); found "- e"`}},
		{"colon in text", "a: b\nsummary: this: that\n", []string{`f:2: document 1: found ':' where no mapping can begin; quote text that has ': ' in it, or mend the indentation; found "summary: this: that"`}},
		{"key without colon", "a: b\nc\nd: e\n", []string{`f:2: document 1: expected ':' after this key; found "c"`}},
		{"open quote", "a: b\nc: \"d\ne: f\n", []string{`f:2: document 1: found the end of the document in quoted text that begins here; close the quote; found "c: \"d"`}},
		{"tab as indentation", "a:\n\tb: c\n", []string{`f:2: document 1: found a character that no value can begin with (a tab, '@', '` + "`" + `' or '%'); indent with spaces, quote text that begins so; found "\tb: c"`}},
		{"value after the end marker", "a: b\n... c\n", []string{`f:2: document 1: expected the end of the document, or "---" before a further one; found "... c"`}},
		{"same key twice", "x: y\na:\n  b: 1\n  c: 2\n  b: 3\n", []string{`f:5:3: document 1: key "b" stands here a second time, first on line 3; remove one of them`}},
		{"alias", "a: &x b\nc: *x\n", []string{"f:2:4: document 1: found the alias *x; write out what it stands for"}},
		{"tag", "a: !!binary aGk=\n", []string{`f:1:4: document 1: found the tag "!!binary"; remove it`}},
		{"list as a key", "? [a]\n: b\n", []string{"f:1:3: document 1: found a list or a mapping as a key; keys are text"}},
		{"control character", "a: b\nc: \x01\n", []string{"f:2:4: document 1: found byte 0x01, which no UTF-8 YAML text holds here; save the file as UTF-8 without control characters"}},
		{"Latin 1", "a: b\xe9\n---\nc: d\n", []string{"f:1:5: document 1: found byte 0xe9, which no UTF-8 YAML text holds here; save the file as UTF-8 without control characters", `{"c"@3:1 "d"@3:4}`}},
		{"UTF-16", "\xff\xfea\x00", []string{"f:1: document 1: the file is UTF-16; convert it to UTF-8"}},
		{"marker after a bare carriage return", "a: b\r--- c\n", []string{`f:1: document 1: found "---" or "..." after an unusual line break; end lines with line feeds`}},
		{"depth 100", strings.Repeat("[", 100) + "x" + strings.Repeat("]", 100), []string{strings.Repeat("[", 100) + `"x"@1:101` + strings.Repeat("]", 100)}},
		{"depth 101", strings.Repeat("[", 101) + strings.Repeat("]", 101), []string{"f:1:101: document 1: nested more than 100 deep"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, readAll(t, tt.text)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestNodeLimit shows that the estimate of nodes refuses no document that has
// as many as it may have.
func TestNodeLimit(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		ok   bool
	}{
		{"1,000 items", strings.Repeat("- x\n", 999), true},
		{"1,001 items", strings.Repeat("- x\n", 1000), false},
		{"998 in keys", lines(499, "k%d: v\n"), true},
		{"keys of mappings", lines(199, "k%d: {a: b}\n"), true},
		{"flow list", "[" + strings.Repeat("a,", 999) + "]", true},
		{"flow mappings", "[" + strings.Repeat("{a: b},", 333) + "]", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewReader(strings.NewReader(tt.text), "f", Limits{Nodes: 1000}).Next()
			if (err == nil) != tt.ok {
				t.Errorf("got error %v, want ok: %t", err, tt.ok)
			}
		})
	}
}

func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// FuzzNext reads anything: no panic, an end, positions inside the file, and no
// more nodes than the estimate said.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"a: b\n", "---\n- |2-\n  x\n...\n%TAG ! x\n--- >\n y\n", "{a: [b, 'c'], \"d\": e}", "? a\n: b", "a: &x y\nb: *x\n", "\r---\r", "a:\u2028--- b", "[a: b, ? c, :d]", "# c\n- a # d\n\n# e\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		last := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u2028") +
			strings.Count(text, "\u2029") + strings.Count(text, "\u0085") + 1
		r := NewReader(strings.NewReader(text), "f", Limits{})
		for n := 1; ; n++ {
			doc, err := r.Next()
			var bad *Error
			switch {
			case err == io.EOF:
				return
			case errors.As(err, &bad):
				if bad.Line < 1 || bad.Line > last+1 {
					t.Fatalf("line %d of %d: %v", bad.Line, last, err)
				}
			case err != nil:
				t.Fatal(err)
			case doc.Number != n:
				t.Fatalf("document %d has the number %d", n, doc.Number)
			case doc.Root != nil:
				checkPlaces(t, doc.Root, last)
				if total, bound := count(doc.Root), nodeBound([]byte(text)); total > bound {
					t.Fatalf("%d nodes, estimated at most %d", total, bound)
				}
			}
		}
	})
}

func checkPlaces(t *testing.T, n *Node, last int) {
	if n.Line < 1 || n.Line > last+1 || n.Column < 1 {
		t.Fatalf("%s is at %d:%d of %d lines", show(n), n.Line, n.Column, last)
	}
	for i := range n.Content {
		checkPlaces(t, &n.Content[i], last)
	}
}

func count(n *Node) int {
	total := 1
	for i := range n.Content {
		total += count(&n.Content[i])
	}
	return total
}

// FuzzSplit cuts anything into documents: nothing but comments, blank lines
// and end markers gets lost, and lines are where they are said to be.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a\n---\nb\n...\n# c\n%d\n---\n", "...\n", "\n\n--- a\n", "%x\n", "a\r\n---\r\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all := strings.SplitAfter(text, "\n")
		at := 0
		for s := newSplitter(strings.NewReader(text), 1<<20); ; {
			c, err := s.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			begin := c.line - 1
			if begin < at {
				t.Fatalf("document at line %d begins before line %d", c.line, at+1)
			}
			checkSkipped(t, all[at:begin])
			parts := strings.SplitAfter(string(c.text), "\n")
			if parts[len(parts)-1] == "" {
				parts = parts[:len(parts)-1]
			}
			if diff := cmp.Diff(all[begin:begin+len(parts)], parts); diff != "" {
				t.Fatalf("document at line %d (-file +document)\n%s", c.line, diff)
			}
			at = begin + len(parts)
		}
		checkSkipped(t, all[at:])
	})
}

func checkSkipped(t *testing.T, lines []string) {
	for _, line := range lines {
		rest := strings.TrimLeft(line, " \t\r\n")
		if rest != "" && rest[0] != '#' && !isMarker([]byte(line), "...") {
			t.Fatalf("line %q got lost", line)
		}
	}
}
