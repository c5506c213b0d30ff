package yamlx

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const hostileEnv = "YAMLX_HOSTILE_CASE"

// hostileInputs are documents as large as the limit that try to cost more than
// they should. The value is what Next returns: part of an error, or "" where
// the document is fine.
func hostileInputs() map[string]struct {
	text func() string
	want string
} {
	type input = struct {
		text func() string
		want string
	}
	const size = 4<<20 - 64
	fill := func(unit string) func() string {
		return func() string { return strings.Repeat(unit, size/len(unit)) }
	}
	wrap := func(before, unit, after string) func() string {
		return func() string { return before + strings.Repeat(unit, size/len(unit)) + after }
	}
	lines := func(n int, line func(i int) string) func() string {
		return func() string {
			var b strings.Builder
			for i := 0; i < n && b.Len() < size; i++ {
				b.WriteString(line(i))
			}
			return b.String()
		}
	}
	return map[string]input{
		"brackets":            {fill("["), "nodes"},
		"braces":              {fill("{"), "nodes"},
		"10,000 brackets":     {func() string { return strings.Repeat("[", 10000) + strings.Repeat("]", 10000) }, "deep"},
		"9,999 brackets":      {func() string { return strings.Repeat("[", 9999) + strings.Repeat("]", 9999) }, "deep"},
		"pairs of brackets":   {fill("[]"), "nodes"},
		"commas":              {wrap("[", "a,", "]"), "nodes"},
		"empty maps":          {wrap("[", "{},", "]"), "nodes"},
		"dashes":              {fill("- "), "nodes"},
		"9,999 dashes":        {func() string { return strings.Repeat("- ", 9999) }, "deep"},
		"dash lines":          {fill("-\n"), "nodes"},
		"question marks":      {fill("? "), "nodes"},
		"9,999 questions":     {func() string { return strings.Repeat("? ", 9999) }, "as a key"},
		"flow questions":      {wrap("{", "?", ""), "found"},
		"colons":              {fill(": "), "nodes"},
		"tight colons":        {wrap("{", ":", ""), "found"},
		"keys":                {fill("a: \n"), "nodes"},
		"quotes":              {fill("\""), "found"},
		"apostrophes":         {fill("'"), ""},
		"anchors":             {fill("&a "), "nodes"},
		"aliases":             {wrap("- &a x\n", "- *a\n", ""), "nodes"},
		"tags":                {fill("!!x "), "found"},
		"bangs":               {fill("! "), "found"},
		"tabs":                {fill("\t"), "found"},
		"blanks":              {wrap("a:", " ", "b"), ""},
		"bars":                {fill("|"), "found"},
		"literal lines":       {wrap("a: |\n", " x\n", ""), ""},
		"folded breaks":       {wrap("a: >\n x\n", "\n", " x\n"), ""},
		"literal blanks":      {wrap("a: |\n", " \n", " x\n"), ""},
		"one plain scalar":    {wrap("a: ", "x", "\n"), ""},
		"plain lines":         {wrap("a:\n", " x\n", ""), ""},
		"digits":              {wrap("a: ", "1", "\n"), ""},
		"number":              {wrap("a: 1e", "9", "\n"), ""},
		"underscores":         {wrap("a: 1", "_", "\n"), ""},
		"one quoted scalar":   {wrap("a: \"", "x", "\"\n"), ""},
		"escapes":             {wrap("a: \"", "\\n", "\"\n"), ""},
		"one key":             {wrap("", "k", ": v\n"), "found"},
		"one quoted key":      {wrap("? \"", "k", "\"\n: v\n"), "key"},
		"comments":            {fill("#\n"), ""},
		"comments inside":     {wrap("a: b\n", "#\n", "c: d\n"), ""},
		"comments spaced":     {wrap("a: b\n", "#\n\n", "c: d\n"), ""},
		"comments and values": {wrap("a:\n", "- x #\n#\n", ""), "nodes"},
		"comments indented":   {wrap("a:\n", "  # c\n", "  b: c\n"), ""},
		"comments in flow":    {wrap("a: [\n", "# c\n", "]\n"), ""},
		"comments after":      {wrap("a: b #", " #", "\n"), ""},
		"long comments":       {wrap("a: b # ", "x", "\n"), ""},
		"values and comments": {lines(99000, func(i int) string { return fmt.Sprintf("k%d: v # comment\n# foot\n\n", i) }), ""},
		"list and comments":   {lines(120000, func(int) string { return "- x\n#\n\n#\n" }), ""},
		"staircase": {func() string {
			var b strings.Builder
			for i := range 2500 {
				b.WriteString(strings.Repeat(" ", i) + "a:\n")
			}
			return b.String()
		}, "deep"},
		"staircase of dashes": {func() string {
			var b strings.Builder
			for i := range 2500 {
				b.WriteString(strings.Repeat(" ", i) + "-\n")
			}
			return b.String()
		}, "deep"},
		"most items":        {lines(199000, func(int) string { return "- x\n" }), ""},
		"most keys":         {lines(99000, func(i int) string { return fmt.Sprintf("k%d: v\n", i) }), ""},
		"most maps":         {lines(66000, func(i int) string { return fmt.Sprintf("k%d: {}\n", i) }), ""},
		"most flow":         {wrapN("[", "a,", "]", 190000), ""},
		"most nested flow":  {wrapN("[", "[[a]],", "]", 99000), "nodes"},
		"as many as pass":   {wrapN("", "- []\n", "", 199000), ""},
		"bound, flow":       {wrapN("[", "[],", "]", 130000), ""},
		"bound, long items": {lines(199000, func(int) string { return "- 0123456789abcd\n" }), ""},
		"directives":        {fill("%\n"), "directives"},
		"tag directives":    {lines(1<<20, func(i int) string { return fmt.Sprintf("%%TAG !%d! x\n", i) }), "directives"},
		"percents":          {wrap("--- ", "%", ""), "found"},
		"carriage returns":  {fill("\r"), ""},
		"nulls":             {fill("\x00"), "byte"},
		"line separators":   {fill("\u2028"), ""},
		"unicode":           {wrap("a: ", "\u00e9", "\n"), ""},
		"too large":         {func() string { return largeCase + " x\n" }, "larger"},
		"too large, a line": {func() string { return largeCase + "x" }, "larger"},
		"documents":         {wrapN("", "---\n", "", 100_000), ""},
	}
}

func wrapN(before, unit, after string, n int) func() string {
	return func() string { return before + strings.Repeat(unit, n) + after }
}

// largeCase begins the unit of an input that is fed 300 MiB of it.
const largeCase = "300 MiB:"

// A repeater gives one text over and over.
type repeater struct {
	unit []byte
	pos  int
}

func (r *repeater) Read(b []byte) (int, error) {
	for done := 0; done < len(b); {
		n := copy(b[done:], r.unit[r.pos:])
		done += n
		r.pos = (r.pos + n) % len(r.unit)
	}
	return len(b), nil
}

// TestHostile reads each input in a process of its own, whose peak memory the
// kernel reports.
func TestHostile(t *testing.T) {
	inputs := hostileInputs()
	if name := os.Getenv(hostileEnv); name != "" {
		readHostile(inputs[name].text())
		return
	}
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			if raceEnabled && !strings.Contains("brackets 10,000 brackets aliases commas too large", name) {
				t.Skip("the race detector makes this slow and hides what memory it takes; run without -race")
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestHostile$")
			cmd.Env = append(os.Environ(), hostileEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %.2000s", err, out)
			}
			use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			got := strings.TrimSuffix(string(bytes.SplitN(out, []byte("\n"), 2)[0]), "PASS")
			t.Logf("%s: %d KiB %v user %.120s", name, use.Maxrss, cmd.ProcessState.UserTime(), got)
			if input.want == "" && got != "" || !strings.Contains(got, input.want) {
				t.Errorf("got %q, want an error with %q", got, input.want)
			}
			if use.Maxrss > 200<<10 && !raceEnabled {
				t.Errorf("peak memory %d KiB, more than 200 MiB", use.Maxrss)
			}
		})
	}
}

func readHostile(text string) {
	var in io.Reader = strings.NewReader(text)
	if unit, ok := strings.CutPrefix(text, largeCase); ok {
		in = io.LimitReader(&repeater{unit: bytes.Repeat([]byte(unit), 10_000)}, 300<<20)
	}
	r := NewReader(in, "f", Limits{})
	for {
		_, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Println(err)
		}
	}
}
