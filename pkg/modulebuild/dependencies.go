package modulebuild

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// PlatformModule is the name of the module that stands for the distribution.
const PlatformModule = "platform"

// A ModuleStream is one stream of a module.
type ModuleStream struct {
	Name   string `json:"name"`
	Stream string `json:"stream"`
}

func (m ModuleStream) String() string { return m.Name + ":" + m.Stream }

// ParseModuleStream reads "NAME:STREAM".
func ParseModuleStream(s string) (ModuleStream, error) {
	name, stream, ok := strings.Cut(s, ":")
	if !ok || name == "" || stream == "" || strings.ContainsAny(stream, ":/ \t\r\n") || strings.ContainsAny(name, "/ \t\r\n") {
		return ModuleStream{}, fmt.Errorf("%q is not of the form NAME:STREAM", s)
	}
	return ModuleStream{name, stream}, nil
}

// choice is what a module is built with: one stream of each module that it
// needs, and the dependencies that its finished metadata will declare.
type choice struct {
	platform      *ModuleStream
	buildRequires map[string]string
	dependencies  []modulemd.Dependencies
}

// choose picks one block of dependencies and in it one stream for each module.
// wanted holds the caller's choices by module name; they also count where the
// document does not mention the module. hostPlatform, which may be empty, is
// taken where the document leaves the platform open and nothing is wanted.
func choose(doc *modulemd.Stream, wanted map[string]string, hostPlatform string) (choice, error) {
	if len(doc.Dependencies) == 0 {
		return finishChoice(doc, -1, maps.Clone(wanted), wanted), nil
	}
	type match struct {
		block   int
		streams map[string]string
	}
	var matches []match
	var misses []string
	for i, block := range doc.Dependencies {
		streams, err := chooseStreams(block.BuildRequires, wanted, hostPlatform)
		if err != nil {
			misses = append(misses, fmt.Sprintf("%s: %v", block.Pos, err))
			continue
		}
		matches = append(matches, match{i, streams})
	}
	switch len(matches) {
	case 1:
		return finishChoice(doc, matches[0].block, matches[0].streams, wanted), nil
	case 0:
		return choice{}, &InputError{Msg: strings.Join(misses, "\n")}
	}
	return choice{}, &InputError{
		Where: doc.Dependencies[matches[1].block].Pos.String(),
		Msg: fmt.Sprintf("%d blocks of dependencies can be built; choose one with --platform NAME:STREAM or --enable NAME:STREAM",
			len(matches)),
	}
}

func chooseStreams(requires map[string][]string, wanted map[string]string, hostPlatform string) (map[string]string, error) {
	chosen := map[string]string{}
	for _, module := range slices.Sorted(maps.Keys(requires)) {
		streams := requires[module]
		switch want, ok := wanted[module]; {
		case ok:
			if !Admits(streams, want) {
				return nil, fmt.Errorf("%s:%s is asked for, but the document builds with %s", module, want, describeStreams(module, streams))
			}
			chosen[module] = want
		case len(streams) == 1 && !strings.HasPrefix(streams[0], "-"):
			chosen[module] = streams[0]
		case module == PlatformModule && hostPlatform != "" && Admits(streams, hostPlatform):
			chosen[module] = hostPlatform
		default:
			option := "--enable"
			if module == PlatformModule {
				option = "--platform"
			}
			return nil, fmt.Errorf("the document builds with %s; choose one with %s %s:STREAM",
				describeStreams(module, streams), option, module)
		}
	}
	return chosen, nil
}

// Admits tells whether a list of streams allows one: an empty list allows all, a
// list of negative ones all others.
func Admits(streams []string, stream string) bool {
	if len(streams) == 0 || slices.Contains(streams, stream) {
		return true
	}
	return strings.HasPrefix(streams[0], "-") && !slices.Contains(streams, "-"+stream)
}

func describeStreams(module string, streams []string) string {
	if len(streams) == 0 {
		return "any stream of " + module
	}
	return module + " of " + strings.Join(streams, ", ")
}

// finishChoice adds what is wanted beyond the document, and rewrites the block
// of dependencies as the Module Build Service does: each buildrequired module to
// its one stream, and likewise where it is required with the same streams.
func finishChoice(doc *modulemd.Stream, block int, streams, wanted map[string]string) choice {
	c := choice{buildRequires: map[string]string{}}
	maps.Copy(c.buildRequires, streams)
	maps.Copy(c.buildRequires, wanted)
	if stream, ok := c.buildRequires[PlatformModule]; ok {
		c.platform = &ModuleStream{PlatformModule, stream}
	}
	for i, d := range doc.Dependencies {
		if i == block {
			build := make(map[string][]string, len(d.BuildRequires))
			for module := range d.BuildRequires {
				build[module] = []string{streams[module]}
			}
			run := maps.Clone(d.Requires)
			for module, want := range d.Requires {
				if have, ok := d.BuildRequires[module]; ok && sameStreams(have, want) {
					run[module] = []string{streams[module]}
				}
			}
			d.BuildRequires, d.Requires = build, run
		}
		c.dependencies = append(c.dependencies, d)
	}
	return c
}

func sameStreams(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
