package modulemd

import (
	"fmt"
	"maps"
	"slices"
)

// PackagerV2 is a modulemd-packager document of version 2: what a packager
// writes for a module whose name and stream come from its repository.
type PackagerV2 struct {
	Summary       string
	Description   string
	License       []string // of the module's metadata; a set
	Dependencies  []Dependencies
	References    References
	Profiles      map[string]Profile
	API           []string
	Filter        []string
	Demodularized []string
	Components    Components

	// What follows is not in the format. Packagers write it all the same, and it
	// means what it means in a Stream. Foreign says where it stands: libmodulemd
	// passes over these keys, and refuses them when it is strict.
	Name      string
	Stream    StreamName
	Version   uint64
	Context   Context
	XMD       *Node
	BuildOpts BuildOpts
	Foreign   Problems

	Pos Position
}

// Type gives "modulemd-packager", 2.
func (p *PackagerV2) Type() (string, uint64) { return "modulemd-packager", 2 }

// Position is where the document began.
func (p *PackagerV2) Position() Position { return p.Pos }

// ToStream gives the stream document that p stands for. Its name and stream
// are usually empty. It shares p's maps and slices.
func (p *PackagerV2) ToStream() *Stream {
	return &Stream{
		Name: p.Name, Stream: p.Stream, Version: p.Version, Context: p.Context, XMD: p.XMD, BuildOpts: p.BuildOpts,
		Summary: p.Summary, Description: p.Description, License: License{Module: p.License},
		Dependencies: p.Dependencies, References: p.References, Profiles: p.Profiles,
		API: p.API, Filter: p.Filter, Demodularized: p.Demodularized,
		Components: p.Components, Pos: p.Pos,
	}
}

// PackagerV3 is a modulemd-packager document of version 3: a module stream
// that may be built in several configurations.
type PackagerV3 struct {
	Name           string
	Stream         StreamName
	Summary        string
	Description    string
	License        []string // of the module's metadata; a set
	XMD            *Node    // a mapping, or nil
	Configurations []Configuration
	References     References
	Profiles       map[string]Profile
	API            []string
	Filter         []string
	Demodularized  []string
	Components     Components
	Pos            Position
}

// Configuration is one way to build a PackagerV3.
type Configuration struct {
	Context  Context // letters and digits, at most 10
	Platform string  // a stream of the module "platform"
	// Modules needed to build and to use; each list has one stream.
	BuildRequires map[string][]string
	Requires      map[string][]string
	BuildOpts     BuildOpts
	Pos           Position
}

// Type gives "modulemd-packager", 3.
func (p *PackagerV3) Type() (string, uint64) { return "modulemd-packager", 3 }

// Position is where the document began.
func (p *PackagerV3) Position() Position { return p.Pos }

// Contexts lists the contexts of p's configurations in the order of the file.
func (p *PackagerV3) Contexts() []Context {
	all := make([]Context, len(p.Configurations))
	for i, c := range p.Configurations {
		all[i] = c.Context
	}
	return all
}

// ToStream gives the stream document of the configuration with this context,
// and a defaults document if profiles are marked as default (else nil). An
// empty context means the only configuration; with several it is an error
// that lists them. As libmodulemd has it, the platform is a dependency both
// for building and for use, the context is static, and the licence is MIT if
// none is given. The result shares p's maps and slices where it can.
func (p *PackagerV3) ToStream(context string) (*Stream, *Defaults, error) {
	config, err := p.configuration(context)
	if err != nil {
		return nil, nil, err
	}
	license := p.License
	if len(license) == 0 {
		license = []string{"MIT"}
	}
	s := &Stream{
		Name: p.Name, Stream: p.Stream, Context: config.Context, StaticContext: true,
		Summary: p.Summary, Description: p.Description, License: License{Module: license}, XMD: p.XMD,
		Dependencies: []Dependencies{{
			BuildRequires: withPlatform(config.BuildRequires, config.Platform),
			Requires:      withPlatform(config.Requires, config.Platform),
			Pos:           config.Pos,
		}},
		References: p.References, Profiles: withoutDefault(p.Profiles),
		API: p.API, Filter: p.Filter, Demodularized: p.Demodularized,
		BuildOpts: config.BuildOpts, Components: p.Components, Pos: p.Pos,
	}
	if err := s.Validate(); err != nil {
		return nil, nil, err
	}
	return s, p.defaults(), nil
}

func (p *PackagerV3) configuration(context string) (*Configuration, error) {
	var names []string
	for i := range p.Configurations {
		c := &p.Configurations[i]
		if string(c.Context) == context || context == "" && len(p.Configurations) == 1 {
			return c, nil
		}
		names = append(names, string(c.Context))
	}
	at := p.Pos.String()
	if at != "" {
		at += ": "
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%sdata.configurations is missing: write at least one, with context and platform", at)
	case context == "":
		return nil, fmt.Errorf("%sthe document has several configurations; choose a context: %s", at, listed(names, ", "))
	}
	return nil, fmt.Errorf("%sthe document has no configuration with the context %q; it has %s", at, context, listed(names, ", "))
}

// withoutDefault unmarks the default profiles: the defaults document says which
// they are.
func withoutDefault(profiles map[string]Profile) map[string]Profile {
	all := maps.Clone(profiles)
	for name, p := range all {
		p.Default = false
		all[name] = p
	}
	return all
}

// withPlatform adds the platform to the streams of the module "platform".
func withPlatform(deps map[string][]string, platform string) map[string][]string {
	all := maps.Clone(deps)
	if all == nil {
		all = make(map[string][]string, 1)
	}
	if !slices.Contains(all["platform"], platform) {
		all["platform"] = append(slices.Clone(all["platform"]), platform)
	}
	return all
}

// defaults gives the defaults document of the profiles marked as default, or
// nil if there are none or nothing to name them by.
func (p *PackagerV3) defaults() *Defaults {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.Profiles)) {
		if p.Profiles[name].Default {
			names = append(names, name)
		}
	}
	if len(names) == 0 || p.Name == "" || p.Stream == "" {
		return nil
	}
	return &Defaults{Module: p.Name, Profiles: map[StreamName][]string{p.Stream: names}}
}
