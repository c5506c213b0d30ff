package modulemd

import "github.com/kojimod/kojimod/internal/yamlx"

// stream reads the data of a modulemd document of version 2.
func (d *decoder) stream(s *Stream, body *yamlx.Node) {
	d.fields(body, data, table{
		"name":           text(d, &s.Name),
		"stream":         text(d, &s.Stream),
		"version":        d.uint(&s.Version),
		"context":        text(d, &s.Context),
		"static_context": d.bool(&s.StaticContext),
		"arch":           text(d, &s.Arch),
		"summary":        text(d, &s.Summary),
		"description":    text(d, &s.Description),
		"servicelevels":  named(d, &s.ServiceLevels, d.serviceLevel),
		"license": d.nested(table{
			"module":  d.set(&s.License.Module),
			"content": d.set(&s.License.Content),
		}),
		"xmd":           d.xmd(&s.XMD),
		"dependencies":  list(d, &s.Dependencies, d.dependency),
		"references":    d.references(&s.References),
		"profiles":      named(d, &s.Profiles, d.profile),
		"api":           d.rpms(&s.API),
		"filter":        d.rpms(&s.Filter),
		"demodularized": d.rpms(&s.Demodularized),
		"buildopts":     d.buildOpts(&s.BuildOpts),
		"components":    d.components(&s.Components),
		"artifacts": d.nested(table{
			"rpms":    d.nevras(&s.Artifacts.RPMs),
			"rpm-map": d.rpmMap(&s.Artifacts.RPMMap),
		}),
	})
}

// packagerV2 reads the data of a modulemd-packager document of version 2.
func (d *decoder) packagerV2(v *PackagerV2, body *yamlx.Node) {
	known := table{
		"summary":       text(d, &v.Summary),
		"description":   text(d, &v.Description),
		"license":       d.nested(table{"module": d.set(&v.License)}),
		"dependencies":  list(d, &v.Dependencies, d.dependency),
		"references":    d.references(&v.References),
		"profiles":      named(d, &v.Profiles, d.profile),
		"api":           d.rpms(&v.API),
		"filter":        d.rpms(&v.Filter),
		"demodularized": d.rpms(&v.Demodularized),
		"components":    d.components(&v.Components),
	}
	const advice = "is not a key of modulemd-packager version 2; use \"document: modulemd\", or modulemd-packager version 3, to set it"
	// Keys that only a built module has.
	for _, key := range []string{"static_context", "arch", "servicelevels", "artifacts"} {
		known[key] = func(n *yamlx.Node, p *path) { d.add(n, p, advice) }
	}
	for key, read := range map[string]field{
		"name": text(d, &v.Name), "stream": text(d, &v.Stream), "version": d.uint(&v.Version), "context": text(d, &v.Context),
		"xmd": d.xmd(&v.XMD), "buildopts": d.buildOpts(&v.BuildOpts),
	} {
		known[key] = func(n *yamlx.Node, p *path) {
			v.Foreign = append(v.Foreign, &Problem{Pos: d.pos(n), Document: d.number, Field: p.String(), Msg: advice})
			read(n, p)
		}
	}
	d.fields(body, data, known)
}

// packagerV3 reads the data of a modulemd-packager document of version 3.
func (d *decoder) packagerV3(v *PackagerV3, body *yamlx.Node) {
	d.fields(body, data, table{
		"name":           text(d, &v.Name),
		"stream":         text(d, &v.Stream),
		"summary":        text(d, &v.Summary),
		"description":    text(d, &v.Description),
		"license":        d.set(&v.License),
		"xmd":            d.xmd(&v.XMD),
		"configurations": list(d, &v.Configurations, d.configuration),
		"references":     d.references(&v.References),
		"profiles":       named(d, &v.Profiles, d.profile),
		"api":            d.rpms(&v.API),
		"filter":         d.rpms(&v.Filter),
		"demodularized":  d.rpms(&v.Demodularized),
		"components":     d.components(&v.Components),
	})
}

// defaults reads the data of a modulemd-defaults document of version 1.
func (d *decoder) defaults(v *Defaults, body *yamlx.Node) {
	d.fields(body, data, table{
		"module":   text(d, &v.Module),
		"modified": d.uint(&v.Modified),
		"stream":   text(d, &v.Stream),
		"profiles": d.defaultProfiles(&v.Profiles),
		"intents": named(d, &v.Intents, func(_, n *yamlx.Node, p *path) (i Intent) {
			d.fields(n, p, table{"stream": text(d, &i.Stream), "profiles": d.defaultProfiles(&i.Profiles)})
			return i
		}),
	})
}

func (d *decoder) defaultProfiles(to *map[StreamName][]string) field {
	return func(n *yamlx.Node, p *path) {
		*to = make(map[StreamName][]string, len(n.Content)/2)
		d.each(n, p, func(key, value *yamlx.Node, p *path) {
			var set []string
			d.set(&set)(value, p)
			(*to)[StreamName(key.Text)] = set
		})
	}
}

func (d *decoder) serviceLevel(_, n *yamlx.Node, p *path) (s ServiceLevel) {
	d.fields(n, p, table{"eol": text(d, &s.EOL)})
	return s
}

func (d *decoder) references(to *References) field {
	return d.nested(table{
		"community":     text(d, &to.Community),
		"documentation": text(d, &to.Documentation),
		"tracker":       text(d, &to.Tracker),
	})
}

func (d *decoder) profile(_, n *yamlx.Node, p *path) (v Profile) {
	d.fields(n, p, table{
		"description": text(d, &v.Description),
		"rpms":        d.set(&v.RPMs),
		"default":     d.bool(&v.Default),
	})
	return v
}

func (d *decoder) streams(to *map[string][]string) field {
	return named(d, to, func(_, n *yamlx.Node, p *path) (set []string) {
		d.set(&set)(n, p)
		return set
	})
}

func (d *decoder) dependency(n *yamlx.Node, p *path) Dependencies {
	v := Dependencies{Pos: d.pos(n)}
	d.fields(n, p, table{
		"buildrequires": d.streams(&v.BuildRequires),
		"requires":      d.streams(&v.Requires),
	})
	return v
}

func (d *decoder) configuration(n *yamlx.Node, p *path) Configuration {
	v := Configuration{Pos: d.pos(n)}
	d.fields(n, p, table{
		"context":       text(d, &v.Context),
		"platform":      text(d, &v.Platform),
		"buildrequires": d.streams(&v.BuildRequires),
		"requires":      d.streams(&v.Requires),
		"buildopts":     d.buildOpts(&v.BuildOpts),
	})
	return v
}

func (d *decoder) buildOpts(to *BuildOpts) field {
	return d.nested(table{
		"rpms": d.nested(table{
			"macros": func(n *yamlx.Node, p *path) {
				to.RPMs.MacrosPos = d.pos(n)
				text(d, &to.RPMs.Macros)(n, p)
			},
			"whitelist": d.set(&to.RPMs.Whitelist),
		}),
		"arches": d.set(&to.Arches),
	})
}

func (d *decoder) components(to *Components) field {
	return d.nested(table{
		"rpms":    named(d, &to.RPMs, d.componentRPM),
		"modules": named(d, &to.Modules, d.componentModule),
	})
}

func (d *decoder) componentRPM(key, n *yamlx.Node, p *path) *ComponentRPM {
	v := &ComponentRPM{Pos: d.pos(key)}
	d.fields(n, p, table{
		"rationale":      text(d, &v.Rationale),
		"name":           text(d, &v.Name),
		"repository":     text(d, &v.Repository),
		"cache":          text(d, &v.Cache),
		"ref":            text(d, &v.Ref),
		"buildroot":      d.bool(&v.Buildroot),
		"srpm-buildroot": d.bool(&v.SRPMBuildroot),
		"buildorder":     d.int(&v.BuildOrder),
		"buildafter":     d.set(&v.BuildAfter),
		"buildonly":      d.bool(&v.BuildOnly),
		"arches":         d.set(&v.Arches),
		"multilib":       d.set(&v.Multilib),
	})
	return v
}

func (d *decoder) componentModule(key, n *yamlx.Node, p *path) *ComponentModule {
	v := &ComponentModule{Pos: d.pos(key)}
	d.fields(n, p, table{
		"rationale":  text(d, &v.Rationale),
		"repository": text(d, &v.Repository),
		"ref":        text(d, &v.Ref),
		"buildorder": d.int(&v.BuildOrder),
		"buildafter": d.set(&v.BuildAfter),
		"buildonly":  d.bool(&v.BuildOnly),
	})
	return v
}

func (d *decoder) nevras(to *[]NEVRA) field {
	return func(n *yamlx.Node, p *path) {
		var set []string
		d.set(&set)(n, p)
		for i, s := range set {
			v, err := ParseNEVRA(s)
			if err != nil {
				at := n
				if i < len(n.Content) {
					at = &n.Content[i]
				}
				d.add(at, p.item(i), "%s", err)
			}
			*to = append(*to, v)
		}
	}
}

func (d *decoder) rpmMap(to *map[string]map[string]NEVRA) field {
	return named(d, to, func(_, n *yamlx.Node, p *path) map[string]NEVRA {
		var sums map[string]NEVRA
		named(d, &sums, d.rpmMapEntry)(n, p)
		return sums
	})
}

// rpmMapEntry reads a package that is given in parts and as a whole. Both must
// agree.
func (d *decoder) rpmMapEntry(key, n *yamlx.Node, p *path) (v NEVRA) {
	var whole string
	if !d.fields(n, p, table{
		"name":    text(d, &v.Name),
		"epoch":   d.uint(&v.Epoch),
		"version": text(d, &v.Version),
		"release": text(d, &v.Release),
		"arch":    text(d, &v.Arch),
		"nevra":   text(d, &whole),
	}) {
		return v
	}
	for _, name := range []string{"name", "epoch", "version", "release", "arch", "nevra"} {
		if n.Get(name) == nil {
			d.add(key, p.at(name), "is missing")
		}
	}
	if n.Get("nevra") != nil && whole != v.String() {
		d.add(n.Get("nevra"), p.at("nevra"), "%s is not what the other keys say, %s", quote(whole), quote(v.String()))
	}
	return v
}

// xmd reads the free-form part.
func (d *decoder) xmd(to **Node) field {
	return func(n *yamlx.Node, p *path) {
		if d.is(n, p, yamlx.Mapping) {
			*to = nodeOf(n)
		}
	}
}

func nodeOf(n *yamlx.Node) *Node {
	switch n.Kind {
	case yamlx.Mapping:
		m := NewMap()
		for i := 0; i+1 < len(n.Content); i += 2 {
			m.Set(n.Content[i].Text, nodeOf(&n.Content[i+1]))
		}
		return m
	case yamlx.Sequence:
		items := make([]*Node, len(n.Content))
		for i := range n.Content {
			items[i] = nodeOf(&n.Content[i])
		}
		return NewList(items...)
	}
	if n.Style != yamlx.Plain {
		return NewText(n.Text)
	}
	switch n.Text {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return &Node{kind: BoolNode, text: n.Text}
	}
	return &Node{text: n.Text, plain: n.Text != "" && yamlx.IsWord(n.Text)}
}
