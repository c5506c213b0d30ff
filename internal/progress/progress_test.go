package progress

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", path, diff)
	}
}

// clock is a clock that stands still until it is moved.
type clock struct{ t time.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.t }

// env gives a terminal with UTF-8 and without colour, unless changed.
func env(changes map[string]string) func(string) string {
	return func(name string) string {
		if v, ok := changes[name]; ok {
			return v
		}
		return map[string]string{"TERM": "xterm", "LANG": "en_US.UTF-8", "NO_COLOR": "1"}[name]
	}
}

// play lets a build of four components run on p: one taken over, one built, one
// failed, one not built. step is called after each event.
func play(p *Progress, c *clock, step func(name string)) {
	event := func(after time.Duration, e modulebuild.Event) {
		c.t = c.t.Add(after)
		e.Time = c.t
		p.Observe(e)
		p.tick()
		step(e.Component + " " + string(e.State) + " " + e.Line)
	}
	const s = time.Second
	event(300*time.Millisecond, modulebuild.Event{Component: "greeting-data", State: modulebuild.TakenOver, Reason: "nothing has changed"})
	event(12*s, modulebuild.Event{Component: "libgreeting", State: modulebuild.Building, Reason: "source is new"})
	event(1*s, modulebuild.Event{Component: "libgreeting", State: modulebuild.Building, Line: "+ ./configure\r\n"})
	event(70*s, modulebuild.Event{Component: "libgreeting", State: modulebuild.Building, Line: "cc -c \x1b[31mgreeting.c\x1b[0m"})
	p.Println("warning: profile default names no package\nnor does minimal")
	step("message")
	event(3*s, modulebuild.Event{Component: "libgreeting", State: modulebuild.Built})
	event(0, modulebuild.Event{Component: "greeter", State: modulebuild.Building, Reason: "libgreeting was rebuilt"})
	event(4*s+200*time.Millisecond, modulebuild.Event{Component: "greeter", State: modulebuild.Failed,
		Err: &modulebuild.BuildError{Component: "greeter", Log: "logs/greeter/build.log", Tail: "<oops>\u009b", Err: errors.New("exit status 1")}})
	event(0, modulebuild.Event{Component: "greeter-doc", State: modulebuild.NotBuilt, Reason: "greeter failed"})
}

func names() []string { return []string{"greeting-data", "libgreeting", "greeter", "greeter-doc"} }

func TestForms(t *testing.T) {
	tests := map[string]Options{
		"plain":     {},
		"json":      {JSON: true},
		"dumb":      {Terminal: true, Env: env(map[string]string{"TERM": "dumb"})},
		"json-term": {JSON: true, Terminal: true},
	}
	files := map[string]string{"plain": "plain.txt", "dumb": "plain.txt", "json": "lines.json", "json-term": "lines.json"}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c := newClock()
			opts.Components, opts.Now = names(), c.now
			p := newProgress(&out, opts)
			play(p, c, func(string) {})
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			p.Observe(modulebuild.Event{Component: "greeter", State: modulebuild.Building}) // too late
			if opts.JSON {
				for line := range strings.Lines(out.String()) {
					if !json.Valid([]byte(line)) {
						t.Errorf("not JSON: %s", line)
					}
				}
			}
			golden(t, files[name], out.String())
		})
	}
}

func TestTable(t *testing.T) {
	tests := map[string]struct {
		w, h int
		env  map[string]string
	}{
		"table":        {72, 12, nil},
		"table-narrow": {30, 12, nil},
		"table-low":    {60, 4, nil},
		"table-ascii":  {72, 12, map[string]string{"LC_ALL": "C"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newTerminal(t, tt.w, tt.h)
			c := newClock()
			p := newProgress(m, Options{Components: names(), Terminal: true, Size: m.size, Now: c.now, Env: env(tt.env)})
			var frames strings.Builder
			show := func(title string) { fmt.Fprintf(&frames, "== %q\n%s", title, m) }
			show("start")
			play(p, c, show)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			p.Println("The repository is in /srv/greeter")
			show("end")
			if len(m.colors) > 0 {
				t.Errorf("NO_COLOR is set, but there are colours: %q", m.colors)
			}
			golden(t, name+".txt", frames.String())
		})
	}
}

func TestColor(t *testing.T) {
	for value, want := range map[string]bool{"": true, "1": false} {
		m := newTerminal(t, 72, 12)
		c := newClock()
		p := newProgress(m, Options{Components: names(), Terminal: true, Size: m.size, Now: c.now, Env: env(map[string]string{"NO_COLOR": value})})
		play(p, c, func(string) {})
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if got := len(m.colors) > 0; got != want {
			t.Errorf("NO_COLOR=%q: colours %v, want %v", value, got, want)
		}
		if want && m.colors[len(m.colors)-1] != "0m" {
			t.Errorf("colours end with %q", m.colors[len(m.colors)-1])
		}
	}
}

// A table keeps to one place while the window changes.
func TestResize(t *testing.T) {
	m := newTerminal(t, 100, 20)
	c := newClock()
	p := newProgress(m, Options{Components: names(), Terminal: true, Size: m.size, Now: c.now, Env: env(nil)})
	p.Println("before")
	for _, size := range [][2]int{{100, 20}, {40, 20}, {22, 20}, {80, 60}, {7, 60}, {80, 60}} {
		m.resize(size[0], size[1])
		c.t = c.t.Add(time.Second)
		p.Observe(modulebuild.Event{Time: c.t, Component: "greeter", State: modulebuild.Building, Line: strings.Repeat("長い line ", 20)})
		if n := strings.Count(m.String(), "before"); n != 1 {
			t.Errorf("at %v the message is there %d times:\n%s", size, n, m)
		}
	}
	if got := len(strings.Split(strings.TrimSpace(m.String()[strings.Index(m.String(), "0 of 4"):]), "\n")); got != 5 {
		t.Errorf("table has %d lines, want 5:\n%s", got, m)
	}
	if n := strings.Count(m.String(), " of 4 done"); n != 1 {
		t.Errorf("%d tables:\n%s", n, m)
	}
}

// No window is too small to be drawn in.
func TestTiny(t *testing.T) {
	for w := range 12 {
		for h := range 6 {
			m := newTerminal(t, max(w, 1), max(h, 1))
			if w == 0 || h == 0 {
				m.w, m.h = 80, 24
			}
			c := newClock()
			size := func() (int, int) { return w, h }
			p := newProgress(m, Options{Components: names(), Terminal: true, Size: size, Now: c.now, Env: env(nil)})
			for _, name := range names() {
				c.t = c.t.Add(time.Second)
				p.Observe(modulebuild.Event{Time: c.t, Component: name, State: modulebuild.Building, Line: "x"})
				if n := len(m.lines); n > m.h {
					t.Errorf("%dx%d: the table has scrolled to %d lines:\n%s", w, h, n, m)
				}
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// With more components than rows, those being built come first, and the rest is
// counted; in the end all are there.
func TestMany(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("c%03d", i))
	}
	m := newTerminal(t, 60, 8)
	c := newClock()
	p := newProgress(m, Options{Components: many, Terminal: true, Size: m.size, Now: c.now, Env: env(nil)})
	for i := range 500 {
		e := modulebuild.Event{Time: c.t, Component: many[i], State: modulebuild.Built}
		if i >= 490 {
			e.State = modulebuild.Building
		}
		p.Observe(e)
	}
	c.t = c.t.Add(time.Second)
	p.Observe(modulebuild.Event{Time: c.t, Component: "c007", State: modulebuild.Failed, Err: errors.New("exit status 1")})
	want := `490 of 1000 done in 1s: 10 building, 1 failed, 500 waiting…
▸ c490  building          1s
▸ c491  building          1s
▸ c492  building          1s
▸ c493  building          1s
▸ c494  building          1s
  and 995 more: 5 building, 1 failed, 500 waiting, 489 bui…
`
	if diff := cmp.Diff(want, m.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(m.String(), "\n"); n != 1001 {
		t.Errorf("the final table has %d lines, want 1001", n)
	}
}

func TestRate(t *testing.T) {
	m := newTerminal(t, 80, 24)
	c := newClock()
	p := newProgress(m, Options{Components: names(), Terminal: true, Size: m.size, Now: c.now, Env: env(nil)})
	for range 10_000 { // in one second
		c.t = c.t.Add(100 * time.Microsecond)
		p.Observe(modulebuild.Event{Time: c.t, Component: "greeter", State: modulebuild.Building, Line: "x"})
		p.tick()
	}
	if m.writes > 11 {
		t.Errorf("%d redraws in a second", m.writes)
	}
	before := m.writes
	for range 100 { // nothing happens, only the clocks go
		c.t = c.t.Add(100 * time.Millisecond)
		p.tick()
	}
	if got := m.writes - before; got < 9 || got > 11 {
		t.Errorf("%d redraws in ten silent seconds, want one each", got)
	}
}

// hostile are lines that would do something to a terminal.
func hostile() []string {
	return []string{
		"\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]52;c;ZXZpbA==\x1b\\", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x1bPq#0\x1b\\",
		"\x1b", "\x1b[", "\x1b[999", "\x1b]0;never ends", "\x1bc", "\x1b(0", "\x1b#8", "\x1b\x1b[31m", "\x1b[\x1b[31mm",
		"\u009b31m", "\u009d0;x\u009c", "\x9b31m\xff\xfe", "a\rb", "a\nb", "a\bb\x7f\x00\x0e\x0f\x05\v\f", "\u202eabc\u2066\u200b\ufeff",
		"e" + strings.Repeat("\u0301", 10000), strings.Repeat("x", 1<<20), strings.Repeat("字", 5000), "👩\u200d👩\u200d👧 🇩🇪 ❤\ufe0f", "\u2028\u2029",
	}
}

func TestHostile(t *testing.T) {
	for i, line := range hostile() {
		for _, opts := range []Options{{}, {Terminal: true}, {JSON: true}} {
			m := newTerminal(t, 50, 20)
			if !opts.Terminal {
				m.w = 1 << 30
			}
			c := newClock()
			opts.Components, opts.Size, opts.Now, opts.Env = []string{line}, m.size, c.now, env(nil)
			p := newProgress(m, opts)
			for _, e := range []modulebuild.Event{
				{State: modulebuild.Building, Reason: line}, {State: modulebuild.Building, Line: line}, {State: modulebuild.State(line), Reason: line},
				{State: modulebuild.Failed, Err: errors.New(line)},
			} {
				e.Component, e.Time = line, c.t
				p.Observe(e)
				c.t = c.t.Add(2 * time.Minute)
				p.tick() // fails the test at anything that is not known
			}
			p.Println(line)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if opts.Terminal && strings.Count(m.String(), " of 1 done") != 1 {
				t.Errorf("%d: not one table:\n%s", i, m)
			}
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile()[:20] {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("clean(%q) = %q", s, got)
		}
		for n := range 12 {
			if w := textWidth(cut(got, n, "…")); w > n {
				t.Errorf("cut(%q, %d) is %d wide", got, n, w)
			}
			if w := textWidth(pad(got, n, "…")); w != n {
				t.Errorf("pad(%q, %d) is %d wide", got, n, w)
			}
		}
	})
}

func TestText(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"colour":          {"\x1b[1;31merror:\x1b[0m no", "error: no"},
		"8-bit colour":    {"\u009b31mred", "red"},
		"title":           {"a\x1b]0;evil\x07b", "ab"},
		"link":            {"\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		"unfinished":      {"a\x1b]0;evil", "a]0;evil"},
		"character set":   {"\x1b(0abc", "abc"},
		"tab":             {"a\tb", "a b"},
		"not UTF-8":       {"a\xffb", "a\ufffdb"},
		"other direction": {"a\u202eb", "ab"},
		"accents":         {"e\u0301\u0301\u0301\u0301x", "e\u0301\u0301x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, clean(tt.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for in, want := range map[string]string{" 10%\r 50%\r100%\r\n": "100%", "a": "a", "": "", "x\r": "x"} {
		if got := lastLine(in); got != want {
			t.Errorf("lastLine(%q) = %q, want %q", in, got, want)
		}
	}
	for n, want := range map[int]string{0: "", 1: "…", 2: "…", 3: "長…", 4: "長…", 5: "長い…", 6: "長い名", 7: "長い名"} {
		if got := cut("長い名", n, "…"); got != want {
			t.Errorf("cut to %d = %q, want %q", n, got, want)
		}
	}
}

type broken struct{ writes int }

func (b *broken) Write([]byte) (int, error) { b.writes++; return 0, errors.New("broken pipe") }

func TestWriteError(t *testing.T) {
	var b broken
	c := newClock()
	p := newProgress(&b, Options{Components: names(), Now: c.now})
	play(p, c, func(string) {})
	if err := p.Close(); err == nil || b.writes != 1 {
		t.Errorf("err = %v after %d writes, want an error after one", err, b.writes)
	}
}

// Everything at once, for the race detector.
func TestConcurrent(t *testing.T) {
	for _, opts := range []Options{{}, {Terminal: true}, {JSON: true}} {
		var out bytes.Buffer
		opts.Components, opts.Env = names(), env(nil)
		p := New(&out, opts)
		var wg sync.WaitGroup
		for _, name := range names() {
			wg.Go(func() {
				for i := range 200 {
					p.Observe(modulebuild.Event{Time: time.Now(), Component: name, State: modulebuild.Building, Line: fmt.Sprint(i)})
				}
				p.Println(name)
				p.tick()
				p.Observe(modulebuild.Event{Time: time.Now(), Component: name, State: modulebuild.Built})
			})
		}
		wg.Go(func() { time.Sleep(2 * redraw) })
		wg.Wait()
		for range 3 {
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range names() {
			if !strings.Contains(out.String(), name) {
				t.Errorf("nothing about %s", name)
			}
		}
	}
}
