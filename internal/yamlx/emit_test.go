package yamlx

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// texts are hard to write so that every reader reads them back as text.
var texts = []string{
	"", " ", "\n", "\n\n", "a", "1.10", "010", "1e5", "12e45678", "7e96446", "0x1F", "0o17", "0b11", "1_000", "-1", "+1", ".5", "5.", "1.2.3",
	"12:30", "12:30:45", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01 00:00:00", "00000000", "1__0", "_1", "0_", "1e+5", ".inf", "-.Inf", ".NaN", "0x", "08", "0.",
	"no", "No", "yes", "on", "OFF", "y", "N", "true", "False", "null", "~", "Null", "=", "<<",
	"-", "- a", "-a", "?", "? a", "?a", ":", ": a", ":a", "a:", "a: b", "a:b", "a #b", "a#b", "#a", "&a", "*a", "!a", "%a", "@a", "`a", "|", ">", "'", "\"", "[a]", "{a}", "a, b", "a]", "---", "--- a", "...", "---a",
	" a", "a ", "a\n", "a\n\n", "\na", "a\nb", "a\n\nb", "a \nb", "a\n b", "  a\nb", "a\n\n\n", "a\tb", "\ta", "a\t", "\t", "a\n\tb\nc", "é", "日本語", "\U0001f600", "a\u0085b", "a\u2028b", "\ufeff", "\u200b", "\x00", "\x07", "\x1b", "\x7f", "a\rb", "a\r\nb", "\\", "\\n", "it's", "it's \"it\"",
	strings.Repeat("word ", 30) + "end", strings.Repeat("word  two ", 30) + "end", strings.Repeat("x", 200), strings.Repeat("x", 100) + " - y: z", " " + strings.Repeat("lead ", 40), strings.Repeat("trail ", 40),
	strings.Repeat("it's ", 40) + ": x", strings.Repeat("a\\b \" ", 40), strings.Repeat("line of words ", 10) + "\n" + strings.Repeat("more words ", 12) + "\n",
	"%global foo 1\n%bar() \\\n  echo \\\n  done\n", "  indented\nnot\n    more " + strings.Repeat("word ", 20) + "\n\nend\n", strings.Repeat("'", 100), "a\n" + strings.Repeat(" ", 90) + "b\n", "# c\n# d\n", strings.Repeat("k", 1100) + " x",
}

// document holds each text in every place and style that a text can have.
func document(texts []string) *Node {
	root := &Node{Kind: Mapping}
	put := func(key string, n Node) {
		root.Content = append(root.Content, Node{Kind: Scalar, Text: key}, n)
	}
	for style, name := range map[Style]string{Plain: "plain", SingleQuoted: "single", DoubleQuoted: "double", Literal: "literal", Folded: "folded"} {
		list := Node{Kind: Sequence}
		mapping := Node{Kind: Mapping}
		for i, s := range texts {
			list.Content = append(list.Content, Node{Kind: Scalar, Text: s, Style: style})
			mapping.Content = append(mapping.Content, Node{Kind: Scalar, Text: "k" + string(rune('a'+i%26)) + strings.Repeat("i", i/26)}, Node{Kind: Scalar, Text: s, Style: style})
		}
		put(name+"s", list)
		put(name, Node{Kind: Sequence, Content: []Node{{Kind: Sequence, Content: []Node{mapping}}}})
	}
	keys := Node{Kind: Mapping}
	flow := Node{Kind: Sequence, Style: Flow}
	for _, s := range texts {
		if len(s) <= maxKey {
			keys.Content = append(keys.Content, Node{Kind: Scalar, Text: s}, Node{Kind: Scalar, Text: s})
		}
		flow.Content = append(flow.Content, Node{Kind: Scalar, Text: s})
	}
	put("keys", keys)
	put("flow", Node{Kind: Mapping, Content: []Node{{Kind: Scalar, Text: "deep"}, flow}})
	put("empty", Node{Kind: Sequence, Content: []Node{{Kind: Mapping}, {Kind: Sequence}}})
	return root
}

// value gives what a tree means, as encoding/json has it.
func value(n *Node) any {
	switch n.Kind {
	case Mapping:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Text] = value(&n.Content[i+1])
		}
		return m
	case Sequence:
		l := []any{}
		for i := range n.Content {
			l = append(l, value(&n.Content[i]))
		}
		return l
	}
	return n.Text
}

func TestAppendDocumentIsReadBack(t *testing.T) {
	root := document(texts)
	out, err := AppendDocument(nil, root)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := NewReader(strings.NewReader(string(out)), "out", Limits{}).Next()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(value(root), value(doc.Root)); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

// TestPyYAMLReadsText lets a YAML 1.1 reader decide what is text: nothing may
// come back as a number, a date, a boolean or null.
func TestPyYAMLReadsText(t *testing.T) {
	root := document(texts)
	out, err := AppendDocument(nil, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, loader := range []string{"SafeLoader", "CSafeLoader"} {
		t.Run(loader, func(t *testing.T) {
			if err := exec.Command("/usr/bin/python3", "-c", "import yaml; yaml."+loader).Run(); err != nil {
				t.Skip("PyYAML is not installed with this loader:", err)
			}
			cmd := exec.Command("/usr/bin/python3", "-c", "import sys, yaml, json\n"+
				"json.dump(yaml.load(sys.stdin.buffer.read().decode(), Loader=yaml."+loader+"), sys.stdout, default=repr)")
			cmd.Stdin = strings.NewReader(string(out))
			cmd.Stderr = &strings.Builder{}
			result, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, cmd.Stderr)
			}
			var got any
			if err := json.Unmarshal(result, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value(root), got); diff != "" {
				t.Errorf("(-written +read)\n%s", diff)
			}
		})
	}
}

// TestLayout shows the form that libyaml gives.
func TestLayout(t *testing.T) {
	scalar := func(s string) Node { return Node{Kind: Scalar, Text: s} }
	long := strings.Repeat("0123456 ", 11) + "end"
	root := &Node{Kind: Mapping, Content: []Node{
		scalar("list"), {Kind: Sequence, Content: []Node{
			scalar("a"),
			{Kind: Mapping, Content: []Node{scalar("b"), scalar("c"), scalar("d"), {Kind: Sequence, Content: []Node{scalar("e")}}}},
			{Kind: Sequence, Content: []Node{scalar("f"), scalar("g")}},
		}},
		scalar("flow"), {Kind: Sequence, Style: Flow, Content: []Node{scalar("h"), scalar("1.10"), scalar("i, j"), scalar("-k")}},
		scalar("wide"), {Kind: Sequence, Style: Flow, Content: []Node{scalar(strings.Repeat("l", 80)), scalar("m"), scalar("o")}},
		scalar("long"), scalar(long),
		scalar("quoted"), scalar("it: " + long),
		scalar("folded"), {Kind: Scalar, Style: Folded, Text: long + "\n\nx\n"},
		scalar("literal"), {Kind: Scalar, Style: Literal, Text: "o\n  p\n"},
		scalar("lines"), scalar("q\n"),
		scalar("verbatim"), {Kind: Scalar, Style: Verbatim, Text: "true"},
		scalar("nested"), {Kind: Mapping, Content: []Node{scalar("6"), {Kind: Mapping}, scalar("r"), {Kind: Sequence}}},
	}}
	want := `---
list:
- a
- b: c
  d:
  - e
- - f
  - g
flow: [h, "1.10", 'i, j', -k]
wide: [` + strings.Repeat("l", 80) + `,
  m, o]
long: 0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456
  0123456 end
quoted: 'it: 0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456
  0123456 0123456 end'
folded: >
  0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456 0123456
  0123456 end


  x
literal: |
  o
    p
lines: 'q

  '
verbatim: true
nested:
  "6": {}
  r: []
...
`
	got, err := AppendDocument(nil, root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAppendDocumentRefuses(t *testing.T) {
	deep := Node{Kind: Scalar, Text: "x"}
	for range maxEmitDepth + 2 {
		deep = Node{Kind: Sequence, Content: []Node{deep}}
	}
	for name, root := range map[string]*Node{
		"text alone":         {Kind: Scalar, Text: "a"},
		"nothing":            {},
		"text not UTF-8":     {Kind: Sequence, Content: []Node{{Kind: Scalar, Text: "\xff"}}},
		"a mapping as a key": {Kind: Mapping, Content: []Node{{Kind: Mapping}, {Kind: Scalar}}},
		"a list in flow":     {Kind: Sequence, Content: []Node{{Kind: Sequence, Style: Flow, Content: []Node{{Kind: Sequence}}}}},
		"too deep":           &deep,
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := AppendDocument([]byte("kept"), root); err == nil || string(out) != "kept" {
				t.Errorf("got %q, %v; want an error and nothing appended", out, err)
			}
		})
	}
}

// FuzzAppendDocument writes any text in every style and reads it back.
func FuzzAppendDocument(f *testing.F) {
	for _, s := range texts {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		root := document([]string{a, b})
		out, err := AppendDocument(nil, root)
		if err != nil {
			return // not UTF-8
		}
		doc, err := NewReader(strings.NewReader(string(out)), "out", Limits{}).Next()
		if len(out) > 1<<20 {
			return
		}
		if a == b {
			return // the same key twice
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if diff := cmp.Diff(value(root), value(doc.Root)); diff != "" {
			t.Errorf("(-written +read)\n%s\n%s", diff, out)
		}
	})
}
