package repogen

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/rpmver"
)

// The lists of dependencies, in the order in which primary.xml has them.
const (
	depProvides = iota
	depRequires
	depConflicts
	depObsoletes
	depSuggests
	depEnhances
	depRecommends
	depSupplements
	depKinds
)

// dependencyElement names the element of primary.xml.
func dependencyElement(kind int) string {
	return [depKinds]string{"rpm:provides", "rpm:requires", "rpm:conflicts", "rpm:obsoletes",
		"rpm:suggests", "rpm:enhances", "rpm:recommends", "rpm:supplements"}[kind]
}

type dependency struct {
	name            string
	flags           string // LT, GT, EQ, LE, GE, or "" for no range
	epoch, ver, rel string
	pre             bool
}

// describeDependencies gives all lists. What a client does not need to know of
// requires is left out, see keepRequires.
func describeDependencies(h *rpmfile.Header, files []file, t *texts) [depKinds][]dependency {
	var out [depKinds][]dependency
	plain := []struct {
		kind int
		from rpmfile.DependencyKind
	}{
		{depProvides, rpmfile.Provides},
		{depConflicts, rpmfile.Conflicts},
		{depObsoletes, rpmfile.Obsoletes},
		{depSuggests, rpmfile.Suggests},
		{depEnhances, rpmfile.Enhances},
		{depRecommends, rpmfile.Recommends},
		{depSupplements, rpmfile.Supplements},
	}
	for _, p := range plain {
		for _, dep := range h.Dependencies(p.from) {
			if d, ok := describeDependency(dep, p.from.String(), t); ok {
				out[p.kind] = append(out[p.kind], d)
			}
		}
	}
	old := []struct {
		from         rpmfile.DependencyKind
		weak, strong int
	}{
		{rpmfile.OldSuggests, depSuggests, depRecommends},
		{rpmfile.OldEnhances, depEnhances, depSupplements},
	}
	for _, o := range old {
		for _, dep := range h.Dependencies(o.from) {
			kind := o.weak
			if dep.Flags&rpmfile.SenseStrong != 0 {
				kind = o.strong
			}
			if d, ok := describeDependency(dep, o.from.String(), t); ok {
				out[kind] = append(out[kind], d)
			}
		}
	}
	requires, missingOK := keepRequires(h, files, t)
	out[depRequires] = requires
	out[depRecommends] = append(missingOK, out[depRecommends]...)
	return out
}

// keepRequires gives the requirements that a client has to look at, and apart from
// them those that may be missing. Left out are those that rpm itself meets
// (rpmlib), those that the package meets itself by a file that primary.xml
// lists or by the very same provide, repetitions, and all but the highest
// version of libc.so.6.
func keepRequires(h *rpmfile.Header, files []file, t *texts) (requires, missingOK []dependency) {
	owned := make(map[string]bool)
	for _, f := range files {
		if isPrimaryFile(f.path) {
			owned[f.path] = true
		}
	}
	type key struct{ name, flags, evr string }
	provided := make(map[key]bool)
	for _, dep := range h.Dependencies(rpmfile.Provides) {
		provided[key{dep.Name, senseName(dep.Flags), dep.EVR}] = true
	}
	type kept struct {
		flags, evr string
		pre        bool
	}
	lastKept := make(map[string]kept)
	var libc dependency
	for _, dep := range h.Dependencies(rpmfile.Requires) {
		if strings.HasPrefix(dep.Name, "rpmlib(") || owned[dep.Name] ||
			provided[key{dep.Name, senseName(dep.Flags), dep.EVR}] {
			continue
		}
		const before = rpmfile.SensePrereq | rpmfile.SenseScriptPre | rpmfile.SenseScriptPost |
			rpmfile.SensePreTrans | rpmfile.SensePostTrans
		this := kept{senseName(dep.Flags), dep.EVR, dep.Flags&before != 0}
		if last, ok := lastKept[dep.Name]; ok && last == this {
			continue
		}
		d, ok := describeDependency(dep, "requires", t)
		if !ok {
			continue
		}
		d.pre = this.pre
		if dep.Flags&rpmfile.SenseMissingOK != 0 {
			d.pre = false
			missingOK = append(missingOK, d)
			continue
		}
		if strings.HasPrefix(d.name, "libc.so.6") {
			if libc.name == "" || compareLibc(d.name, libc.name) > 0 {
				libc = d
			}
			continue
		}
		lastKept[dep.Name] = this
		requires = append(requires, d)
	}
	if libc.name != "" {
		requires = append(requires, libc)
	}
	return requires, missingOK
}

// compareLibc orders libc.so.6, libc.so.6(), libc.so.6(GLIBC_PRIVATE) and
// libc.so.6(GLIBC_2.34), each with or without (64bit).
func compareLibc(a, b string) int {
	rank := func(name string) (int, string) {
		_, rest, found := strings.Cut(name, "(")
		inside, _, closed := strings.Cut(rest, ")")
		digit := strings.IndexAny(inside, "0123456789")
		switch {
		case !found || !closed:
			return 0, ""
		case inside == "":
			return 1, ""
		case digit < 0:
			return 2, ""
		}
		return 3, inside[digit:]
	}
	rankA, versionA := rank(a)
	rankB, versionB := rank(b)
	return cmp.Or(cmp.Compare(rankA, rankB), rpmver.Compare(versionA, versionB))
}

// describeDependency splits name and version. An entry without a name, or with an
// epoch that is no number, is not ok: no client could understand it.
func describeDependency(dep rpmfile.Dependency, tag string, t *texts) (d dependency, ok bool) {
	if dep.Name == "" {
		return d, false
	}
	d.name = t.exact(tag, dep.Name)
	d.flags = senseName(dep.Flags)
	if dep.EVR == "" {
		return d, true
	}
	if d.epoch, d.ver, d.rel, ok = splitEVR(t.exact(tag, dep.EVR)); !ok {
		t.warn(tag, strconv.Quote(d.name)+" left out: the epoch of its version "+strconv.Quote(dep.EVR)+" is no number")
	}
	return d, ok
}

// splitEVR splits at the first ':' and the first '-', as createrepo_c does. An
// epoch that is not given is "0".
func splitEVR(s string) (epoch, ver, rel string, ok bool) {
	epoch = "0"
	if before, after, found := strings.Cut(s, ":"); found {
		if s = after; before != "" {
			if _, err := strconv.ParseInt(before, 10, 64); err != nil {
				return "", "", "", false
			}
			epoch = before
		}
	}
	ver, rel, _ = strings.Cut(s, "-")
	return epoch, ver, rel, true
}

// senseName gives the name of a range, "" for none and for what is no range.
func senseName(f rpmver.Flags) string {
	switch f & 0xf {
	case rpmver.Less:
		return "LT"
	case rpmver.Greater:
		return "GT"
	case rpmver.Equal:
		return "EQ"
	case rpmver.Less | rpmver.Equal:
		return "LE"
	case rpmver.Greater | rpmver.Equal:
		return "GE"
	}
	return ""
}
