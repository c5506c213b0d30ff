package rpmfile

import (
	"fmt"
	"strings"

	"github.com/kojimod/kojimod/internal/rpmver"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// IsSource says whether this is a source package.
func (h *Header) IsSource() bool {
	return h.Has(TagSourcePackage) || !h.Has(TagSourceRPM)
}

// NEVRA names the package. A source package has the architecture "src", or
// "nosrc" where sources or patches were left out of it.
func (h *Header) NEVRA() modulemd.NEVRA {
	epoch, _ := h.Uint64(TagEpoch)
	n := modulemd.NEVRA{
		Name:    h.String(TagName),
		Epoch:   epoch,
		Version: h.String(TagVersion),
		Release: h.String(TagRelease),
		Arch:    h.String(TagArch),
	}
	if h.IsSource() {
		n.Arch = "src"
		if h.Has(TagNoSource) || h.Has(TagNoPatch) {
			n.Arch = "nosrc"
		}
	}
	return n
}

// ModularityLabel gives the module's NAME:STREAM:VERSION:CONTEXT, "" where the
// package is not of a module.
func (h *Header) ModularityLabel() string { return h.String(TagModularityLabel) }

// SourceRPM gives the file name of the source package, "" for a source package.
func (h *Header) SourceRPM() string { return h.String(TagSourceRPM) }

// License gives the licence as the packager wrote it.
func (h *Header) License() string { return h.String(TagLicense) }

// ExcludeArch gives the architectures that a source package says it cannot be built
// for. Macros of the spec file are expanded.
func (h *Header) ExcludeArch() []string { return h.Strings(TagExcludeArch) }

// ExclusiveArch gives the architectures that a source package says it can only be
// built for, nil for all.
func (h *Header) ExclusiveArch() []string { return h.Strings(TagExclusiveArch) }

// CheckNames refuses a package whose name, version, release, architecture or source
// package could not safely be part of a file name: missing, with a '/' or a
// control character, or starting with a '.'. Callers that make file names from
// these call it first. The error is an *Error.
func (h *Header) CheckNames() error {
	n := h.NEVRA()
	fields := []struct {
		part, value string
		optional    bool
	}{
		{"name", n.Name, false},
		{"version", n.Version, false},
		{"release", n.Release, false},
		{"architecture", n.Arch, false},
		{"source package", h.SourceRPM(), true},
	}
	for _, f := range fields {
		if f.value == "" && f.optional {
			continue
		}
		if why := nameFault(f.value); why != "" {
			return &Error{Part: fmt.Sprintf("the %s %q", f.part, f.value), Err: ErrName, Detail: why}
		}
	}
	return nil
}

func nameFault(s string) string {
	const maxName = 255 // longest file name of Linux
	switch {
	case s == "":
		return "it is missing"
	case len(s) > maxName:
		return fmt.Sprintf("it is longer than %d bytes", maxName)
	case s[0] == '.':
		return "it starts with a '.'"
	case strings.Contains(s, "/"):
		return "it has a '/'"
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return "it has a control character"
		}
	}
	return ""
}

// A DependencyKind is one of the lists of dependencies of a package.
type DependencyKind int

// The lists that a package may have. OldSuggests and OldEnhances are those
// of some rpm 4 distributions before 4.12, where a flag (SenseStrong) made them stronger.
const (
	Provides DependencyKind = iota
	Requires
	Conflicts
	Obsoletes
	Recommends
	Suggests
	Supplements
	Enhances
	OldSuggests
	OldEnhances
)

// tags gives the tags of names, flags and versions.
func (k DependencyKind) tags() (name, flags, version Tag) {
	switch k {
	case Provides:
		return TagProvideName, TagProvideFlags, TagProvideVersion
	case Requires:
		return TagRequireName, TagRequireFlags, TagRequireVersion
	case Conflicts:
		return TagConflictName, TagConflictFlags, TagConflictVersion
	case Obsoletes:
		return TagObsoleteName, TagObsoleteFlags, TagObsoleteVersion
	case Recommends:
		return TagRecommendName, TagRecommendFlags, TagRecommendVersion
	case Suggests:
		return TagSuggestName, TagSuggestFlags, TagSuggestVersion
	case Supplements:
		return TagSupplementName, TagSupplementFlags, TagSupplementVersion
	case Enhances:
		return TagEnhanceName, TagEnhanceFlags, TagEnhanceVersion
	case OldSuggests:
		return TagOldSuggestsName, TagOldSuggestsFlags, TagOldSuggestsVer
	case OldEnhances:
		return TagOldEnhancesName, TagOldEnhancesFlags, TagOldEnhancesVer
	}
	return 0, 0, 0
}

// String names the kind as a spec file does, in lower case: "requires".
func (k DependencyKind) String() string {
	names := [...]string{"provides", "requires", "conflicts", "obsoletes", "recommends", "suggests",
		"supplements", "enhances", "old suggests", "old enhances"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("DependencyKind(%d)", int(k))
	}
	return names[k]
}

// Bits of a dependency's flags that say when it holds or where it comes from.
const (
	SensePostTrans  rpmver.Flags = 1 << 5
	SensePrereq     rpmver.Flags = 1 << 6
	SensePreTrans   rpmver.Flags = 1 << 7
	SenseInterp     rpmver.Flags = 1 << 8
	SenseScriptPre  rpmver.Flags = 1 << 9
	SenseScriptPost rpmver.Flags = 1 << 10
	SenseMissingOK  rpmver.Flags = 1 << 19
	SenseRPMLib     rpmver.Flags = 1 << 24
	SenseStrong     rpmver.Flags = 1 << 27
)

// A Dependency is one entry of a list of dependencies.
type Dependency struct {
	Name  string // a capability, a path, or a rich dependency in parentheses
	Flags rpmver.Flags
	EVR   string // "" where no version is asked for
}

// Dependencies gives the dependencies of one kind in the header's order. Missing
// flags or versions count as none, as in rpm.
func (h *Header) Dependencies(kind DependencyKind) []Dependency {
	nameTag, flagsTag, versionTag := kind.tags()
	names := h.Strings(nameTag)
	if names == nil {
		return nil
	}
	versions, flags := h.Strings(versionTag), h.Uint64s(flagsTag)
	out := make([]Dependency, len(names))
	for i, name := range names {
		out[i].Name = name
		if i < len(flags) {
			out[i].Flags = rpmver.Flags(flags[i])
		}
		if i < len(versions) {
			out[i].EVR = versions[i]
		}
	}
	return out
}

// Bits of File.Flags.
const (
	FileConfig uint32 = 1 << 0
	FileDoc    uint32 = 1 << 1
	FileGhost  uint32 = 1 << 6
)

// Bits of File.Mode.
const (
	modeType = 0o170000
	modeDir  = 0o040000
)

// A File is a file of a package.
type File struct {
	Path   string // absolute; of a source package the bare name
	Mode   uint32 // as in stat(2); 0 where the header does not say
	Flags  uint32 // FileConfig and other bits
	Digest string // hex, "" where there is none (directories, links, ghosts)
}

// IsDir says whether the file is a directory.
func (f File) IsDir() bool { return f.Mode&modeType == modeDir }

// Files gives the package's files in the header's order.
func (h *Header) Files() []File {
	paths := h.paths()
	if paths == nil {
		return nil
	}
	modes, flags, digests := h.Uint64s(TagFileModes), h.Uint64s(TagFileFlags), h.Strings(TagFileDigests)
	out := make([]File, len(paths))
	for i, path := range paths {
		out[i].Path = path
		if i < len(modes) {
			out[i].Mode = uint32(modes[i])
		}
		if i < len(flags) {
			out[i].Flags = uint32(flags[i])
		}
		if i < len(digests) {
			out[i].Digest = digests[i]
		}
	}
	return out
}

func (h *Header) paths() []string {
	names := h.Strings(TagBaseNames)
	if names == nil {
		return h.Strings(TagOldFilenames)
	}
	// checkLists has seen to it that every directory is there, and that all
	// paths together are bounded.
	dirs, indexes := h.Strings(TagDirNames), h.Uint64s(TagDirIndexes)
	total := 0
	for i, name := range names {
		total += len(dirs[indexes[i]]) + len(name)
	}
	var all strings.Builder
	all.Grow(total)
	for i, name := range names {
		all.WriteString(dirs[indexes[i]])
		all.WriteString(name)
	}
	rest := all.String()
	for i, name := range names {
		n := len(dirs[indexes[i]]) + len(name)
		names[i], rest = rest[:n], rest[n:]
	}
	return names
}

// ArchiveSize gives the size of the uncompressed payload, 0 where the package does
// not say.
func (p *Package) ArchiveSize() int64 {
	for _, tag := range []Tag{SigTagLongArchiveSize, SigTagPayloadSize} {
		if n, ok := p.Signature.Uint64(tag); ok {
			return clampSize(n)
		}
	}
	return p.Header.ArchiveSize()
}

// ArchiveSize gives the size of the uncompressed payload as far as the main header
// says it; the signature header of most packages says it instead.
func (h *Header) ArchiveSize() int64 {
	for _, tag := range []Tag{SigTagLongArchiveSize, TagArchiveSize, TagPayloadSizeAlt} {
		if n, ok := h.Uint64(tag); ok {
			return clampSize(n)
		}
	}
	return 0
}

// InstalledSize gives the sum of the sizes of the files when installed.
func (h *Header) InstalledSize() int64 {
	for _, tag := range []Tag{TagLongSize, TagSize} {
		if n, ok := h.Uint64(tag); ok {
			return clampSize(n)
		}
	}
	return 0
}

func clampSize(n uint64) int64 {
	const most = 1<<63 - 1
	return int64(min(n, most))
}
