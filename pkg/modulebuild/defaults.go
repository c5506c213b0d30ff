package modulebuild

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// CheckProfiles tells whether the module has these profiles; the error is an
// *InputError.
func (p *Plan) CheckProfiles(names []string) error {
	for _, name := range names {
		if _, ok := p.Doc.Profiles[name]; !ok {
			return &InputError{Where: "--default-profile " + name, Msg: "the module has no such profile; it has: " +
				strings.Join(slices.Sorted(maps.Keys(p.Doc.Profiles)), ", ")}
		}
	}
	return nil
}

// defaults makes the document without which dnf installs no profile.
func (p *Plan) defaults(opts FinishOptions) (*modulemd.Defaults, error) {
	stream := modulemd.StreamName(p.Identity.Stream)
	modified, err := strconv.ParseUint(p.Identity.Time.UTC().Format("200601021504"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the time of the defaults: %w", err)
	}
	d := &modulemd.Defaults{Module: p.Identity.Name, Modified: modified, Profiles: map[modulemd.StreamName][]string{stream: {}}}
	if opts.DefaultStream {
		d.Stream = stream
	}
	if err := p.CheckProfiles(opts.DefaultProfiles); err != nil {
		return nil, err
	}
	d.Profiles[stream] = defaultProfiles(p.Doc.Profiles, opts.DefaultProfiles)
	return d, nil
}

// Installable is what "dnf module install" is given to install something of the
// module: NAME:STREAM, with a profile where none is the default.
func (f *Finished) Installable() string {
	spec := f.Stream.Name + ":" + string(f.Stream.Stream)
	if f.Defaults != nil && len(f.Defaults.Profiles[f.Stream.Stream]) > 0 {
		return spec
	}
	for _, profile := range slices.Sorted(maps.Keys(f.Stream.Profiles)) {
		if !forBuildSystem(profile) {
			return spec + "/" + profile
		}
	}
	return spec
}

// forBuildSystem tells the profiles that nobody installs.
func forBuildSystem(profile string) bool {
	return profile == "buildroot" || profile == "srpm-buildroot"
}

func defaultProfiles(profiles map[string]modulemd.Profile, asked []string) []string {
	if len(asked) > 0 {
		asked = slices.Clone(asked)
		slices.Sort(asked)
		return slices.Compact(asked)
	}
	var marked, installable []string
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		if forBuildSystem(name) {
			continue
		}
		installable = append(installable, name)
		if profiles[name].Default {
			marked = append(marked, name)
		}
	}
	switch {
	case len(marked) > 0:
		return marked
	case slices.Contains(installable, "default"):
		return []string{"default"}
	case slices.Contains(installable, "common"):
		return []string{"common"}
	case len(installable) == 1:
		return installable
	}
	return []string{}
}
