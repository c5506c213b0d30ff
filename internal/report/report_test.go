package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

// greeter is a build of four components in which one fails.
func greeter() Build {
	return Build{
		Title: "greeter:1.0", NSVCA: "greeter:1.0:20260304120000:0a1b2c3d:x86_64", Result: "failed",
		DistTag: ".module+f42+1+0a1b2c3d", Platform: "platform:f42", Builder: "mock:fedora-42-x86_64",
		Started: start, Ended: at(47.3),
		Components: []Component{
			{Name: "greeting-data", State: "taken over", Reason: "nothing it depends on has changed",
				Started: at(-600), Ended: at(-591.5),
				Links:    []Link{{"build.log", FileHref("logs/greeting-data/build.log")}},
				Packages: []Link{{"greeting-data-1.0-1.noarch.rpm", FileHref("repo/greeting-data-1.0-1.noarch.rpm")}}},
			{Name: "libgreeting", State: "built", Reason: "source is new", Started: at(0.2), Ended: at(21.7),
				Links: []Link{{"build.log", FileHref("logs/libgreeting/build.log")}, {"root.log", FileHref("logs/libgreeting/root.log")}},
				Packages: []Link{
					{"libgreeting-2.1-3.x86_64.rpm", FileHref("repo/libgreeting-2.1-3.x86_64.rpm")},
					{"libgreeting-devel-2.1-3.x86_64.rpm", FileHref("repo/libgreeting-devel-2.1-3.x86_64.rpm")}}},
			{Name: "greeter", State: "failed", Reason: "libgreeting was rebuilt", After: []string{"greeting-data", "libgreeting"},
				Started: at(21.8), Ended: at(46.9), Error: "rpmbuild: exit status 1",
				LogTail: "\x1b[31mmain.c:3:1: error: expected ‘;’ before ‘}’ token\x1b[0m\r\nmake: *** [Makefile:7: greeter] Error 1\nerror: Bad exit status from /var/tmp/rpm-tmp.x (%build)\n",
				Links:   []Link{{"build.log", FileHref("logs/greeter/build.log")}}},
			{Name: "greeter-doc", State: "not built", Reason: "greeter failed", After: []string{"greeter", "greeting-data", "libgreeting"}},
		},
		Facts:    []Fact{{Name: "Source", Value: "https://src.example.com/greeter?#0a1b2c3", Href: "https://src.example.com/greeter"}},
		Warnings: []string{"profile \"default\" names greeter-extra, which is not built"},
		Usage:    []string{"dnf --repofrompath=greeter,$PWD/repo module enable greeter:1.0", "dnf install @greeter:1.0"},
	}
}

func render(t testing.TB, b Build) string {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, b); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestGolden(t *testing.T) {
	got := render(t, greeter())
	golden := filepath.Join("testdata", "greeter.html")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("page differs from %s (-want +got):\n%s", golden, diff)
	}
	if again := render(t, greeter()); again != got {
		t.Error("the same build gave another page")
	}
}

// hostile is text that would do harm in HTML, in an attribute, in a URL, in XML
// or on a screen.
func hostile() []string {
	return []string{
		`<script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`'/><svg onload=alert(1)>`,
		`</title></style></textarea></pre><script>`,
		`]]><!--`, `-->`, `{{.Title}}`, `&lt;&#0;&unknown;`,
		"\x00\x01\x1b[2J\x1b]0;owned\x07\x7f\u009b31m",
		"\xff\xfe\xc3(\xed\xa0\x80", "\ufffe\uffff\U0001ffff",
		"abc\u202egpj.exe\u2066", "line\u2028break", "a\nb\r\tc",
		strings.Repeat("長い名前", 100), "", " ", "../../etc/passwd", "a%2e%2e%00b",
		"javascript:alert(1)", "  javascript:alert(1)", "java\tscript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,<script>", "vbscript:x",
		"//evil.example.com/x", `\\evil.example.com\x`, "http:evil", "https:///x", "file:///etc/passwd", "http://[::1", "\x01javascript:alert(1)",
	}
}

func hostileBuild() Build {
	all := hostile()
	b := Build{Title: all[0], NSVCA: all[1], Result: all[2], DistTag: all[3], Platform: all[8], Builder: all[9],
		Started: start, Ended: at(-5), Warnings: all, Usage: all}
	for i, s := range all {
		var links []Link
		for _, h := range all {
			links = append(links, Link{Text: s, Href: h})
		}
		b.Facts = append(b.Facts, Fact{s, s, s})
		b.Components = append(b.Components,
			Component{Name: s, State: s, Reason: s, After: all, Started: at(float64(i)), Links: links, Packages: links},
			Component{Name: s + "2", State: "failed", After: []string{s}, Started: at(100), Ended: at(1), Error: s, LogTail: s, Links: links})
	}
	return b
}

// element is a start tag as a browser would see it.
type element struct {
	name  string
	attrs map[string]string
}

// elements parses the page strictly as XML, which it is written to be too, and
// fails the test where that cannot be done.
func elements(t *testing.T, doc string) (all []element, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	var words strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all, words.String()
		}
		if err != nil {
			t.Fatalf("not well-formed at byte %d: %v", d.InputOffset(), err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			all = append(all, e)
		case xml.CharData:
			words.Write(token)
		}
	}
}

func TestHostile(t *testing.T) {
	doc := render(t, hostileBuild())
	if !utf8.ValidString(doc) {
		t.Error("page is not UTF-8")
	}
	for i, r := range doc {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == 0x2028 || unicode.Is(unicode.Cf, r) {
			t.Fatalf("byte %d is U+%04X", i, r)
		}
	}
	all, _ := elements(t, doc)
	for _, e := range all {
		switch e.name {
		case "script", "img", "iframe", "object", "textarea", "link", "base", "form":
			t.Errorf("page has an element <%s>", e.name)
		}
		for name, value := range e.attrs {
			if strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has %s=%q", e.name, name, value)
			}
			if name == "href" && !regexp.MustCompile(`^(#c\d+|https?://[^/].*|(\./)?[^:]*)$`).MatchString(value) || strings.Contains(value, "ZgotmplZ") {
				t.Errorf("<%s> leads to %q", e.name, value)
			}
			if name == "href" && (strings.HasPrefix(value, "//") || strings.HasPrefix(value, `\`)) {
				t.Errorf("<%s> leads to another host: %q", e.name, value)
			}
		}
	}
	if strings.Contains(doc, "[31m") && strings.Contains(doc, "\x1b") {
		t.Error("page has escape sequences")
	}
}

func TestNothingFromOutside(t *testing.T) {
	for name, b := range map[string]Build{"greeter": greeter(), "hostile": hostileBuild(), "large": large(1000)} {
		all, _ := elements(t, render(t, b))
		for _, e := range all {
			for attr, value := range e.attrs {
				// Only a link that a reader follows may lead out.
				if attr == "href" && e.name == "a" {
					continue
				}
				if attr == "src" || attr == "href" || attr == "srcset" || attr == "style" || attr == "action" || strings.Contains(value, "url(") {
					t.Errorf("%s: <%s %s=%q> may load something", name, e.name, attr, value)
				}
			}
		}
	}
	if s := styleSource; strings.Contains(s, "url(") || strings.Contains(s, "@import") {
		t.Error("style refers to something")
	}
}

func TestPictures(t *testing.T) {
	svg := regexp.MustCompile(`(?s)<svg .*?</svg>`)
	tests := map[string]Build{
		"greeter": greeter(), "hostile": hostileBuild(),
		"30":     large(30),
		"1000":   large(1000),
		"one":    {Components: []Component{{Name: "a", State: "waiting"}}},
		"cycle":  {Components: []Component{{Name: "a", After: []string{"a", "b"}}, {Name: "b", After: []string{"c", "no such"}}, {Name: "c", After: []string{"a"}}}},
		"twice":  {Components: []Component{{Name: "a"}, {Name: "a", After: []string{"a"}}}},
		"ages":   {Started: time.Unix(1, 0), Components: []Component{{Name: "a", Started: time.Unix(1, 0), Ended: time.Unix(1<<40, 0)}}},
		"moment": {Started: start, Ended: start, Components: []Component{{Name: "a", State: "built", Started: start, Ended: start}}},
	}
	number := regexp.MustCompile(`^-?\d+%?$`)
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			found := svg.FindAllString(render(t, b), -1)
			if len(found) != 2 {
				t.Fatalf("page has %d pictures, want 2", len(found))
			}
			for _, s := range found {
				all, _ := elements(t, s)
				if all[0].attrs["aria-label"] == "" {
					t.Error("picture has no text alternative")
				}
				for _, e := range all {
					for _, a := range []string{"x", "y", "width", "height", "cx", "cy"} {
						if v, ok := e.attrs[a]; ok && (!number.MatchString(v) || strings.HasPrefix(v, "-")) {
							t.Errorf("<%s %s=%q>", e.name, a, v)
						}
					}
				}
			}
		})
	}
}

func TestNoComponents(t *testing.T) {
	doc := render(t, Build{Title: "empty", Result: "failed"})
	elements(t, doc)
	if strings.Contains(doc, "<svg") {
		t.Error("page without components has a picture")
	}
}

// Every state of the engine has a look of its own.
func TestStates(t *testing.T) {
	seen := map[look]modulebuild.State{}
	for _, s := range []modulebuild.State{modulebuild.Waiting, modulebuild.Building, modulebuild.Built, modulebuild.TakenOver,
		modulebuild.Failed, modulebuild.Skipped, modulebuild.NotBuilt} {
		l := lookOf(string(s))
		if l == lookOf("?") {
			t.Errorf("state %q is not known", s)
		}
		if other, dup := seen[l]; dup {
			t.Errorf("states %q and %q look the same", s, other)
		}
		seen[l] = s
		if !strings.Contains(styleSource, "."+l.class) {
			t.Errorf("state %q has no style", s)
		}
	}
	if len(seen) != len(states()) {
		t.Errorf("%d states are counted, want %d", len(states()), len(seen))
	}
}

func TestTails(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"empty":      {"", ""},
		"colours":    {"\x1b[1;31mred\x1b[0m\n", "red"},
		"other":      {"\x1b]0;title\x07x", "␛]0;title␇x"},
		"line ends":  {"a\r\nb\r\n\n", "a\nb"},
		"many lines": {strings.Repeat("x\n", 1000) + "end", strings.Repeat("x\n", 99) + "end"},
		"long":       {strings.Repeat("é", 20000) + "\nend", "end"},
		"one line":   {"x" + strings.Repeat("é", 20000), strings.Repeat("é", 8192)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, cleanTail(tt.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHrefs(t *testing.T) {
	tests := []struct{ in, want string }{
		{FileHref("logs/libstdc++/build.log"), "logs/libstdc++/build.log"},
		{FileHref("repo/a b#1?%41.rpm"), "repo/a%20b%231%3F%2541.rpm"},
		{FileHref("a:b/c"), "./a:b/c"},
		{"https://koji.example.com/koji/taskinfo?taskID=1", "https://koji.example.com/koji/taskinfo?taskID=1"},
		{"#c1", "#c1"},
		{"javascript:alert(1)", ""}, {"//host/x", ""}, {"file:///x", ""}, {"http:x", ""}, {"///x", ""}, {`\\host\x`, "%5C%5Chost%5Cx"}, {"", ""},
	}
	for _, tt := range tests {
		if got := safeHref(tt.in); got != tt.want {
			t.Errorf("safeHref(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWriteError(t *testing.T) {
	if err := Write(fullDisk{}, greeter()); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("err = %v", err)
	}
}

// large makes a build of n components in which each waits for up to three of
// the twenty before it, and transitively for what those wait for, on 8 slots.
func large(n int) Build {
	b := Build{Title: fmt.Sprintf("large:%d", n), NSVCA: "large:1:2:3:x86_64", Result: "failed", DistTag: ".module+f42+1+00000000",
		Platform: "platform:f42", Builder: "host", Started: start, Usage: []string{"dnf module install large:1"}}
	random := uint32(n)
	next := func(limit int) int {
		random = random*1664525 + 1013904223
		return int(random>>8) % limit
	}
	var free [8]float64
	ended := make([]float64, n)
	for i := range n {
		c := Component{Name: fmt.Sprintf("component-%03d", i), State: "built", Reason: "source is new",
			Links: []Link{{"build.log", fmt.Sprintf("logs/component-%03d/build.log", i)}}}
		ready, after := 0.0, map[string]bool{}
		for range min(next(4), i) {
			j := max(i-1-next(20), 0)
			ready = max(ready, ended[j])
			for _, name := range append(b.Components[j].After, b.Components[j].Name) {
				after[name] = true
			}
		}
		for k := range i {
			if name := b.Components[k].Name; after[name] {
				c.After = append(c.After, name)
			}
		}
		slot := 0
		for k := range free {
			if free[k] < free[slot] {
				slot = k
			}
		}
		begin := max(free[slot], ready)
		ended[i] = begin + 2 + float64(next(60))
		switch {
		case i%11 == 3:
			c.State, c.Reason, ended[i] = "taken over", "unchanged", 0
		case i%17 == 9:
			c.State, c.Reason = "not built", "component-000 failed"
		default:
			c.Started, c.Ended, free[slot] = at(begin), at(ended[i]), ended[i]
			if i == n/2 {
				c.State, c.Error, c.LogTail = "failed", "exit status 1", "make: *** no rule\n"
			}
			for k := range 1 + next(12) {
				c.Packages = append(c.Packages, Link{fmt.Sprintf("component-%03d-sub%d-1.0-1.x86_64.rpm", i, k), "repo/x.rpm"})
			}
		}
		b.Components = append(b.Components, c)
		if c.Ended.After(b.Ended) {
			b.Ended = c.Ended
		}
	}
	return b
}

// groups makes a build of n components in buildorder groups of the given size:
// each waits for all of the groups before.
func groups(n, size int) Build {
	b := Build{Title: "groups", Result: "built"}
	for i := range n {
		c := Component{Name: fmt.Sprintf("c%d", i), State: "built", Started: at(float64(i / size * 10)), Ended: at(float64(i/size*10 + 1 + i%size))}
		for j := range i / size * size {
			c.After = append(c.After, fmt.Sprintf("c%d", j))
		}
		b.Components = append(b.Components, c)
	}
	return b
}

func BenchmarkWrite(b *testing.B) {
	for name, build := range map[string]Build{"30": large(30), "1000": large(1000), "1000 in groups": groups(1000, 100)} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if err := Write(io.Discard, build); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
