// Package progress shows a running module build to a person, or to a program
// that reads lines.
//
// There are three forms: a table that is redrawn in place, for terminals; one
// line for each change, for everything else; and one JSON object for each change.
//
//	p := progress.New(os.Stderr, progress.Options{
//		Components: names,
//		Terminal:   term.IsTerminal(2),
//		Size:       func() (w, h int) { … },
//	})
//	defer p.Close()
//	// give p.Observe to the engine as its observer
//
// Log lines come from strangers' builds: escape sequences and control characters
// never reach the terminal.
package progress

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// Options say what is shown and how. Only Components should always be given.
type Options struct {
	Components []string // all of the module's, in the order in which they are shown

	// Terminal says that the output is a terminal. With TERM=dumb it gets lines
	// all the same.
	Terminal bool
	// Size returns the terminal's columns and rows; it is asked before each
	// redraw. Nil, or a result below one, means 80 columns and 24 rows.
	Size func() (w, h int)

	JSON bool // JSON lines, terminal or not

	Now func() time.Time         // nil: time.Now
	Env func(name string) string // for TERM, NO_COLOR, LC_ALL, LC_CTYPE, LANG; nil: os.Getenv
}

const (
	redraw    = 100 * time.Millisecond // shortest time between two redraws
	heartbeat = time.Minute            // between two signs of life of a long build, as lines
)

// A Progress shows the events that it observes. Its methods may be called from
// several goroutines at once. They never fail: the first error in writing is
// kept for Close, and nothing more is written.
type Progress struct {
	mu     sync.Mutex
	out    *output
	form   form
	now    func() time.Time
	build  state
	closed bool
	stop   chan struct{}
	done   chan struct{}
}

// A form is one way to show a build. Its methods are called one at a time.
type form interface {
	// observed comes after each event; changed says that the component's state, or
	// the reason for it, is new, and that it was not a mere log line.
	observed(b *state, now time.Time, c *component, e modulebuild.Event, changed bool)
	tick(b *state, now time.Time)
	message(b *state, now time.Time, text string)
	close(b *state, now time.Time)
}

// state is what is known of the build.
type state struct {
	start      time.Time
	components []*component
	byName     map[string]*component
	nameWidth  int // cells of the longest name
}

type component struct {
	name           string // fit to be shown
	state          modulebuild.State
	reason         string
	line           string // the last of its log, or what failed
	started, ended time.Time
	beat           time.Time // when something was last said of it
}

// elapsed is how long the component has been or was built; zero if it was not.
func (c *component) elapsed(now time.Time) time.Duration {
	if c.started.IsZero() {
		return 0
	}
	if !c.ended.IsZero() {
		now = c.ended
	}
	return max(now.Sub(c.started), 0)
}

// New starts to show a build. Close must be called when it has ended.
func New(w io.Writer, opts Options) *Progress {
	p := newProgress(w, opts)
	p.stop, p.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.done)
		ticker := time.NewTicker(redraw)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-ticker.C:
				p.tick()
			}
		}
	}()
	return p
}

// newProgress makes a Progress on which nothing happens by itself.
func newProgress(w io.Writer, opts Options) *Progress {
	env := opts.Env
	if env == nil {
		env = os.Getenv
	}
	p := &Progress{out: &output{w: w}, now: opts.Now}
	if p.now == nil {
		p.now = time.Now
	}
	p.build = state{start: p.now(), byName: map[string]*component{}}
	for _, name := range opts.Components {
		p.build.component(name)
	}
	switch {
	case opts.JSON:
		p.form = &jsonLines{out: p.out}
	case opts.Terminal && env("TERM") != "dumb":
		t := &table{out: p.out, size: opts.Size, color: env("NO_COLOR") == "", ascii: !utf8Locale(env)}
		t.draw(&p.build, p.build.start)
		p.form = t
	default:
		p.form = &lines{out: p.out}
	}
	return p
}

// utf8Locale reports whether the terminal's characters are UTF-8, by the rule
// of locale(7): the first of three variables that is set decides.
func utf8Locale(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

func (b *state) component(name string) *component {
	c := b.byName[name]
	if c == nil {
		c = &component{name: clean(name), state: modulebuild.Waiting}
		b.byName[name] = c
		b.components = append(b.components, c)
		b.nameWidth = max(b.nameWidth, textWidth(c.name))
	}
	return c
}

// Observe takes an event of the engine.
func (p *Progress) Observe(e modulebuild.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	now := p.now()
	if e.Time.IsZero() {
		e.Time = now
	}
	c := p.build.component(e.Component)
	changed := c.update(e)
	p.form.observed(&p.build, now, c, e, changed)
}

// update takes over what e says and reports whether that is more than a log line.
func (c *component) update(e modulebuild.Event) bool {
	reason := clean(e.Reason)
	changed := e.State != c.state || e.Line == "" && reason != "" && reason != c.reason
	if e.State != c.state {
		c.line = ""
		switch e.State {
		case modulebuild.Building:
			c.started, c.ended = e.Time, time.Time{}
		case modulebuild.Waiting: // again
			c.started, c.ended = time.Time{}, time.Time{}
		default:
			c.ended = e.Time
		}
	}
	if changed {
		c.beat = e.Time
	}
	c.state = e.State
	if reason != "" {
		c.reason = reason
	}
	if line := clean(lastLine(e.Line)); line != "" {
		c.line = line
	}
	if e.Err != nil {
		c.line = clean(firstLine(cause(e.Err).Error()))
	}
	return changed
}

// cause is the error without the component's name, which stands before it anyway,
// and without the end of the log, which is too long for a line.
func cause(err error) error {
	if failed, ok := errors.AsType[*modulebuild.BuildError](err); ok && failed.Err != nil {
		return failed.Err
	}
	return err
}

// Println shows a message, which may have several lines, above the table or
// between the lines.
func (p *Progress) Println(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.form.message(&p.build, p.now(), text)
}

func (p *Progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.form.tick(&p.build, p.now())
	}
}

// Close shows the final table, where there is one, and returns the first error
// in writing. After it, Observe does nothing; Println still writes.
func (p *Progress) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		p.form.close(&p.build, p.now())
		if p.stop != nil {
			close(p.stop)
			// tick may be waiting for the lock.
			p.mu.Unlock()
			<-p.done
			p.mu.Lock()
		}
	}
	return p.out.err
}

// output remembers the first error and writes nothing after it.
type output struct {
	w   io.Writer
	err error
}

func (o *output) write(s string) {
	if o.err == nil && s != "" {
		_, o.err = io.WriteString(o.w, s)
	}
}
