package modulemd

import (
	"fmt"
	"io"
	"strconv"

	"github.com/kojimod/kojimod/internal/yamlx"
)

// Write writes documents in the form in which libmodulemd publishes them: keys
// in its order, sets sorted, lines folded after column 80. Equal documents
// give equal bytes.
//
// It differs from libmodulemd in what would otherwise change or get lost: text
// that a YAML reader takes for a boolean, null, a day or a time is quoted, as
// libmodulemd 2.15 does with numbers; and macros or descriptions that folding
// would alter are written literally.
//
// All documents are validated before anything is written; the error is then
// [Problems].
func Write(w io.Writer, docs ...Document) error {
	var out []byte
	for _, doc := range docs {
		if err := doc.Validate(); err != nil {
			return err
		}
		var body *builder
		switch d := doc.(type) {
		case *Stream:
			body = d.build()
		case *PackagerV2:
			body = d.build()
		case *PackagerV3:
			body = d.build()
		case *Defaults:
			body = d.build()
		default:
			return fmt.Errorf("writing module metadata: %T is not a document of this package", doc)
		}
		var root builder
		kind, version := doc.Type()
		root.text("document", kind)
		root.uint("version", version)
		root.always("data", body)
		var err error
		if out, err = yamlx.AppendDocument(out, root.node()); err != nil {
			return fmt.Errorf("writing %s: %w", kind, err)
		}
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("writing module metadata: %w", err)
	}
	return nil
}

// build gives the data of a modulemd document.
func (s *Stream) build() *builder {
	var b builder
	b.text("name", s.Name)
	b.quoted("stream", s.Stream)
	b.uint("version", s.Version)
	b.text("context", string(s.Context))
	b.flag("static_context", s.StaticContext)
	b.text("arch", s.Arch)
	b.text("summary", s.Summary)
	b.folded("description", s.Description)
	b.sub("servicelevels", eachKey(s.ServiceLevels, func(level ServiceLevel) *builder {
		var b builder
		b.verbatim("eol", level.EOL)
		return &b
	}))
	var license builder
	license.set("module", s.License.Module)
	license.set("content", s.License.Content)
	b.sub("license", &license)
	b.xmd(s.XMD)
	b.dependencies(s.Dependencies)
	b.references(s.References)
	b.profiles(s.Profiles)
	b.rpmLists(s.API, s.Filter, s.Demodularized)
	b.sub("buildopts", s.BuildOpts.build())
	b.sub("components", s.Components.build())
	b.sub("artifacts", s.Artifacts.build())
	return &b
}

// build gives the data of a modulemd-packager document of version 2, and what is
// foreign to it.
func (p *PackagerV2) build() *builder { return p.ToStream().build() }

// build gives the data of a modulemd-packager document of version 3.
func (p *PackagerV3) build() *builder {
	var b builder
	b.text("name", p.Name)
	b.quoted("stream", p.Stream)
	b.text("summary", p.Summary)
	b.folded("description", p.Description)
	b.set("license", p.License)
	b.xmd(p.XMD)
	if len(p.Configurations) > 0 {
		all := &yamlx.Node{Kind: yamlx.Sequence}
		for i := range p.Configurations {
			c := &p.Configurations[i]
			var item builder
			item.text("context", string(c.Context))
			item.text("platform", c.Platform)
			item.streams("buildrequires", c.BuildRequires)
			item.streams("requires", c.Requires)
			item.sub("buildopts", c.BuildOpts.build())
			all.Content = append(all.Content, *item.node())
		}
		b.add("configurations", all)
	}
	b.references(p.References)
	b.profiles(p.Profiles)
	b.rpmLists(p.API, p.Filter, p.Demodularized)
	b.sub("components", p.Components.build())
	return &b
}

// build gives the data of a modulemd-defaults document.
func (d *Defaults) build() *builder {
	var b builder
	b.text("module", d.Module)
	b.uint("modified", d.Modified)
	b.quoted("stream", d.Stream)
	b.sub("profiles", flowSets(d.Profiles))
	b.sub("intents", eachKey(d.Intents, func(i Intent) *builder {
		var b builder
		b.quoted("stream", i.Stream)
		b.sub("profiles", flowSets(i.Profiles))
		return &b
	}))
	return &b
}

func (o *BuildOpts) build() *builder {
	var b, rpms builder
	rpms.folded("macros", o.RPMs.Macros)
	rpms.set("whitelist", o.RPMs.Whitelist)
	b.sub("rpms", &rpms)
	b.flow("arches", o.Arches)
	return &b
}

func (c *Components) build() *builder {
	var b builder
	b.sub("rpms", eachKey(c.RPMs, (*ComponentRPM).build))
	b.sub("modules", eachKey(c.Modules, (*ComponentModule).build))
	return &b
}

func (c *ComponentRPM) build() *builder {
	var b builder
	b.text("rationale", c.Rationale)
	b.text("name", c.Name)
	b.text("repository", c.Repository)
	b.text("cache", c.Cache)
	b.text("ref", c.Ref)
	b.flag("buildroot", c.Buildroot)
	b.flag("srpm-buildroot", c.SRPMBuildroot)
	b.order(c.BuildOrder, c.BuildAfter)
	b.flag("buildonly", c.BuildOnly)
	b.flow("arches", c.Arches)
	b.flow("multilib", c.Multilib)
	return &b
}

func (c *ComponentModule) build() *builder {
	var b builder
	b.text("rationale", c.Rationale)
	b.text("repository", c.Repository)
	b.text("ref", c.Ref)
	b.order(c.BuildOrder, c.BuildAfter)
	b.flag("buildonly", c.BuildOnly)
	return &b
}

func (b *builder) order(order int64, after []string) {
	if order != 0 {
		b.verbatim("buildorder", strconv.FormatInt(order, 10))
	}
	b.set("buildafter", after)
}

func (a *Artifacts) build() *builder {
	var b builder
	rpms := make([]string, len(a.RPMs))
	for i, n := range a.RPMs {
		rpms[i] = n.String()
	}
	b.set("rpms", rpms)
	b.sub("rpm-map", eachKey(a.RPMMap, func(sums map[string]NEVRA) *builder {
		return eachKey(sums, func(n NEVRA) *builder {
			var b builder
			b.text("name", n.Name)
			b.verbatim("epoch", formatUint(n.Epoch))
			b.text("version", n.Version)
			b.text("release", n.Release)
			b.text("arch", n.Arch)
			b.text("nevra", n.String())
			return &b
		})
	}))
	return &b
}
