package modulemd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A checker collects the problems of one document.
type checker struct{ problems Problems }

// full reports that no more problems are taken.
func (c *checker) full() bool { return len(c.problems) >= maxProblems }

func (c *checker) add(p *path, format string, args ...any) {
	if !c.full() {
		c.problems = append(c.problems, &Problem{Field: p.String(), Msg: fmt.Sprintf(format, args...), path: p})
	}
}

// check adds the problem of a value that err describes.
func (c *checker) check(p *path, value string, err error) {
	if err != nil {
		c.add(p, "%s %s", quote(value), err)
	}
}

// done hands over the problems of a document that begins at pos.
func (c *checker) done(pos Position) error {
	for _, p := range c.problems {
		p.Pos = pos
	}
	return c.problems.orNil()
}

var data = (*path)(nil).at("data")

// Validate reports everything that is wrong with s as [Problems], or nil. The
// rules are libmodulemd's, and those of names that this package adds. A stream
// without name or stream is valid: the repository it comes from names it.
func (s *Stream) Validate() error {
	var c checker
	if s.Name != "" {
		c.check(data.at("name"), s.Name, CheckModuleName(s.Name))
	}
	c.stream(data.at("stream"), s.Stream)
	c.context(s)
	if s.Arch != "" {
		c.check(data.at("arch"), s.Arch, checkName(s.Arch))
	}
	c.mandatory(data, s.Summary, s.Description)
	if len(s.License.Module) == 0 {
		c.add(data.at("license").at("module"), "is missing; write the licence of the module's metadata, for example [MIT]")
	}
	c.texts(data.at("license").at("module"), s.License.Module)
	c.texts(data.at("license").at("content"), s.License.Content)
	c.serviceLevels(s.ServiceLevels)
	c.xmd(s.XMD)
	for i, d := range s.Dependencies {
		p := data.at("dependencies").item(i)
		c.dependencies(p.at("buildrequires"), d.BuildRequires, false)
		c.dependencies(p.at("requires"), d.Requires, false)
	}
	c.references(s.References)
	c.profiles(s.Profiles)
	c.rpmLists(s.API, s.Filter, s.Demodularized)
	c.buildOpts(data.at("buildopts"), &s.BuildOpts)
	c.components(&s.Components, s.BuildOpts.Arches)
	c.artifacts(&s.Artifacts)
	return c.done(s.Pos)
}

// Validate reports everything that is wrong with p as [Problems], or nil.
func (p *PackagerV2) Validate() error { return p.ToStream().Validate() }

// Validate reports everything that is wrong with p as [Problems], or nil. What
// only the stream made of it needs (a summary, a configuration) is left to
// ToStream, as libmodulemd has it.
func (p *PackagerV3) Validate() error {
	var c checker
	if p.Name != "" {
		c.check(data.at("name"), p.Name, CheckModuleName(p.Name))
	}
	c.stream(data.at("stream"), p.Stream)
	c.text(data.at("summary"), p.Summary)
	c.text(data.at("description"), p.Description)
	c.texts(data.at("license"), p.License)
	c.xmd(p.XMD)
	c.configurations(p.Configurations)
	c.references(p.References)
	c.profiles(p.Profiles)
	c.rpmLists(p.API, p.Filter, p.Demodularized)
	c.components(&p.Components, nil)
	return c.done(p.Pos)
}

// Validate reports everything that is wrong with d as [Problems], or nil.
func (d *Defaults) Validate() error {
	var c checker
	if d.Module == "" {
		c.add(data.at("module"), "is missing; write the name of the module")
	} else {
		c.check(data.at("module"), d.Module, CheckModuleName(d.Module))
	}
	c.stream(data.at("stream"), d.Stream)
	c.defaultProfiles(data.at("profiles"), d.Profiles)
	for _, name := range slices.Sorted(maps.Keys(d.Intents)) {
		p := data.at("intents").at(name)
		c.check(p, name, checkLine(name))
		c.stream(p.at("stream"), d.Intents[name].Stream)
		c.defaultProfiles(p.at("profiles"), d.Intents[name].Profiles)
	}
	return c.done(d.Pos)
}

func (c *checker) defaultProfiles(p *path, profiles map[StreamName][]string) {
	for _, stream := range slices.Sorted(maps.Keys(profiles)) {
		c.check(p.at(string(stream)), string(stream), checkWord(string(stream)))
		for i, name := range profiles[stream] {
			c.check(p.at(string(stream)).item(i), name, checkWord(name))
		}
	}
}

// stream allows what a document may hold; see CheckStreamName for building.
func (c *checker) stream(p *path, name StreamName) {
	if name != "" {
		c.check(p, string(name), CheckStreamName(StreamName(strings.ReplaceAll(string(name), "/", "_"))))
	}
}

func (c *checker) context(s *Stream) {
	switch p := data.at("context"); {
	case s.Context == "":
	case s.StaticContext && !onlyLetters(string(s.Context), 13, "_"):
		c.add(p, "%s is not a static context; use 1 to 13 letters, digits and '_'", quote(string(s.Context)))
	default:
		c.check(p, string(s.Context), CheckContext(s.Context))
	}
}

func (c *checker) mandatory(p *path, summary, description string) {
	if summary == "" {
		c.add(p.at("summary"), "is missing; write a line that says what the module is")
	}
	if description == "" {
		c.add(p.at("description"), "is missing; write what the module is for")
	}
	c.text(p.at("summary"), summary)
	c.text(p.at("description"), description)
}

// text refuses what no file can hold. Anything else can be written, escaped
// where need be.
func (c *checker) text(p *path, s string) {
	if !utf8.ValidString(s) {
		c.add(p, "%s is not UTF-8 text", quote(s))
	}
}

func (c *checker) texts(p *path, set []string) {
	for i, s := range set {
		if s == "" {
			c.add(p.item(i), "is empty; remove it")
		}
		c.text(p.item(i), s)
	}
}

func (c *checker) serviceLevels(levels map[string]ServiceLevel) {
	for _, name := range slices.Sorted(maps.Keys(levels)) {
		p := data.at("servicelevels").at(name)
		c.check(p, name, checkWord(name))
		if eol := levels[name].EOL; eol != "" {
			if _, err := time.Parse(time.DateOnly, eol); err != nil {
				c.add(p.at("eol"), "%s is not a day; write it as 2077-10-23", quote(eol))
			}
		}
	}
}

// maxXMDDepth keeps what is written readable, and ends a mapping that was made
// to hold itself.
const maxXMDDepth = 90

func (c *checker) xmd(n *Node) {
	if n == nil {
		return
	}
	if p := data.at("xmd"); n.Kind() != MapNode {
		c.add(p, "is not a mapping; write \"key: value\" lines")
	} else {
		c.node(p, n, 1)
	}
}

func (c *checker) node(p *path, n *Node, depth int) {
	if depth > maxXMDDepth {
		c.add(p, "is nested more than %d deep", maxXMDDepth)
		return
	}
	c.text(p, n.Text())
	for i, item := range n.Items() {
		c.node(p.item(i), item, depth+1)
	}
	for _, key := range n.Keys() {
		if len(key) > maxKey {
			c.add(p, "the key %s has more than %d bytes", quote(key), maxKey)
		}
		c.text(p.at(key), key)
		c.node(p.at(key), n.Get(key), depth+1)
	}
}

// maxKey is the longest key that YAML readers take on one line, in bytes.
const maxKey = 1024

func (c *checker) dependencies(p *path, deps map[string][]string, single bool) {
	for _, module := range slices.Sorted(maps.Keys(deps)) {
		p := p.at(module)
		c.check(p, module, CheckModuleName(module))
		negative := 0
		for i, stream := range deps[module] {
			name, minus := strings.CutPrefix(stream, "-")
			if minus {
				negative++
			}
			c.check(p.item(i), stream, checkWord(name))
		}
		if negative > 0 && negative < len(deps[module]) {
			c.add(p, "has streams with and without '-'; list either the streams to use or those to leave out")
		}
		if single && len(deps[module]) != 1 {
			c.add(p, "has %d streams; a configuration takes exactly one", len(deps[module]))
		}
	}
}

func (c *checker) references(r References) {
	p := data.at("references")
	c.check(p.at("community"), r.Community, checkLine(r.Community))
	c.check(p.at("documentation"), r.Documentation, checkLine(r.Documentation))
	c.check(p.at("tracker"), r.Tracker, checkLine(r.Tracker))
}

func (c *checker) profiles(profiles map[string]Profile) {
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		p := data.at("profiles").at(name)
		c.check(p, name, checkWord(name))
		c.text(p.at("description"), profiles[name].Description)
		c.words(p.at("rpms"), profiles[name].RPMs)
	}
}

func (c *checker) rpmLists(api, filter, demodularized []string) {
	c.words(data.at("api").at("rpms"), api)
	c.words(data.at("filter").at("rpms"), filter)
	c.words(data.at("demodularized").at("rpms"), demodularized)
}

func (c *checker) words(p *path, set []string) {
	for i, s := range set {
		c.check(p.item(i), s, checkWord(s))
	}
}

func (c *checker) buildOpts(p *path, o *BuildOpts) {
	c.text(p.at("rpms").at("macros"), o.RPMs.Macros)
	c.words(p.at("rpms").at("whitelist"), o.RPMs.Whitelist)
	c.words(p.at("arches"), o.Arches)
}

func (c *checker) configurations(all []Configuration) {
	seen := map[Context]int{}
	for i := range all {
		config := &all[i]
		p := data.at("configurations").item(i)
		switch context := string(config.Context); {
		case context == "":
			c.add(p.at("context"), "is missing; write 1 to 10 letters and digits that name this configuration")
		case !onlyLetters(context, 10, ""):
			c.add(p.at("context"), "%s is not a context; use 1 to 10 letters and digits", quote(context))
		case seen[config.Context] > 0:
			c.add(p.at("context"), "%s is also the context of configuration %d; each needs its own", quote(context), seen[config.Context])
		default:
			seen[config.Context] = i + 1
		}
		if config.Platform == "" {
			c.add(p.at("platform"), "is missing; write the platform to build for, for example f40")
		} else {
			c.check(p.at("platform"), config.Platform, checkWord(config.Platform))
		}
		c.dependencies(p.at("buildrequires"), config.BuildRequires, true)
		c.dependencies(p.at("requires"), config.Requires, true)
		c.buildOpts(p.at("buildopts"), &config.BuildOpts)
	}
}

func (c *checker) artifacts(a *Artifacts) {
	p := data.at("artifacts")
	for i, n := range a.RPMs {
		c.nevra(p.at("rpms").item(i), n)
	}
	for _, digest := range slices.Sorted(maps.Keys(a.RPMMap)) {
		p := p.at("rpm-map").at(digest)
		c.check(p, digest, checkWord(digest))
		for _, sum := range slices.Sorted(maps.Keys(a.RPMMap[digest])) {
			c.check(p.at(sum), sum, checkWord(sum))
			c.nevra(p.at(sum), a.RPMMap[digest][sum])
		}
	}
}

// nevra makes sure that the package can be read back from its one-line form.
func (c *checker) nevra(p *path, n NEVRA) {
	text := n.String()
	for _, part := range []string{n.Name, n.Version, n.Release, n.Arch} {
		if err := checkName(part); err != nil {
			c.check(p, text, err)
			return
		}
	}
	if again, err := ParseNEVRA(text); err != nil {
		c.add(p, "%s", err)
	} else if again != n {
		c.add(p, "%s does not say which package is meant; a name, version, release or architecture has one of \"-:.\" where it must not", quote(text))
	}
}
