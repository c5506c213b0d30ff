package modulebuild

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// modulePackages filters: out go packages that the document's filter names,
// those of components that are only for building, those that the rule has no place
// for, debug packages of what is out, and source packages of which nothing is
// left. It gives the packages sorted by NEVRA; a nil rule has a place for all.
func (p *Plan) modulePackages(outcomes []Outcome, rule *archRule) ([]Package, error) {
	all, err := p.builtPackages(outcomes)
	if err != nil {
		return nil, err
	}
	filter := map[string]bool{}
	for _, name := range p.Doc.Filter {
		filter[name] = true
	}
	binaries := map[string]bool{}     // names of all that was built, for any architecture
	sourcesOf := map[string]Package{} // by component
	for i, c := range p.Components {
		sourcesOf[outcomes[i].Component] = sourceOf(outcomes[i])
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
		return !filter[pkg.NEVRA.Name] && p.listed(pkg) && p.fits(rule, pkg, sourcesOf[pkg.Component])
	}
	in := map[string]bool{}      // names of packages that are part of the module
	kept := map[string]bool{}    // the packages themselves
	sources := map[string]bool{} // file names of source packages that something is built from
	keep := func(pkg Package) {
		in[pkg.NEVRA.Name] = true
		kept[pkg.NEVRA.String()] = true
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
		if debug && pkg.SourceRPM != "" && passes(pkg) && (in[main] || !binaries[main] && withBinaries[pkg.SourceRPM]) {
			keep(pkg)
		}
	}
	return slices.DeleteFunc(all, func(pkg Package) bool {
		if pkg.SourceRPM == "" {
			return !sources[pkg.NEVRA.Filename()]
		}
		return !kept[pkg.NEVRA.String()]
	}), nil
}

// sourceOf gives the source package of what was built.
func sourceOf(o Outcome) Package {
	for _, pkg := range o.Packages {
		if pkg.SourceRPM == "" {
			return pkg
		}
	}
	return Package{}
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
