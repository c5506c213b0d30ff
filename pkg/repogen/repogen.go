// Package repogen turns packages and module documents into repodata, the metadata
// that dnf and libsolv read: primary, filelists, other, modules and repomd.xml.
//
// The metadata mean the same as those of createrepo_c for the same packages. The
// bytes depend on the input alone: no clock is read, and the order of the
// packages given does not matter. Publication is atomic: a reader sees the old
// repository or the new one.
//
//	pkg, err := repogen.ReadPackage(ctx, "out/bash-5.2-1.x86_64.rpm", "Packages/bash-5.2-1.x86_64.rpm")
//	if err != nil {
//		return err
//	}
//	in := repogen.Input{Packages: []repogen.Package{pkg}, Modules: modulesYAML}
//	_, err = repogen.Generate(ctx, "out", in, repogen.Options{Time: buildTime})
package repogen

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Package is one RPM as a value: what of the file goes into repodata. ReadPackage
// makes it from a file; it may as well come from elsewhere, a Koji hub or a cache.
type Package struct {
	Header []byte // the main header as in the file, from its 8-byte magic on

	HeaderStart int64 // offset of Header in the file
	HeaderEnd   int64 // offset of the first byte after it

	Size        int64     // of the file in bytes
	ArchiveSize int64     // of the uncompressed payload; 0: what Header says
	Time        time.Time // modification time of the file
	Checksum    string    // SHA-256 of the file, 64 lower-case hex digits
	Location    string    // slash-separated path of the file relative to the repository
}

// Input is what a repository consists of.
type Input struct {
	Packages []Package
	Modules  []byte // text of modules.yaml; no modules record is made where it is empty
}

// Options are how repodata is made. The zero value is ready to use.
type Options struct {
	// Revision is the text of <revision>; Time in seconds where it is empty.
	Revision string

	// Time is the timestamp of all records, to the second. The zero Time stands for 1970,
	// never for now.
	Time time.Time

	// KeepPrevious leaves the files that the replaced repomd.xml names, for
	// clients that have just read it. They go the next time. Wanted wherever clients
	// read while the repository is being remade.
	KeepPrevious bool

	// step, where not nil, is called before each change to the directory, so
	// that tests can fail or die there.
	step func(name string) error
}

// A Result is what Generate has made.
type Result struct {
	Repomd    Repomd   // as published
	Unchanged bool     // the repository had exactly this repodata; nothing was written
	Metadata  []string // files of the repodata, "repodata/..." with repomd.xml last
	Packages  []string // locations of all packages, in the order of the metadata

	// Warnings tell of characters that had to be replaced and of old files that could
	// not be removed.
	Warnings []string
}

// A PackageError says why a package cannot be put into a repository.
type PackageError struct {
	Location string
	Tag      string // what of the package is at fault, in words
	Err      error
}

func (e *PackageError) Error() string {
	if e.Tag == "" {
		return fmt.Sprintf("package %s: %v", e.Location, e.Err)
	}
	return fmt.Sprintf("package %s: %s: %v", e.Location, e.Tag, e.Err)
}

func (e *PackageError) Unwrap() error { return e.Err }

// Generate makes the repodata of the repository in the existing directory dir and
// publishes it as dir/repodata. The package files themselves are neither read nor looked for.
//
// On an error, also of ctx, what was published before is untouched and no
// file is left over. A package that cannot be described is a *PackageError; a
// repository that another Generate is working on is ErrBusy.
func Generate(ctx context.Context, dir string, in Input, opts Options) (Result, error) {
	packages, err := sortedPackages(in.Packages)
	if err != nil {
		return Result{}, err
	}
	pub, err := openPublisher(dir, opts)
	if err != nil {
		return Result{}, fmt.Errorf("making repodata in %s: %w", dir, err)
	}
	defer pub.close()
	var result Result
	if err := generate(ctx, pub, packages, in.Modules, opts, &result); err != nil {
		return Result{}, fmt.Errorf("making repodata in %s: %w", dir, err)
	}
	for _, p := range packages {
		result.Packages = append(result.Packages, p.Location)
	}
	return result, nil
}

func generate(ctx context.Context, pub *publisher, packages []*Package, modules []byte, opts Options, result *Result) error {
	seconds := int64(0)
	if !opts.Time.IsZero() {
		seconds = opts.Time.Unix()
	}
	result.Repomd.Revision = opts.Revision
	if opts.Revision == "" {
		result.Repomd.Revision = strconv.FormatInt(seconds, 10)
	}
	staged, warnings, err := stageAll(ctx, pub, packages, modules)
	if err != nil {
		return err
	}
	result.Warnings = warnings
	for _, s := range staged {
		s.record.Timestamp = seconds
		result.Repomd.Records = append(result.Repomd.Records, s.record)
		result.Metadata = append(result.Metadata, s.record.Location)
	}
	result.Metadata = append(result.Metadata, repodataDir+"/"+repomdName)
	if err := ctx.Err(); err != nil {
		return err
	}
	outcome, err := pub.publish(staged, result.Repomd)
	if err != nil {
		return err
	}
	result.Unchanged = outcome.unchanged
	result.Warnings = append(result.Warnings, outcome.warnings...)
	return nil
}

// sortedPackages checks what stands outside the headers, and sorts by file name, then
// by location: createrepo_c's order.
func sortedPackages(in []Package) ([]*Package, error) {
	out := make([]*Package, len(in))
	for i := range in {
		out[i] = &in[i]
		if err := checkPackage(out[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b *Package) int {
		return cmp.Or(strings.Compare(path.Base(a.Location), path.Base(b.Location)), strings.Compare(a.Location, b.Location))
	})
	for i := 1; i < len(out); i++ {
		if out[i].Location == out[i-1].Location {
			return nil, &PackageError{Location: out[i].Location, Err: fmt.Errorf("there are two packages at this location")}
		}
	}
	return out, nil
}

func checkPackage(p *Package) error {
	bad := func(tag, format string, args ...any) error {
		return &PackageError{Location: p.Location, Tag: tag, Err: fmt.Errorf(format, args...)}
	}
	if p.Location == "" || path.IsAbs(p.Location) || path.Clean(p.Location) != p.Location ||
		p.Location == "." || p.Location == ".." || strings.HasPrefix(p.Location, "../") {
		return bad("location", "%q is not a clean path inside the repository", p.Location)
	}
	if hasForbidden(p.Location) || strings.ContainsAny(p.Location, "\t\n\r") {
		return bad("location", "%q has a control character", p.Location)
	}
	if !utf8.ValidString(p.Location) {
		return bad("location", "%q is not UTF-8", p.Location)
	}
	if !isSHA256(p.Checksum) {
		return bad("checksum", "%q is not a SHA-256 in lower-case hex", p.Checksum)
	}
	if p.Size < 0 || p.HeaderStart < 0 || p.HeaderEnd < p.HeaderStart {
		return bad("size", "negative or contradictory: size %d, header from %d to %d", p.Size, p.HeaderStart, p.HeaderEnd)
	}
	return nil
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
