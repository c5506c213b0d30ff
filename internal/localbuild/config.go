// Package localbuild builds a module on this machine, from its document to a
// published repository in an output directory.
//
// It brings the pieces together: internal/source finds the sources,
// pkg/modulebuild decides and builds, pkg/repogen publishes. What it adds is the
// output directory (output.go), in which a run that was killed is taken up by
// the next one.
package localbuild

import (
	"io/fs"
	"log/slog"
	"time"

	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A Config says what to build and how.
type Config struct {
	Source string // a modulemd file, a directory with one, or a git URL with ?#ref
	Output string // directory; empty is NAME-STREAM in the current one

	OutputMode fs.FileMode // of a new output directory; 0 is 0777, in any case less the umask

	SRPMDir   string            // directory with source RPMs; may be empty
	SRPMs     map[string]string // component to source RPM or directory with a spec
	Lookaside string            // base of a lookaside cache; may be empty

	Context  modulemd.Context // of a v3 document's configurations, the one to build
	Version  uint64
	Platform *modulebuild.ModuleStream
	Enable   []modulebuild.ModuleStream
	Arch     string
	// HostPlatform is the platform stream of this host, where it has one.
	HostPlatform string
	Epoch        time.Time // SOURCE_DATE_EPOCH; zero where it is not set

	Jobs            int
	KeepGoing       bool
	DefaultProfiles []string
	DefaultStream   bool

	// NewBuilder makes the Builder, which may work in the existing directory dir,
	// below the output directory, until the build is over. It is called once it is known that there is something to do.
	NewBuilder func(plan *modulebuild.Plan, output, dir string) (modulebuild.Builder, error)
	// BuilderName is what NewBuilder's result will call itself.
	BuilderName string

	// Begin, where not nil, is called when the plan is settled; Observe with
	// what happens from then on, one event at a time.
	Begin   func(plan *modulebuild.Plan)
	Observe func(modulebuild.Event)

	Log *slog.Logger
	Now func() time.Time
}
