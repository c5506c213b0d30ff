package kojitask

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A foundModule is a module that is built with: a build of Koji.
type foundModule struct {
	BuildID int64
	Name    string
	Stream  string
	Version string
	Context string
	Tag     string // with its packages
	Ref     string // commit of its source; may be empty
	doc     *modulemd.Stream
}

// A resolver finds the modules that a module is built with: builds of the type
// module in the destination tag of the target.
type resolver struct {
	hub      *hub
	dest     string // tag
	platform string // stream; may be empty
	found    map[string]foundModule
}

// resolve finds the newest build of each wanted stream, and of all that these
// require to be used, as the Module Build Service does.
func (r *resolver) resolve(ctx context.Context, wanted []modulebuild.ModuleStream) error {
	r.found = map[string]foundModule{}
	todo := slices.Clone(wanted)
	for len(todo) > 0 {
		want := todo[0]
		todo = todo[1:]
		if have, ok := r.found[want.Name]; ok {
			if have.Stream != want.Stream {
				return input("", fmt.Sprintf("module %s is needed in the streams %s and %s at once", want.Name, have.Stream, want.Stream), nil)
			}
			continue
		}
		m, err := r.newest(ctx, want, wanted)
		if err != nil {
			return err
		}
		r.found[want.Name] = m
		more, err := r.needs(m, wanted)
		if err != nil {
			return err
		}
		todo = append(todo, more...)
	}
	return nil
}

// newest finds the newest build of a stream that goes with the platform and with
// the modules that are chosen already.
func (r *resolver) newest(ctx context.Context, want modulebuild.ModuleStream, wanted []modulebuild.ModuleStream) (foundModule, error) {
	builds, err := r.hub.ListTagged(ctx, r.dest, koji.TaggedQuery{Inherit: true, Type: "module", Package: want.Name})
	if err != nil {
		return foundModule{}, fmt.Errorf("looking for builds of module %s: %w", want, err)
	}
	builds = slices.DeleteFunc(builds, func(b koji.Build) bool {
		return b.Name != want.Name || b.Version != strings.ReplaceAll(want.Stream, "-", "_")
	})
	slices.SortFunc(builds, func(x, y koji.Build) int {
		return cmp.Or(cmp.Compare(moduleVersion(y), moduleVersion(x)), strings.Compare(x.Release, y.Release))
	})
	const most = 20 // builds that are looked at
	var why string
	for _, b := range builds[:min(most, len(builds))] {
		m, err := r.hub.module(ctx, b.ID)
		if err != nil {
			why = err.Error()
			if isHubError(err) {
				return foundModule{}, err
			}
			continue
		}
		if m.Stream != want.Stream {
			continue // another stream, which has the same name with _ in it
		}
		if _, err := r.needs(m, wanted); err != nil {
			why = err.Error()
			continue
		}
		return m, nil
	}
	msg := fmt.Sprintf("there is no build of module %s in tag %s: build it first for this target, or tag it there", want, r.dest)
	if why != "" {
		msg = fmt.Sprintf("no build of module %s in tag %s can be used: %s", want, r.dest, why)
	}
	return foundModule{}, input("", msg, nil)
}

// moduleVersion is the version in a module build's release, VERSION.CONTEXT; that
// of what is no such release is below all.
func moduleVersion(b koji.Build) uint64 {
	v, _, _ := strings.Cut(b.Release, ".")
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// module reads the build record of a module.
func (h *hub) module(ctx context.Context, build int64) (foundModule, error) {
	b, err := h.BuildByID(ctx, build)
	if err != nil {
		return foundModule{}, fmt.Errorf("looking at module build %d: %w", build, err)
	}
	var extra struct {
		TypeInfo struct {
			Module struct {
				Name    string `json:"name"`
				Stream  string `json:"stream"`
				Version any    `json:"version"`
				Context string `json:"context"`
				Tag     string `json:"content_koji_tag"`
				Text    string `json:"modulemd_str"`
			} `json:"module"`
		} `json:"typeinfo"`
	}
	if err := decodeInto(b.Extra, &extra); err != nil {
		return foundModule{}, fmt.Errorf("build %s has no description of a module: %w", b.NVR, err)
	}
	info := extra.TypeInfo.Module
	docs, err := modulemd.Read(bytes.NewReader([]byte(info.Text)), b.NVR+" (modulemd_str)")
	if err != nil {
		return foundModule{}, fmt.Errorf("build %s: %w", b.NVR, err)
	}
	for _, d := range docs {
		if s, ok := d.(*modulemd.Stream); ok && info.Tag != "" && s.Name == info.Name {
			m := foundModule{BuildID: b.ID, Name: info.Name, Stream: info.Stream, Version: versionText(info.Version),
				Context: info.Context, Tag: info.Tag, doc: s}
			m.Ref = s.XMD.Get("mbs").Get("commit").Text()
			return m, nil
		}
	}
	return foundModule{}, fmt.Errorf("build %s has no modulemd document of the module, or no tag with its packages", b.NVR)
}

// versionText takes a version that some have written as a number.
func versionText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		if v == math.Trunc(v) && v > 0 && v < 1<<53 {
			return strconv.FormatUint(uint64(v), 10)
		}
	}
	return ""
}

// needs returns the streams that a module requires to be used, or why it does not
// go with what is chosen.
func (r *resolver) needs(m foundModule, chosen []modulebuild.ModuleStream) ([]modulebuild.ModuleStream, error) {
	streams := map[string]string{}
	for name, f := range r.found {
		streams[name] = f.Stream
	}
	for _, c := range chosen {
		streams[c.Name] = c.Stream
	}
	if r.platform != "" {
		streams[modulebuild.PlatformModule] = r.platform
	}
	var why error
	for _, block := range m.doc.Dependencies {
		need, err := needsOf(m, block, streams)
		if err == nil {
			return need, nil
		}
		why = err
	}
	return nil, why
}

func needsOf(m foundModule, block modulemd.Dependencies, streams map[string]string) ([]modulebuild.ModuleStream, error) {
	var need []modulebuild.ModuleStream
	for _, name := range slices.Sorted(maps.Keys(block.Requires)) {
		list := block.Requires[name]
		have, known := streams[name]
		switch {
		case known && modulebuild.Admits(list, have):
			if name != modulebuild.PlatformModule {
				need = append(need, modulebuild.ModuleStream{Name: name, Stream: have})
			}
		case known:
			return nil, fmt.Errorf("%s:%s:%s:%s requires %s of %s, and %s is built with", m.Name, m.Stream, m.Version, m.Context, name, strings.Join(list, ", "), have)
		case name == modulebuild.PlatformModule: // nobody says which it is
		case len(list) == 1 && !strings.HasPrefix(list[0], "-"):
			need = append(need, modulebuild.ModuleStream{Name: name, Stream: list[0]})
		default:
			return nil, fmt.Errorf("%s:%s:%s:%s requires module %s and leaves open in which stream: name one under buildrequires", m.Name, m.Stream, m.Version, m.Context, name)
		}
	}
	return need, nil
}

// pinned finds again the modules that an earlier run has found.
func (r *resolver) pinned(ctx context.Context, builds []int64) error {
	r.found = map[string]foundModule{}
	for _, id := range builds {
		m, err := r.hub.module(ctx, id)
		if err != nil {
			return err
		}
		r.found[m.Name] = m
	}
	return nil
}

// streams are those found, sorted by name.
func (r *resolver) streams() []modulebuild.ModuleStream {
	var list []modulebuild.ModuleStream
	for _, name := range slices.Sorted(maps.Keys(r.found)) {
		list = append(list, modulebuild.ModuleStream{Name: name, Stream: r.found[name].Stream})
	}
	return list
}

// builds are the ids of those found, sorted by the modules' names.
func (r *resolver) builds() []int64 {
	ids := []int64{}
	for _, name := range slices.Sorted(maps.Keys(r.found)) {
		ids = append(ids, r.found[name].BuildID)
	}
	return ids
}

// groups are what buildroots have from the start beyond the platform's: what the
// modules' profiles say.
func (r *resolver) groups() map[string][]string {
	groups := map[string][]string{}
	for group, profile := range map[string]string{"build": "buildroot", "srpm-build": "srpm-buildroot"} {
		var all []string
		for _, m := range r.found {
			all = append(all, m.doc.Profiles[profile].RPMs...)
		}
		if slices.Sort(all); len(all) > 0 {
			groups[group] = slices.Compact(all)
		}
	}
	return groups
}
