package modulemd

import (
	"maps"
	"slices"
	"strings"
)

// components checks the components of a module: their names, what they refer
// to, and that they can be put in an order.
func (c *checker) components(all *Components, arches []string) {
	p := data.at("components").at("rpms")
	allowed := make(map[string]bool, len(arches))
	for _, arch := range arches {
		allowed[arch] = true
	}
	for _, key := range slices.Sorted(maps.Keys(all.RPMs)) {
		if all.RPMs[key] == nil {
			c.add(p.at(key), "has no value; write {} at least")
			continue
		}
		c.componentRPM(p.at(key), key, all.RPMs[key], allowed)
	}
	c.order(p, all.RPMs)
	p = data.at("components").at("modules")
	for _, key := range slices.Sorted(maps.Keys(all.Modules)) {
		m := all.Modules[key]
		c.check(p.at(key), key, CheckComponentName(key))
		if m == nil {
			c.add(p.at(key), "has no value; write {} at least")
			continue
		}
		c.text(p.at(key).at("rationale"), m.Rationale)
		c.check(p.at(key).at("repository"), m.Repository, checkLine(m.Repository))
		c.check(p.at(key).at("ref"), m.Ref, checkLine(m.Ref))
		c.words(p.at(key).at("buildafter"), m.BuildAfter)
		if m.BuildOrder != 0 && len(m.BuildAfter) > 0 {
			c.add(p.at(key), "has buildorder and buildafter; use one of them")
		}
	}
}

func (c *checker) componentRPM(p *path, key string, r *ComponentRPM, allowed map[string]bool) {
	c.check(p, key, CheckComponentName(key))
	if r.Name != "" {
		c.check(p.at("name"), r.Name, CheckComponentName(r.Name))
	}
	c.text(p.at("rationale"), r.Rationale)
	c.check(p.at("repository"), r.Repository, checkLine(r.Repository))
	c.check(p.at("cache"), r.Cache, checkLine(r.Cache))
	c.check(p.at("ref"), r.Ref, checkLine(r.Ref))
	c.words(p.at("arches"), r.Arches)
	c.words(p.at("multilib"), r.Multilib)
	for i, arch := range r.Arches {
		if len(allowed) > 0 && !allowed[arch] && !c.full() {
			c.add(p.at("arches").item(i), "%s is not among the module's own arches (%s); add it to data.buildopts.arches or remove it here",
				quote(arch), listed(slices.Sorted(maps.Keys(allowed)), ", "))
		}
	}
}

// order checks that the components follow one rule of ordering, name only
// each other, and do not wait for each other in a circle.
func (c *checker) order(p *path, all map[string]*ComponentRPM) {
	names := slices.Sorted(maps.Keys(all))
	var ordered, after string // the first component that uses each rule
	for _, name := range names {
		r := all[name]
		if r == nil {
			continue
		}
		if r.BuildOrder != 0 && ordered == "" {
			ordered = name
		}
		if len(r.BuildAfter) > 0 && after == "" {
			after = name
		}
		for i, dep := range r.BuildAfter {
			if all[dep] == nil && !c.full() {
				c.add(p.at(name).at("buildafter").item(i), "%s is not a component of this module%s", quote(dep), didYouMean(dep, names))
			}
		}
	}
	if ordered != "" && after != "" {
		c.add(p.at(after).at("buildafter"), "components use buildafter (%s) and buildorder (%s); use one of them in the whole module", quote(after), quote(ordered))
	}
	if circle := findCircle(names, all); circle != nil {
		c.add(p.at(circle[0]).at("buildafter"), "components wait for each other: %s; remove one of these", listed(circle, " after "))
	}
}

// findCircle returns components each of which is built after the next, the
// first of them again at the end; nil if there is no such circle.
func findCircle(names []string, all map[string]*ComponentRPM) []string {
	const (
		open = 1 + iota
		done
	)
	type step struct {
		name string
		next int
	}
	state := make(map[string]int, len(names))
	for _, start := range names {
		if state[start] != 0 {
			continue
		}
		state[start] = open
		for trail := []step{{name: start}}; len(trail) > 0; {
			top := &trail[len(trail)-1]
			r := all[top.name]
			if r == nil || top.next == len(r.BuildAfter) {
				state[top.name] = done
				trail = trail[:len(trail)-1]
				continue
			}
			dep := r.BuildAfter[top.next]
			top.next++
			switch state[dep] {
			case 0:
				state[dep] = open
				trail = append(trail, step{name: dep})
			case open:
				i := slices.IndexFunc(trail, func(s step) bool { return s.name == dep })
				var circle []string
				for _, s := range trail[i:] {
					circle = append(circle, s.name)
				}
				return append(circle, dep)
			}
		}
	}
	return nil
}

// listed joins names for a message, the first twenty of them if there are more.
func listed(names []string, separator string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, separator)
	}
	return strings.Join(names[:most], separator) + separator + "..."
}

// didYouMean suggests the name that is nearest to a wrong one, if one is near.
func didYouMean(wrong string, names []string) string {
	best, found := 1+len(wrong)/3, ""
	if len(wrong) > 64 {
		return ""
	}
	for _, name := range names {
		if d := distance(wrong, name, best); d < best || d == best && found == "" {
			best, found = d, name
		}
	}
	if found == "" {
		return ""
	}
	return "; did you mean " + quote(found) + "?"
}

// distance counts the insertions, deletions and replacements of bytes between
// two words. It gives most+1 where they differ too much in length.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
