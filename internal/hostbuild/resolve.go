package hostbuild

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/rpmver"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// A built package of the module, with what its header says.
type built struct {
	modulebuild.Package
	provides []rpmfile.Dependency
	requires []rpmfile.Dependency
	files    []rpmfile.File
	foreign  bool // has files that are not root's
}

// A pool is the packages that may be installed, by what they provide.
type pool struct {
	all    []*built
	byName map[string][]*built // capability or path
}

// newPool reads the headers of the binary packages that fit arch.
func newPool(packages []modulebuild.Package, arch string) (*pool, error) {
	p := &pool{byName: make(map[string][]*built)}
	for _, pkg := range packages {
		if pkg.NEVRA.Arch != arch && pkg.NEVRA.Arch != "noarch" {
			continue // source packages, and those for other architectures
		}
		header, err := rpmfile.ReadFile(pkg.Path)
		if err != nil {
			return nil, fmt.Errorf("reading a built package: %w", err)
		}
		p.add(&built{Package: pkg, provides: header.Dependencies(rpmfile.Provides),
			requires: header.Dependencies(rpmfile.Requires), files: header.Files(), foreign: hasForeignFiles(header.Header)})
	}
	return p, nil
}

func hasForeignFiles(h *rpmfile.Header) bool {
	for _, tag := range []rpmfile.Tag{rpmfile.TagFileUserName, rpmfile.TagFileGroupName} {
		for _, owner := range h.Strings(tag) {
			if owner != "root" {
				return true
			}
		}
	}
	return false
}

func (p *pool) add(b *built) {
	p.all = append(p.all, b)
	names := make(map[string]bool)
	for _, d := range b.provides {
		names[d.Name] = true
	}
	for _, f := range b.files {
		names[f.Path] = true
	}
	for name := range names {
		p.byName[name] = append(p.byName[name], b)
	}
}

// meets tells whether b provides what d asks for, version included.
func (b *built) meets(d rpmfile.Dependency) bool {
	want := rpmver.ParseEVR(d.EVR)
	for _, have := range b.provides {
		if have.Name == d.Name && rpmver.Overlap(have.Flags, rpmver.ParseEVR(have.EVR), d.Flags, want) {
			return true
		}
	}
	return strings.HasPrefix(d.Name, "/") && slices.ContainsFunc(b.files, func(f rpmfile.File) bool { return f.Path == d.Name })
}

// A versionError says that the module has what is asked for, in another version.
type versionError struct {
	Asker string // "BuildRequires", or a package
	Want  rpmfile.Dependency
	Have  *built
}

func (e *versionError) Error() string {
	return fmt.Sprintf("%s: needs %s, but component %s has built %s", e.Asker, dependencyText(e.Want), e.Have.Component, e.Have.NEVRA)
}

// closure finds the packages that meet wanted, and those that these need in
// turn, as far as the pool has any; the rest is the host's to have. The result
// is sorted by path.
func (p *pool) closure(wanted []rpmfile.Dependency, always []string) ([]*built, error) {
	chosen := make(map[*built]bool)
	type ask struct {
		asker string
		dep   rpmfile.Dependency
	}
	var queue []ask
	push := func(asker string, deps []rpmfile.Dependency) {
		for _, d := range deps {
			if d.Flags&rpmfile.SenseRPMLib == 0 && !strings.HasPrefix(d.Name, "rpmlib(") {
				queue = append(queue, ask{asker, d})
			}
		}
	}
	choose := func(b *built) {
		if !chosen[b] {
			chosen[b] = true
			push(b.NEVRA.String(), b.requires)
		}
	}
	for _, name := range always {
		for _, b := range p.all {
			if b.NEVRA.Name == name {
				choose(b)
			}
		}
	}
	push("BuildRequires", wanted)
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if strings.HasPrefix(next.dep.Name, "(") {
			// Whether a rich dependency holds is for rpm to say. What it names is
			// installed where the module has it.
			for _, d := range richNames(next.dep.Name) {
				if b := p.pick(d, chosen); b != nil {
					choose(b)
				}
			}
			continue
		}
		if b := p.pick(next.dep, chosen); b != nil {
			choose(b)
		} else if others := p.byName[next.dep.Name]; len(others) > 0 {
			return nil, &versionError{Asker: next.asker, Want: next.dep, Have: others[0]}
		}
	}
	var result []*built
	for b := range chosen {
		result = append(result, b)
	}
	sort.Slice(result, func(i, j int) bool { return result[i].Path < result[j].Path })
	return result, nil
}

// pick chooses among the packages that meet d: one that is installed anyway,
// else one of that very name, else the shortest name, as dnf does.
func (p *pool) pick(d rpmfile.Dependency, chosen map[*built]bool) *built {
	var best *built
	better := func(a, b *built) bool {
		if chosen[a] != chosen[b] {
			return chosen[a]
		}
		an, bn := a.NEVRA.Name, b.NEVRA.Name
		if (an == d.Name) != (bn == d.Name) {
			return an == d.Name
		}
		if len(an) != len(bn) {
			return len(an) < len(bn)
		}
		return a.Path < b.Path
	}
	for _, b := range p.byName[d.Name] {
		if b.meets(d) && (best == nil || better(b, best)) {
			best = b
		}
	}
	return best
}

// richWord splits a rich dependency at blanks and at the brackets that are not
// part of a name, as those of "pkgconfig(x)" are.
var richWord = regexp.MustCompile(`[^\s()]+(\([^\s()]*\))*`)

// richNames gives the plain dependencies in "(a >= 1 if (b or c))".
func richNames(text string) []rpmfile.Dependency {
	operators := map[string]bool{"and": true, "or": true, "if": true, "else": true, "with": true, "without": true, "unless": true}
	flags := map[string]rpmver.Flags{"<": rpmver.Less, ">": rpmver.Greater, "=": rpmver.Equal, "==": rpmver.Equal,
		"<=": rpmver.Less | rpmver.Equal, ">=": rpmver.Greater | rpmver.Equal}
	var deps []rpmfile.Dependency
	words := richWord.FindAllString(text, -1)
	for i := 0; i < len(words); i++ {
		if f, ok := flags[words[i]]; ok && len(deps) > 0 && i+1 < len(words) {
			i++
			deps[len(deps)-1].Flags, deps[len(deps)-1].EVR = f, words[i]
			continue
		}
		if !operators[words[i]] {
			deps = append(deps, rpmfile.Dependency{Name: words[i]})
		}
	}
	return deps
}

// dependencyText writes a dependency as a spec file does.
func dependencyText(d rpmfile.Dependency) string {
	if d.EVR == "" {
		return d.Name
	}
	op := ""
	for _, o := range []struct {
		bit  rpmver.Flags
		text string
	}{{rpmver.Less, "<"}, {rpmver.Greater, ">"}, {rpmver.Equal, "="}} {
		if d.Flags&o.bit != 0 {
			op += o.text
		}
	}
	return d.Name + " " + op + " " + d.EVR
}
