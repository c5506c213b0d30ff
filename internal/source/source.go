// Package source finds where modules and their components come from, pins what
// was found to exact content, and lays it out on disk for a build.
//
// A module is a modulemd document in a file, a directory, or a git repository
// (OpenModule). A component is a source RPM, a git repository in dist-git
// layout, or a directory with a spec file (Finder). Finding has two steps:
//
//	pinned, err := finder.Resolve(ctx, request) // which bytes it is; all that can be known to be wrong
//	tree, err := finder.Fetch(ctx, pinned, dir) // a verified copy of them in dir
//
// Nothing that is read here is trusted. git runs without hooks, filters,
// submodules, helpers or prompts and never checks out: trees are written file by
// file through os.Root, which no name and no symbolic link can leave.
package source

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Kind says what a component's source is.
type Kind string

// The kinds of sources.
const (
	SRPM Kind = "srpm" // a source RPM
	Git  Kind = "git"  // a commit of a git repository in dist-git layout
	Dir  Kind = "dir"  // a directory with a spec file, outside version control
)

// A Request asks for the source of one component.
type Request struct {
	Component string   // the component's name in the modulemd
	Alias     string   // the package's own name, where the component is called otherwise
	Names     []string // what a source RPM may be called; empty means Component and Alias
	Where     string   // file:line of the component, for messages

	// Repository, Ref and Cache are what the modulemd says; each may be empty.
	// Cache is a lookaside location that already has the package's part in it.
	Repository, Ref, Cache string

	BaseDir string // directory of the modulemd; relative paths start there
	Remote  bool   // the modulemd came from elsewhere: it may not name local paths

	// Override is what the user named for this component, a source RPM or a
	// directory with a spec file. It wins over everything else.
	Override string
}

// own are the names under which the component's source is looked for.
func (r Request) own() []string {
	if r.Alias != "" && r.Alias != r.Component {
		return []string{r.Component, r.Alias}
	}
	return []string{r.Component}
}

// names are those that a source RPM may have once it is found: more than own,
// where a module lists names that no component has.
func (r Request) names() []string {
	if len(r.Names) > 0 {
		return r.Names
	}
	return r.own()
}

// Pinned is a source that has been found and fixed to exact content. Only
// Resolve makes one that Fetch takes.
type Pinned struct {
	Kind     Kind
	Location string // for people: URL or path; no secrets in it
	Ref      string // Git: the branch, tag or id that was asked for; "HEAD" if none was
	Commit   string // Git: full commit id
	Digest   string // "sha256:…" of an SRPM or a directory, "git:…" of a git tree; equal exactly where the content is

	name    string // of the source package: the component's, or the SRPM's own
	where   string
	path    string     // SRPM: the file; Dir: the directory
	url     GitURL     // Git
	tree    string     // Git: id of the tree object
	spec    string     // Git, Dir: name of the spec file
	sources []File     // Git, Dir: what the sources file lists
	bases   []location // Git, Dir: where the lookaside may be
}

// Tree is a source on disk. One of the two is set.
type Tree struct {
	SRPM string // path of the source RPM
	Spec string // path of the spec file; its directory holds all sources and patches
}

// A Finder finds components. Its zero value works, with what is beside the
// modulemd and WorkDir being the system's temporary directory. It may be used by
// several goroutines at once; do not copy or change it after its first use.
type Finder struct {
	SRPMDir   string // directory with source RPMs, or with NAME/ directories that hold a spec
	Lookaside string // http(s) or file URL, or directory, of a lookaside cache
	WorkDir   string // clones and downloads go below it and are kept for later runs
	Ignore    []string
	// Ignore are paths that are no part of a directory's content: the output of
	// a build that lies within it.

	MaxSize int64         // largest file taken, in bytes; 0 means 4 GiB
	Retries int           // attempts after a failed download; 0 means 4, negative none
	Backoff time.Duration // pause before the first of them, doubled each time; 0 means 1 s
	Stall   time.Duration // how long a transfer may stand still; 0 means 60 s

	HTTP *http.Client // nil means http.DefaultClient
	Log  *slog.Logger // nil means none

	gitOnce sync.Once
	gitRun  *git
	gitErr  error

	srpmOnce  sync.Once
	srpmIndex srpmIndex
	srpmErr   error
}

const (
	defaultMaxSize = 4 << 30
	defaultRetries = 4
	defaultBackoff = time.Second
	defaultStall   = 60 * time.Second
)

func (f *Finder) log() *slog.Logger { return orDiscard(f.Log) }

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

func (f *Finder) maxSize() int64 {
	if f.MaxSize > 0 {
		return f.MaxSize
	}
	return defaultMaxSize
}

// Fault says who has to act on an Error.
type Fault int

// The faults. Environment is the network, the disk, or a missing program: the
// same input may succeed later. BadInput will not.
const (
	Environment Fault = iota
	BadInput
)

// An Error says what is wrong with a source.
type Error struct {
	Where   string // file:line, option or path that names the source; may be empty
	Subject string // the component, URL or file; no secrets; may be empty
	Msg     string // what is wrong and what to do
	Fault   Fault
	Err     error // cause; may be nil
}

func (e *Error) Error() string {
	var parts []string
	for _, s := range []string{e.Where, e.Subject, e.Msg} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

func (e *Error) Unwrap() error { return e.Err }

// IsBadInput reports whether err, or the first *Error in its chain, blames the
// input.
func IsBadInput(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Fault == BadInput
}

// badInput makes the error of a wrong input.
func badInput(where, subject, msg string, err error) error {
	return &Error{Where: where, Subject: subject, Msg: msg, Fault: BadInput, Err: err}
}

// inComponent adds where a component was named to an error about its source. The
// fault stays what it was.
func inComponent(where, component string, err error) error {
	if err == nil {
		return nil
	}
	fault := Environment
	if IsBadInput(err) {
		fault = BadInput
	}
	return &Error{Where: where, Subject: "component " + component, Fault: fault, Err: err}
}
