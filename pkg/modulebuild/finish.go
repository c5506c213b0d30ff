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
	// Requires are the modules that it was built with, by name; for
	// [Plan.Expanded] alone.
	Requires map[string]Required
}

// A Required is a module that this one was built with, as it stands in a build
// system.
type Required struct {
	Stream  string
	Version string // digits
	Context string
	Ref     string // commit of its source; may be empty
	Tag     string // where its packages are
}

// Finish makes the module's metadata out of what was built on one machine, for
// its architecture. The rules, which package is part of the module above all, are
// those of the Module Build Service.
func (p *Plan) Finish(outcomes []Outcome, opts FinishOptions) (*Finished, error) {
	return p.finish(outcomes, opts, nil, p.Identity.Arch, p.finishedXMD(opts))
}

// FinishArch makes the module's metadata for one of the architectures that were
// built for, by the rules of the Module Build Service
// (module_build_service/builder/KojiContentGenerator.py): the packages of the
// architecture, those without one unless their source package excludes it, and
// of architectures that run on it those of components that ask for multilib. What
// the build system knows of the module, xmd.mbs, is left out: that is in
// [Plan.Expanded].
//
// arch is an architecture as Koji's tags have it, for example "x86_64" or "i686".
func (p *Plan) FinishArch(outcomes []Outcome, arch string, opts FinishOptions) (*Finished, error) {
	return p.finish(outcomes, opts, newArchRule(arch), documentArch(arch), p.ownXMD())
}

func (p *Plan) finish(outcomes []Outcome, opts FinishOptions, rule *archRule, arch string, xmd *modulemd.Node) (*Finished, error) {
	packages, err := p.modulePackages(outcomes, rule)
	if err != nil {
		return nil, err
	}
	s := p.identified(outcomes)
	s.Arch = arch
	s.Components.RPMs = finishedComponents(p.Doc.Components.RPMs)
	s.XMD = xmd
	licenses := map[string]bool{}
	for _, pkg := range packages {
		s.Artifacts.RPMs = append(s.Artifacts.RPMs, artifact(pkg))
		if pkg.SourceRPM != "" && pkg.License != "" {
			licenses[strings.ToValidUTF8(pkg.License, "\uFFFD")] = true
		}
	}
	s.License.Content = slices.Sorted(maps.Keys(licenses))
	f := &Finished{Stream: s, Packages: packages}
	f.Warnings = p.unmetNames(outcomes, packages, rule)
	f.Defaults, err = p.defaults(opts)
	return f, err
}

// Expanded gives the document for one context with everything that was decided
// about it, and in xmd.mbs where its sources and the modules that it was built
// with are from. It has neither packages nor an architecture: that is what the
// Module Build Service keeps as modulemd.txt.
func (p *Plan) Expanded(outcomes []Outcome, opts FinishOptions) *modulemd.Stream {
	s := p.identified(outcomes)
	xmd := p.finishedXMD(opts)
	requires := modulemd.NewMap()
	for _, name := range slices.Sorted(maps.Keys(opts.Requires)) {
		r := opts.Requires[name]
		m := modulemd.NewMap().Set("stream", modulemd.NewText(r.Stream)).Set("version", modulemd.NewText(r.Version)).
			Set("context", modulemd.NewText(r.Context)).Set("koji_tag", modulemd.NewText(r.Tag))
		if r.Ref != "" {
			m.Set("ref", modulemd.NewText(r.Ref))
		}
		requires.Set(name, m)
	}
	xmd.Get("mbs").Set("buildrequires", requires).Set("mse", modulemd.NewBool(true))
	s.XMD = xmd
	return s
}

// identified gives a copy of the document under its identity, without anything
// that says what was built.
func (p *Plan) identified(outcomes []Outcome) *modulemd.Stream {
	s := *p.Doc
	s.Name, s.Stream = p.Identity.Name, modulemd.StreamName(p.Identity.Stream)
	s.Version, s.Context, s.Arch = p.Identity.Version, p.Identity.Context, ""
	s.Dependencies = p.Dependencies
	s.Filter = p.finishedFilter(outcomes)
	s.Artifacts = modulemd.Artifacts{}
	return &s
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
	return p.ownXMD().Set("mbs", mbs)
}

// ownXMD gives a copy of the document's xmd less the block "mbs", which is never
// the packager's.
func (p *Plan) ownXMD() *modulemd.Node {
	xmd := modulemd.NewMap()
	for _, key := range p.Doc.XMD.Keys() {
		if key != "mbs" {
			xmd.Set(key, p.Doc.XMD.Get(key))
		}
	}
	return xmd
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
func (p *Plan) unmetNames(outcomes []Outcome, packages []Package, rule *archRule) []string {
	built, here, published := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range outcomes {
		source := sourceOf(o)
		for _, pkg := range o.Packages {
			if pkg.SourceRPM == "" {
				continue // these lists name packages that get installed
			}
			built[pkg.NEVRA.Name] = true
			if p.fits(rule, pkg, source) {
				here[pkg.NEVRA.Name] = true
			}
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
			case here[name]:
				warnings = append(warnings, fmt.Sprintf("%s names %s, which is built but filtered out of the module", where, name))
			case built[name]:
				warnings = append(warnings, fmt.Sprintf("%s names %s, which is built for other architectures only", where, name))
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
