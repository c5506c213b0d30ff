package kojitask

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// A builtRPM is one RPM of a component's build: what Koji says of it and what its
// header says, which agree.
type builtRPM struct {
	RPM     koji.RPM
	Build   koji.Build
	Package modulebuild.Package

	// Repo is what repodata is made from. Its location is that of Koji's own
	// repositories, below the link "toplink" to Koji's files. Its time is that of
	// the RPM's build, not of the file: volumes and copies change that, and the
	// same packages must give the same bytes.
	Repo repogen.Package
}

// An rpmReader reads what builds have made without fetching it: lists and checksums
// are the hub's, and of the files nothing is read but their headers.
type rpmReader struct {
	hub    *hub
	topdir string // Koji's files on this machine; empty where they are not
	topurl string // and on the web; empty where they are not

	http *http.Client              // for topurl; see newFilesClient
	wait func(n int) time.Duration // before another attempt after n that failed; nil: pauseAfter
}

const (
	// maxRPMs bounds how many RPMs a build may have; the largest known have some
	// thousands.
	maxRPMs = 20000
	// maxHeaders bounds all that stands before an RPM's payload, in bytes; the
	// largest known has some 20 MB.
	maxHeaders = 64 << 20
	// maxAllHeaders bounds those of one build together.
	maxAllHeaders = 512 << 20
	// readers is how many files of a build are read at once.
	readers = 2
)

// readBuild reads the RPMs of a build, which is one of the component's, and gives
// them sorted by file name. It makes two calls. Where what Koji says and what the
// file says differ, it is an error.
func (r *rpmReader) readBuild(ctx context.Context, component string, build koji.Build) ([]builtRPM, error) {
	fail := func(err error) ([]builtRPM, error) {
		return nil, fmt.Errorf("reading the RPMs of the build %s: %w", build.NVR, err)
	}
	if r.http == nil {
		own := *r
		own.http = newFilesClient(nil)
		r = &own
	}
	var rpms []koji.RPM
	if err := r.hub.call(ctx, "listRPMs", &rpms, koji.Named{"buildID": build.ID}); err != nil {
		return fail(err)
	}
	switch {
	case len(rpms) == 0:
		return fail(errors.New("it has none"))
	case len(rpms) > maxRPMs:
		return fail(fmt.Errorf("there are %d, more than the %d that can be", len(rpms), maxRPMs))
	}
	slices.SortFunc(rpms, func(a, b koji.RPM) int {
		return strings.Compare(nevraOf(a).Filename(), nevraOf(b).Filename())
	})
	sums, err := r.checksums(ctx, rpms)
	if err != nil {
		return fail(err)
	}
	defer r.http.CloseIdleConnections() // others wait for them
	built := make([]builtRPM, len(rpms))
	budget := newBudget(maxAllHeaders)
	err = inParallel(ctx, len(rpms), readers, func(ctx context.Context, i int) error {
		var err error
		if built[i], err = r.read(ctx, component, build, rpms[i], sums[i], budget); err != nil {
			return fmt.Errorf("%s: %w", nevraOf(rpms[i]).Filename(), err)
		}
		return nil
	})
	if err != nil {
		return fail(err)
	}
	return built, nil
}

// read reads one RPM.
func (r *rpmReader) read(ctx context.Context, component string, build koji.Build, rpm koji.RPM, sum string, budget *budget) (builtRPM, error) {
	if rpm.MetadataOnly {
		return builtRPM{}, errors.New("the hub has its name alone, and no file")
	}
	location, err := koji.Paths{Top: "toplink"}.RPM(build, rpm)
	if err != nil {
		return builtRPM{}, err
	}
	f, err := r.open(ctx, build, rpm)
	if err != nil {
		return builtRPM{}, err
	}
	defer f.Close()
	header, err := f.headers(budget)
	if err != nil {
		return builtRPM{}, err
	}
	if err := checkHeader(header, rpm, f.size); err != nil {
		return builtRPM{}, err
	}
	if sum == "" {
		if sum, err = f.checksum(ctx); err != nil {
			return builtRPM{}, err
		}
	}
	h := header.Header
	built := builtRPM{RPM: rpm, Build: build, Package: modulebuild.Package{
		Component: component, Path: f.name, NEVRA: h.NEVRA(), SourceRPM: h.SourceRPM(),
		License: h.License(), Label: h.ModularityLabel(), SHA256: sum, Size: rpm.Size,
	}}
	if h.IsSource() {
		built.Package.ExcludeArch, built.Package.ExclusiveArch = h.ExcludeArch(), h.ExclusiveArch()
	}
	seconds, _ := h.Uint64(rpmfile.TagBuildTime)
	built.Repo = repogen.Package{
		Header: h.Raw(), HeaderStart: header.HeaderStart, HeaderEnd: header.HeaderEnd,
		Size: rpm.Size, ArchiveSize: header.ArchiveSize(), Time: time.Unix(int64(min(seconds, 1<<32-1)), 0).UTC(),
		Checksum: sum, Location: location,
	}
	return built, nil
}

// nevraOf gives what Koji calls an RPM. It knows no nosrc: such a package is "src"
// to it.
func nevraOf(rpm koji.RPM) modulemd.NEVRA {
	n := modulemd.NEVRA{Name: rpm.Name, Version: rpm.Version, Release: rpm.Release, Arch: rpm.Arch}
	if rpm.Epoch != nil && *rpm.Epoch > 0 {
		n.Epoch = uint64(*rpm.Epoch)
	}
	return n
}

// checkHeader compares what a file is with what Koji has registered. size is
// negative where it is not known.
func checkHeader(p *rpmfile.Package, rpm koji.RPM, size int64) error {
	if size >= 0 && size != rpm.Size {
		return fmt.Errorf("the file has %d bytes, and the hub says %d", size, rpm.Size)
	}
	if rpm.Size < p.HeaderEnd {
		return fmt.Errorf("its header ends at byte %d, and the hub says that the file has %d", p.HeaderEnd, rpm.Size)
	}
	if err := p.CheckNames(); err != nil {
		return err
	}
	if err := p.VerifyHeader(); err != nil {
		return err
	}
	want, have := nevraOf(rpm), p.NEVRA()
	if have.Arch == "nosrc" {
		have.Arch = "src"
	}
	if want != have {
		return fmt.Errorf("the file is the package %s, and the hub says %s", have, want)
	}
	// What Koji calls payloadhash is the MD5 of header and payload.
	if sum := hex.EncodeToString(p.Signature.Bytes(rpmfile.SigTagMD5)); sum != rpm.PayloadHash {
		return fmt.Errorf("the file's SIGMD5 is %q, and the hub says %q", sum, rpm.PayloadHash)
	}
	return nil
}

// checksums asks for the SHA-256 of RPMs as they were built, without the signatures
// of later. It is empty where the hub has none and cannot make one.
func (r *rpmReader) checksums(ctx context.Context, rpms []koji.RPM) ([]string, error) {
	replies := make([]map[string]map[string]*string, len(rpms))
	var calls *koji.MultiCall
	err := repeat(ctx, func() error {
		calls = &koji.MultiCall{}
		for i := range rpms {
			calls.Add("getRPMChecksums", &replies[i], rpms[i].ID, koji.Named{"checksum_types": []string{"sha256"}})
		}
		return calls.Do(ctx, r.hub.Session)
	})
	var whole *koji.CallError
	if errors.As(err, &whole) && whole.Method == "multiCall" {
		return nil, err
	}
	sums := make([]string, len(rpms))
	for i := range rpms {
		var refused *koji.Fault
		switch err := calls.Err(i); {
		case err == nil:
			if sums[i], err = unsignedSum(replies[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", nevraOf(rpms[i]).Filename(), err)
			}
		case errors.As(err, &refused):
			// The hub cannot read the file, or is too old: it is read here, if it can be.
		default:
			return nil, err
		}
	}
	return sums, nil
}

// unsignedSum picks from checksums by key and algorithm the one of the file that
// was imported. Its key is empty; of a file that was signed already, the hub knows
// one key only until it is signed again.
func unsignedSum(byKey map[string]map[string]*string) (string, error) {
	sums, ok := byKey[""]
	if !ok && len(byKey) == 1 {
		for _, sums = range byKey {
		}
	}
	sum := sums["sha256"]
	if sum == nil {
		return "", nil
	}
	if b, err := hex.DecodeString(*sum); err != nil || len(b) != 32 {
		return "", fmt.Errorf("the hub's SHA-256 of it, %.80q, is none", *sum)
	}
	return *sum, nil
}
