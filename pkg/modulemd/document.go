package modulemd

import "fmt"

// A Document is one of [*Stream], [*PackagerV2], [*PackagerV3] and [*Defaults].
type Document interface {
	// Type gives the document's type and version as its header has them, for
	// example "modulemd", 2.
	Type() (name string, version uint64)
	// Position is where the document began; the zero Position if it was made.
	Position() Position
	// Validate reports everything that is wrong with the document as
	// [Problems], or nil. Write does this first.
	Validate() error
}

// Position is a place in a file. Writing ignores positions.
type Position struct {
	File   string
	Line   int // from 1; 0 where there is no position
	Column int // from 1
}

// String gives "file:line:column", or "" for no position.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// StreamName is the name of a module's stream, as "1.10" or "latest". It is
// never a number.
type StreamName string

// Context tells builds of one stream and version apart, as "c0ffee43".
type Context string

// References points to a module's upstream.
type References struct {
	Community     string
	Documentation string
	Tracker       string
}

// Profile is a set of packages to install together.
type Profile struct {
	Description string
	RPMs        []string // package names; a set, written sorted
	Default     bool     // installed where nothing else is asked for
}

// License of a module: of its metadata, and of the packages in it. Both are
// sets.
type License struct {
	Module  []string
	Content []string
}

// ServiceLevel is a promise about a module.
type ServiceLevel struct {
	EOL string // the day it ends, "2077-10-23"; empty where there is none
}

// Dependencies is one combination of streams that a module can be built and
// used with. The key is a module's name. The value lists streams as they are
// written: all alike "f28", or all alike "-f28" for every stream but these; an
// empty list stands for all streams.
type Dependencies struct {
	BuildRequires map[string][]string
	Requires      map[string][]string
	Pos           Position
}

// BuildOpts says how a module is built.
type BuildOpts struct {
	RPMs   BuildOptsRPMs
	Arches []string // empty for all
}

// BuildOptsRPMs says how the RPMs of a module are built.
type BuildOptsRPMs struct {
	Macros    string   // lines of an RPM macros file, kept exactly
	Whitelist []string // names that may be built, in place of the components' own
	MacrosPos Position
}

// Components of a module. Keys are names of packages in dist-git, or of other
// modules.
type Components struct {
	RPMs    map[string]*ComponentRPM
	Modules map[string]*ComponentModule
}

// ComponentRPM is a source package of a module.
type ComponentRPM struct {
	Rationale     string
	Name          string // the package's real name, if the key is not
	Repository    string // URL of its git repository
	Cache         string // URL of its lookaside cache
	Ref           string // commit, branch or tag
	Buildroot     bool   // the buildroot profile goes into all builds after it
	SRPMBuildroot bool
	BuildOrder    int64    // builds after all that have a smaller one
	BuildAfter    []string // keys of components that must be built before; not with BuildOrder
	BuildOnly     bool     // needed for building alone, its packages are filtered
	Arches        []string // empty for all
	Multilib      []string
	Pos           Position
}

// ComponentModule is another module built as a part of this one.
type ComponentModule struct {
	Rationale  string
	Repository string
	Ref        string
	BuildOrder int64
	BuildAfter []string
	BuildOnly  bool
	Pos        Position
}

// Artifacts are the packages of a built module.
type Artifacts struct {
	RPMs []NEVRA // a set
	// RPMMap finds a package by digest type ("sha256") and checksum.
	RPMMap map[string]map[string]NEVRA
}
