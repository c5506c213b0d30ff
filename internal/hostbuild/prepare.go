package hostbuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/kojimod/kojimod/internal/command"
	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/rpmver"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// maxParsed is the size up to which files beside a spec file are there when it
// is only read: it may include them.
const maxParsed = 1 << 20

// Prepare reads all spec files and checks that what they need is built before
// them, or, on a host whose packages are RPMs, installed; see modulebuild.Builder.
func (b *Builder) Prepare(ctx context.Context, jobs []modulebuild.Job) error {
	specs := make([]*specInfo, len(jobs))
	for i, job := range jobs {
		if err := b.checkArch(job); err != nil {
			return err
		}
		info, err := b.parse(ctx, job)
		if err != nil {
			return err
		}
		specs[i] = info
	}
	return b.checkNeeds(ctx, jobs, specs)
}

// parse reads one job's spec file in a sandbox of its own.
func (b *Builder) parse(ctx context.Context, job modulebuild.Job) (info *specInfo, err error) {
	r, err := b.newRoom(job)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.fetchSources(maxParsed); err != nil {
		return nil, err
	}
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := r.unpack(ctx, s, nil); err != nil {
		return nil, err
	}
	info, err = r.readSpec(ctx, s)
	return info, errors.Join(err, s.Close())
}

// An offer is a capability that a component's spec file says it provides.
type offer struct {
	component string
	dep       rpmfile.Dependency
}

// checkNeeds compares what each component needs with what those before it, and
// the host, have.
func (b *Builder) checkNeeds(ctx context.Context, jobs []modulebuild.Job, specs []*specInfo) error {
	offers := make(map[string][]offer)
	for i, spec := range specs {
		for _, d := range spec.provides {
			offers[d.Name] = append(offers[d.Name], offer{jobs[i].Component, d})
		}
	}
	var missing []string
	assumed := make(map[string]bool)
	for i, spec := range specs {
		for _, d := range spec.requires {
			if strings.HasPrefix(d.Name, "(") {
				continue // rpm says whether it holds, when building
			}
			found, err := b.checkNeed(ctx, jobs[i], d, offers[d.Name])
			switch {
			case err != nil:
				return err
			case found:
			case !b.rpmHost:
				assumed[dependencyText(d)] = true
			case !generated(d.Name) || len(jobs[i].After) == 0:
				// What a component provides beyond what is written in its spec file
				// is not known before it is built.
				missing = append(missing, fmt.Sprintf("%s (for component %s)", dependencyText(d), jobs[i].Component))
			}
		}
	}
	if len(missing) > 0 {
		sort.Strings(missing)
		return &modulebuild.InputError{Where: "BuildRequires", Msg: "neither a component built before nor a package installed on this host provides " +
			strings.Join(missing, ", ") + "; install what is missing (dnf install 'NAME'), or build with mock"}
	}
	if len(assumed) > 0 {
		var list []string
		for text := range assumed {
			list = append(list, text)
		}
		sort.Strings(list)
		b.log.Warn("the host's packages are not RPMs, so these BuildRequires are assumed to be met by it", "buildrequires", strings.Join(list, ", "))
	}
	return nil
}

// checkNeed tells whether d is known to be provided, by a component before the
// job or by the host. That a component after it, or beside it, provides it while
// nothing else does, is an error.
func (b *Builder) checkNeed(ctx context.Context, job modulebuild.Job, d rpmfile.Dependency, offers []offer) (bool, error) {
	var late []string
	for _, o := range offers {
		if o.component == job.Component {
			continue // it cannot need itself to be built
		}
		if slices.Contains(job.After, o.component) {
			return true, nil // the version is looked at when it is built
		}
		if !slices.Contains(late, o.component) {
			late = append(late, o.component)
		}
	}
	if b.rpmHost {
		if found, err := hostProvides(ctx, d); found || err != nil {
			return found, err
		}
	}
	if len(late) == 0 {
		return false, nil
	}
	sort.Strings(late)
	return false, &modulebuild.InputError{Where: "component " + job.Component,
		Msg: fmt.Sprintf("BuildRequires %s, which component %s provides, but that is not built before it; give %s a lower buildorder, or name it in the buildafter of %s",
			dependencyText(d), strings.Join(late, " or "), late[0], job.Component)}
}

// generated tells whether rpm may add a capability of this form to a package by
// itself: pkgconfig(x), a library's soname, a path.
func generated(name string) bool {
	return strings.HasPrefix(name, "/") || strings.Contains(name, "(") || strings.Contains(name, ".so")
}

// hostProvides asks the host's database whether an installed package provides d.
func hostProvides(ctx context.Context, d rpmfile.Dependency) (bool, error) {
	if strings.HasPrefix(d.Name, "-") {
		return false, nil
	}
	out, err := command.Output(ctx, hostRPM("-q", "--whatprovides", d.Name, "--qf", provideFormat))
	if command.ExitCode(err) > 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if strings.HasPrefix(d.Name, "/") {
		return true, nil
	}
	_, provides, err := parseQuery(string(out))
	if err != nil {
		return false, fmt.Errorf("asking the RPM database for %s: %w", d.Name, err)
	}
	want := rpmver.ParseEVR(d.EVR)
	for _, p := range provides {
		if p.Name == d.Name && rpmver.Overlap(p.Flags, rpmver.ParseEVR(p.EVR), d.Flags, want) {
			return true, nil
		}
	}
	return false, nil
}
