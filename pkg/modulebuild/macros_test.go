package modulebuild

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMacros(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []Macro
	}{
		{"nothing", "", nil},
		{"simple", "%demomacro 1\n%demomacro2 %{demomacro}23\n", []Macro{{"demomacro", "1"}, {"demomacro2", "%{demomacro}23"}}},
		{"comments and blank lines", "# %not 1\n\n  # a { brace\n%yes 1", []Macro{{"yes", "1"}}},
		{"blanks around", "  %a \t 1  \n", []Macro{{"a", "1"}}},
		{"parameters", "%demo(a:b) -%{-a*}-", []Macro{{"demo(a:b)", "-%{-a*}-"}}},
		{"continued", "%a one \\\n  two\n%b 2", []Macro{{"a", "one \n  two"}, {"b", "2"}}},
		{"open brace", "%a %{expand:\n  x { y }\n}\n%b 2", []Macro{{"a", "%{expand:\n  x { y }\n}"}, {"b", "2"}}},
		{"open parenthesis", "%a %(echo\n1)\n%b 2", []Macro{{"a", "%(echo\n1)"}, {"b", "2"}}},
		{"a lone brace is text", "%a x {\n%b 2", []Macro{{"a", "x {"}, {"b", "2"}}},
		{"escaped percent", "%a 100%%{\n%b 2", []Macro{{"a", "100%%{"}, {"b", "2"}}},
		{"escaped backslash ends the line", `%a x\\` + "\n%b 2", []Macro{{"a", `x\\`}, {"b", "2"}}},
		{"carriage returns", "%a 1\r\n%b 2\r\n", []Macro{{"a", "1"}, {"b", "2"}}},
		{"twice", "%a 1\n%a 2", []Macro{{"a", "1"}, {"a", "2"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMacros(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseMacros(%q) (-want +got):\n%s", tt.text, diff)
			}
			again, err := ParseMacros(FormatMacros(got))
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("after FormatMacros: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseMacrosRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		line       int
	}{
		{"no macro", "%a 1\nhello\n", 2},
		{"no value", "%a 1\n%b\n", 2},
		{"only blanks", "%b   \n", 1},
		{"a blank in the name", "%my macro\n%foo bar baz\n% x 1", 3},
		{"a digit first", "%1a 2", 1},
		{"a brace that stays open", "%ok 1\n%open %{expand:\nx\n", 2},
		{"a backslash at the end", "%open x\\", 1},
		{"a backslash and a blank at the end", "%name one \\ ", 1},
		{"rpm's own", "%ok 1\n%define a b", 2},
		{"rpm's own, again", "%undefine a", 1},
		{"an open body", "%ok 1\n%name {x", 2},
		{"an empty body", "%name {}", 1},
		{"a control character", "%ok 1\n%bell a\x07", 2},
		{"a lone underscore", "%_ 1", 1},
		{"a dash in the name", "\n\n%my-macro 1", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseMacros(tt.text)
			var e *MacroError
			if !errors.As(err, &e) || e.Line != tt.line {
				t.Errorf("ParseMacros(%q): %v, want a MacroError in line %d", tt.text, err, tt.line)
			}
		})
	}
}

// TestMacrosMeanTheSame has rpm read both the text of a document and what we
// write after having read it.
func TestMacrosMeanTheSame(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("rpm is not installed")
	}
	for _, tt := range []struct{ text, eval string }{
		{"%demomacro 1\n%demomacro2 %{demomacro}23", "%demomacro2"},
		{"%a one \\\ntwo \\\n  three\n%b 2", "%a|%b"},
		{"%a %{expand:\nx %{b}\n}\n%b 2", "%a|%b"},
		{"%hello(n:) Hello, %{-n*}%{!-n:world}! %{?1}", "%{hello -n you there}|%{hello}"},
		{"%a 100%%", "%a"},
		{`%a back\\slash`, "%a"},
		{`%a a\nb \%b`, "%a"},
		{"%a {in braces}", "%a"},
		{"%a 1\n%a 2\n", "%a"},
		{"# %a 0\n%a 1 # no comment", "%a"},
		{"%a \\\n  %{b} \\\n  %{nil}\n%b x", "%a|%b"},
	} {
		macros, err := ParseMacros(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if want, got := rpmEval(t, tt.text+"\n", tt.eval), rpmEval(t, FormatMacros(macros), tt.eval); got != want {
			t.Errorf("%q: %s is %q as written, %q as we write it", tt.text, tt.eval, want, got)
		}
	}
}

func rpmEval(t *testing.T, macros, expr string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "macros")
	if err := os.WriteFile(file, []byte(macros), 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("rpm", "--load", file, "--eval", expr).CombinedOutput()
	if err != nil {
		t.Fatalf("rpm --eval %s: %v\n%s", expr, err, out)
	}
	return strings.TrimSpace(string(out))
}

func FuzzParseMacros(f *testing.F) {
	f.Add("%q one \\}}}}}}\\ ")
	f.Add("%a one \\\n two\n%b(x:) %{?1:\n}\n# c\n")
	f.Fuzz(func(t *testing.T, text string) {
		macros, err := ParseMacros(text)
		if err != nil {
			return
		}
		again, err := ParseMacros(FormatMacros(macros))
		if err != nil {
			t.Fatalf("what was read from %q cannot be read after writing: %v", text, err)
		}
		if diff := cmp.Diff(macros, again); diff != "" {
			t.Fatalf("%q changes by writing (-want +got):\n%s", text, diff)
		}
	})
}
