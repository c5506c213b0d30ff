package modulebuild

import "slices"

// An archRule says which packages of a build for several architectures have a
// place in the module on one of them. nil stands for a build on one machine, which
// makes no others.
type archRule struct {
	arch     string
	multilib []string // architectures whose packages can be installed beside its own
	valid    []string // what ExclusiveArch and ExcludeArch may call it
}

func newArchRule(arch string) *archRule {
	r := &archRule{arch: arch, multilib: archChain(multilibArch(arch))}
	// noarch is among them, as in the peers' lists: "ExclusiveArch: x86_64 noarch" is
	// how a package without an architecture says that it builds on x86_64 alone and
	// runs everywhere.
	r.valid = append(archChain(documentArch(arch)), "noarch")
	return r
}

// documentArch is what a module's document calls an architecture of a Koji tag
// (tree_arch_to_yum_arch in pungi/arch.py).
func documentArch(arch string) string {
	switch arch {
	case "i386":
		return "i686"
	case "arm":
		return "armv7l"
	case "armhfp":
		return "armv7hnl"
	}
	return arch
}

// multilibArch is the best of the 32-bit architectures that a 64-bit one can
// install beside its own, "" for none (multilibArches in yum's rpmUtils/arch.py,
// by which pungi and the Module Build Service go).
func multilibArch(arch string) string {
	switch arch {
	case "x86_64":
		return "athlon"
	case "ppc64":
		return "ppc"
	case "s390x":
		return "s390"
	}
	return ""
}

// archChain gives an architecture and the older ones of its kind, which all run on
// it, the best first (arches in yum's rpmUtils/arch.py, less multilib). One that is
// not known has no others.
func archChain(arch string) []string {
	for _, chain := range [][]string{
		{"athlon", "i686", "i586", "i486", "i386"},
		{"geode", "i686", "i586", "i486", "i386"},
		{"ia32e", "x86_64"},
		{"amd64", "x86_64"},
		{"ppc64p7", "ppc64"},
		{"armv7hnl", "armv7hl", "armv6hl"},
		{"armv7l", "armv6l", "armv5tejl", "armv5tel"},
	} {
		if i := slices.Index(chain, arch); i >= 0 {
			return slices.Clone(chain[i:])
		}
	}
	if arch == "" {
		return nil
	}
	return []string{arch}
}

// fits applies the rule to a binary package. source is its source package, whose
// ExcludeArch and ExclusiveArch hold for packages without an architecture too.
func (p *Plan) fits(r *archRule, pkg, source Package) bool {
	if r == nil {
		return true
	}
	multilib := slices.Contains(r.multilib, pkg.NEVRA.Arch)
	if arch := pkg.NEVRA.Arch; arch != r.arch && arch != "noarch" && !multilib {
		return false
	}
	if slices.ContainsFunc(source.ExcludeArch, r.isCalled) ||
		len(source.ExclusiveArch) > 0 && !slices.ContainsFunc(source.ExclusiveArch, r.isCalled) {
		return false
	}
	return !multilib || p.wantsMultilib(sourceName(pkg), r.arch)
}

func (r *archRule) isCalled(arch string) bool { return slices.Contains(r.valid, arch) }

// wantsMultilib tells whether the component of a source package asks for multilib
// on an architecture. A source package that only the whitelist names is no
// component's: as with the Module Build Service it has none.
func (p *Plan) wantsMultilib(source, arch string) bool {
	for _, c := range p.Components {
		if c.Name == source || c.Doc.Name == source {
			return slices.Contains(c.Doc.Multilib, arch)
		}
	}
	return false
}
