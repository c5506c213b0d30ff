// Package report writes report.html: one module build on one page, for people.
//
// The page stands alone: style and pictures are in it, there is no script, and
// nothing is loaded from elsewhere, so it can be mailed, archived or served from
// any directory. It knows neither the engine nor a build system; whoever built
// the module fills in a Build:
//
//	err := report.Write(f, report.Build{
//		Title: "greeter:1.0", Result: "built",
//		Components: []report.Component{{
//			Name: "libgreeting", State: "built", Reason: "source is new",
//			Links: []report.Link{{Text: "build.log", Href: report.FileHref("logs/libgreeting/build.log")}},
//		}},
//	})
//
// Names, reasons and log lines come from strangers: all text is escaped, and what
// could not be seen (control characters, bytes that are not UTF-8, marks that turn
// the direction of writing) is made visible. The same Build gives the same bytes.
package report

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"time"
)

// A Build is what the page tells about one build of a module.
type Build struct {
	Title    string // the headline, for example "greeter:1.0"
	NSVCA    string // name:stream:version:context:architecture
	Result   string // "built", "failed" or "interrupted"
	DistTag  string // for example ".module+f42+1+0a1b2c3d"
	Platform string // for example "platform:f42"
	Builder  string // what built the components, for example "mock:fedora-42-x86_64"

	Started, Ended time.Time // of the whole build; zero where not known

	Components []Component // in the order in which they are to be listed
	Facts      []Fact      // whatever else belongs into the headline, in order
	Warnings   []string
	Usage      []string // shell lines that show how to use the repository
}

// A Component is one source package of the module.
type Component struct {
	Name   string
	State  string   // a modulebuild.State: "built", "taken over", "failed" …
	Reason string   // why it is in that state
	After  []string // names of the components that had to be finished before; transitive ones may be among them

	// Started and Ended are the times of its build; zero where it was not built
	// or has not ended. Those of a component that was taken over may be of the
	// earlier run: they give its duration but no bar.
	Started, Ended time.Time

	Links    []Link // logs, tasks
	Packages []Link // what was built
	Error    string // with State "failed": the error in short
	LogTail  string // with State "failed": the end of the log
}

// A Link is a text that may lead somewhere.
type Link struct {
	Text string

	// Href is a URL reference: relative to the page (see FileHref), or absolute
	// with the scheme http or https. With any other the text stands without a link.
	Href string
}

// A Fact is a line of the headline.
type Fact struct {
	Name, Value string
	Href        string // as in Link; may be empty
}

// FileHref makes the reference to a file out of its slash-separated path
// relative to the page.
func FileHref(path string) string {
	return (&url.URL{Path: path}).String()
}

//go:embed page.tmpl
var pageSource string

//go:embed style.css
var styleSource string

// Write writes the page about b to w.
func Write(w io.Writer, b Build) error {
	t, err := template.New("page").Parse(pageSource)
	if err == nil {
		_, err = t.New("style").Parse(styleSource)
	}
	if err != nil {
		return fmt.Errorf("reading the template of the report: %w", err)
	}
	out := bufio.NewWriter(w)
	if err := t.Execute(out, newPage(b)); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
