package modulebuild

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A Finished module is what gets published.
type Finished struct {
	Stream   *modulemd.Stream
	Defaults *modulemd.Defaults
	Packages []Package // those of the module, sorted by NEVRA; others were filtered out
	Warnings []string
}

// FinishOptions are a user's part in the finished module.
type FinishOptions struct {
	// DefaultProfiles of the stream; empty takes those that the document marks,
	// else the one called "default" or "common", else the only one.
	DefaultProfiles []string
	// DefaultStream makes the stream its module's default.
	DefaultStream bool
	// SourceURL, of the form https://host/path?#ref, and Commit are where the
	// document is from, where that is git.
	SourceURL, Commit string
}

// Finish makes the module's metadata out of what was built. The rules, which
// package is part of the module above all, are those of the Module Build
// Service.
func (p *Plan) Finish(outcomes []Outcome, opts FinishOptions) (*Finished, error) {
	packages, err := p.modulePackages(outcomes)
	if err != nil {
		return nil, err
	}
	s := *p.Doc
	s.Name, s.Stream = p.Identity.Name, modulemd.StreamName(p.Identity.Stream)
	s.Version, s.Context, s.Arch = p.Identity.Version, p.Identity.Context, p.Identity.Arch
	s.Dependencies = p.Dependencies
	s.Components.RPMs = finishedComponents(p.Doc.Components.RPMs)
	s.XMD = p.finishedXMD(opts)
	s.Artifacts = modulemd.Artifacts{}
	s.Filter = p.finishedFilter(outcomes)
	licenses := map[string]bool{}
	for _, pkg := range packages {
		s.Artifacts.RPMs = append(s.Artifacts.RPMs, artifact(pkg))
		if pkg.SourceRPM != "" && pkg.License != "" {
			licenses[pkg.License] = true
		}
	}
	s.License.Content = slices.Sorted(maps.Keys(licenses))
	f := &Finished{Stream: &s, Packages: packages}
	f.Warnings = p.unmetNames(outcomes, packages)
	f.Defaults, err = p.defaults(opts)
	return f, err
}

// artifact is what a package is called in the list of artifacts. In repodata, with
// which dnf compares, source packages without all their sources are "src" too.
func artifact(pkg Package) modulemd.NEVRA {
	nevra := pkg.NEVRA
	if nevra.Arch == "nosrc" {
		nevra.Arch = "src"
	}
	return nevra
}

// modulePackages filters: out go packages that the document's filter names,
// those of components that are only for building, debug packages of what is
// out, and source packages of which nothing is left.
func (p *Plan) modulePackages(outcomes []Outcome) ([]Package, error) {
	all, err := p.builtPackages(outcomes)
	if err != nil {
		return nil, err
	}
	filter := map[string]bool{}
	for _, name := range p.Doc.Filter {
		filter[name] = true
	}
	binaries := map[string]bool{} // names of all that was built
	for i, c := range p.Components {
		for _, pkg := range outcomes[i].Packages {
			if pkg.SourceRPM == "" {
				continue
			}
			binaries[pkg.NEVRA.Name] = true
			if c.Doc.BuildOnly {
				filter[pkg.NEVRA.Name] = true
			}
		}
	}
	passes := func(pkg Package) bool {
		return !filter[pkg.NEVRA.Name] && p.listed(pkg)
	}
	in := map[string]bool{}      // names of packages that are part of the module
	sources := map[string]bool{} // file names of source packages that something is built from
	keep := func(pkg Package) {
		in[pkg.NEVRA.Name] = true
		sources[pkg.SourceRPM] = true
	}
	for _, pkg := range all {
		if _, debug := debugOf(pkg.NEVRA.Name); pkg.SourceRPM != "" && !debug && passes(pkg) {
			keep(pkg)
		}
	}
	withBinaries := maps.Clone(sources)
	for _, pkg := range all {
		main, debug := debugOf(pkg.NEVRA.Name)
		// foo-debugsource goes with its source package even where no package is
		// called foo.
		if debug && passes(pkg) && (in[main] || !binaries[main] && withBinaries[pkg.SourceRPM]) {
			keep(pkg)
		}
	}
	return slices.DeleteFunc(all, func(pkg Package) bool {
		if pkg.SourceRPM == "" {
			return !sources[pkg.NEVRA.Filename()]
		}
		return !in[pkg.NEVRA.Name] || !passes(pkg)
	}), nil
}

// builtPackages gives all packages sorted by NEVRA. Where two components have
// built the same one, that of the later component counts; without an order
// between them it is an error.
func (p *Plan) builtPackages(outcomes []Outcome) ([]Package, error) {
	number := map[string]int{}
	byName := map[string]Package{}
	for i, o := range outcomes {
		for _, pkg := range o.Packages {
			id := pkg.NEVRA.String()
			if other, ok := number[id]; ok && !slices.Contains(p.Graph.AllBefore(i), other) {
				return nil, &BuildError{Component: o.Component, Err: fmt.Errorf(
					"component %s has built %s as well: leave one of them out, or say which comes later", p.Components[other].Name, id)}
			}
			number[id], byName[id] = i, pkg
		}
	}
	packages := make([]Package, 0, len(byName))
	for _, id := range slices.Sorted(maps.Keys(byName)) {
		packages = append(packages, byName[id])
	}
	return packages, nil
}

// listed applies the whitelist, which names the source packages that are part of
// the module; without one all are.
func (p *Plan) listed(pkg Package) bool {
	whitelist := p.Doc.BuildOpts.RPMs.Whitelist
	return len(whitelist) == 0 || slices.Contains(whitelist, sourceName(pkg))
}

// sourceName is the name of the source package, less version, release and arch.
func sourceName(pkg Package) string {
	if pkg.SourceRPM == "" {
		return pkg.NEVRA.Name
	}
	name := pkg.SourceRPM
	for range 2 {
		if i := strings.LastIndexByte(name, '-'); i >= 0 {
			name = name[:i]
		}
	}
	return name
}

func debugOf(name string) (main string, debug bool) {
	for _, suffix := range []string{"-debuginfo", "-debugsource"} {
		if main, ok := strings.CutSuffix(name, suffix); ok {
			return main, true
		}
	}
	return "", false
}

// finishedComponents leaves out where this build got its sources from: that is
// of this host, the commits are in xmd.
func finishedComponents(components map[string]*modulemd.ComponentRPM) map[string]*modulemd.ComponentRPM {
	finished := make(map[string]*modulemd.ComponentRPM, len(components))
	for name, c := range components {
		clean := *c
		clean.Repository, clean.Cache = "", ""
		finished[name] = &clean
	}
	return finished
}

// finishedFilter adds what components that are only for building have built: the
// specification wants it listed.
func (p *Plan) finishedFilter(outcomes []Outcome) []string {
	filter := slices.Clone(p.Doc.Filter)
	for i, c := range p.Components {
		for _, pkg := range outcomes[i].Packages {
			if c.Doc.BuildOnly && pkg.SourceRPM != "" {
				filter = append(filter, pkg.NEVRA.Name)
			}
		}
	}
	slices.Sort(filter)
	return slices.Compact(filter)
}

// finishedXMD adds to the document's xmd the block "mbs" in the form that readers
// of module metadata know, with what each component was built from.
func (p *Plan) finishedXMD(opts FinishOptions) *modulemd.Node {
	rpms := modulemd.NewMap()
	for _, c := range p.Components {
		if c.Skip == "" {
			rpms.Set(c.Name, modulemd.NewMap().Set("ref", modulemd.NewText(c.Source.Resolved())))
		}
	}
	mbs := modulemd.NewMap()
	if opts.Commit != "" {
		mbs.Set("commit", modulemd.NewText(opts.Commit))
	}
	if opts.SourceURL != "" {
		mbs.Set("scmurl", modulemd.NewText(pinURL(opts.SourceURL, opts.Commit)))
	}
	mbs.Set("rpms", rpms)
	xmd := modulemd.NewMap()
	for _, key := range p.Doc.XMD.Keys() {
		xmd.Set(key, p.Doc.XMD.Get(key)) // the document's own stays as it is
	}
	return xmd.Set("mbs", mbs)
}

// pinURL puts the commit where a source URL, https://host/path?#ref, has the ref.
func pinURL(url, commit string) string {
	base, _, _ := strings.Cut(url, "#")
	if !strings.Contains(base, "?") {
		base += "?"
	}
	return base + "#" + commit
}

// unmetNames warns of names in api, profiles and filter behind which there is no
// package.
func (p *Plan) unmetNames(outcomes []Outcome, packages []Package) []string {
	built, published := map[string]bool{}, map[string]bool{}
	for _, o := range outcomes {
		for _, pkg := range o.Packages {
			built[pkg.NEVRA.Name] = true
		}
	}
	for _, pkg := range packages {
		if pkg.SourceRPM != "" {
			published[pkg.NEVRA.Name] = true
		}
	}
	var warnings []string
	look := func(where string, names []string, have map[string]bool) {
		for _, name := range slices.Sorted(slices.Values(names)) {
			switch {
			case have[name]:
			case built[name]:
				warnings = append(warnings, fmt.Sprintf("%s names %s, which is built but filtered out of the module", where, name))
			default:
				warnings = append(warnings, fmt.Sprintf("%s names %s, which no component has built", where, name))
			}
		}
	}
	look("api", p.Doc.API, published)
	for _, profile := range slices.Sorted(maps.Keys(p.Doc.Profiles)) {
		if forBuildSystem(profile) {
			continue // its packages may be the platform's
		}
		look("profile "+profile, p.Doc.Profiles[profile].RPMs, published)
	}
	look("filter", p.Doc.Filter, built)
	return warnings
}
