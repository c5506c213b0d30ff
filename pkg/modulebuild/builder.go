package modulebuild

import (
	"context"
	"errors"
	"time"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A Builder rebuilds components from source somewhere: in a sandbox on this
// host, in mock's chroots, as tasks of a build system. It is the one interface
// between the engine and a place where RPMs get built.
//
// The engine calls Prepare once, before any Build; then Build from several
// goroutines at once, never twice for one component at the same time.
type Builder interface {
	// Name says which Builder this is, in one word for logs and journals, and
	// with it what would make it build differently, for example "mock:fedora-42-x86_64".
	// Packages built under another name are not taken over.
	Name() string

	// Prepare looks at all the jobs that Build may be called with, so that
	// what can be known to fail does so before anything is built. Jobs have no
	// Available packages yet. An error that is the module's or the user's fault
	// is a *InputError.
	Prepare(ctx context.Context, jobs []Job) error

	// Build builds one component. Both binary and source packages are in the
	// Result. A failed build is a *BuildError; whatever the Builder has made
	// outside job.OutDir and job.LogDir is gone when Build returns.
	Build(ctx context.Context, job Job) (Result, error)
}

// A Job is the order to build one component.
type Job struct {
	Component string   // the component's name in the modulemd
	Names     []string // what the source package may be called
	After     []string // components that are finished before this one starts, transitively, sorted

	// Source is where the sources come from. Where they were fetched they are
	// either in SRPM, or in Spec together with the directory that it and its
	// sources and patches are in; a Builder that fetches by itself gets neither.
	Source Source
	SRPM   string // path of a source RPM
	Spec   string // path of a spec file

	Arch   string  // RPM architecture to build for, for example "x86_64"
	Macros []Macro // what must be defined while building, in order; later ones win
	Time   time.Time
	// Time is what the build takes for "now" where packages record it
	// (SOURCE_DATE_EPOCH). UTC, whole seconds.

	// Available are the packages that the components before this one have built,
	// sorted by path. They and nothing else of the module may be installed.
	Available []Package

	// InstallAlways names packages among Available that are installed without
	// being asked for (the module's "buildroot" profile, once a component marked
	// "buildroot" is built).
	InstallAlways []string

	OutDir string // existing, empty directory for the packages
	LogDir string // existing directory for build.log and root.log

	// Status, where not nil, is called with each line that the build prints. It
	// must not block.
	Status func(line string)
}

// A Package is one RPM file that was built.
type Package struct {
	Component string         `json:"component"`            // the component it was built from
	Path      string         `json:"path"`                 // of the file
	NEVRA     modulemd.NEVRA `json:"nevra"`                // from its header; Arch is "src" for a source package
	SourceRPM string         `json:"source_rpm,omitempty"` // file name of its source package; empty for a source package
	License   string         `json:"license"`              // License tag
	Label     string         `json:"label"`                // MODULARITYLABEL tag
	SHA256    string         `json:"sha256"`               // of the file, lower-case hex
	Size      int64          `json:"size"`                 // of the file in bytes

	// Of source packages: the architectures that they say they are not, or only,
	// built for; macros of a spec file are expanded.
	ExcludeArch   []string `json:"exclude_arch,omitempty"`
	ExclusiveArch []string `json:"exclusive_arch,omitempty"`
}

// A Result is what a build has made.
type Result struct {
	Packages []Package // sorted by file name; paths are in Job.OutDir, if there is one
	Taken    string    // why nothing had to be built; empty if it was
}

// ErrNotStarted is what a Builder returns that has found, before it began, that
// the module has failed elsewhere.
var ErrNotStarted = errors.New("not started: something else failed before")

// A BuildError says that a component could not be built. It is the component's
// or the environment's fault, not the input's.
type BuildError struct {
	Component string
	Log       string // path of the log that tells why; may be empty
	Tail      string // the end of that log
	Err       error
}

func (e *BuildError) Error() string {
	msg := "building " + e.Component + ": " + e.Err.Error()
	if e.Tail != "" {
		msg += "\nthe end of " + e.Log + ":\n" + e.Tail
	}
	return msg
}

func (e *BuildError) Unwrap() error { return e.Err }

// An InputError says that what the user gave cannot be built: it names what and
// where, and what to do.
type InputError struct {
	Where string // file:line, package and tag, option or URL; may be empty
	Msg   string
	Err   error // cause; may be nil
}

func (e *InputError) Error() string {
	msg := e.Msg
	if e.Where != "" {
		msg = e.Where + ": " + msg
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

func (e *InputError) Unwrap() error { return e.Err }
