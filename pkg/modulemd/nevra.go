package modulemd

import (
	"fmt"
	"strconv"
	"strings"
)

// NEVRA names one RPM package: name, epoch, version, release, architecture. A
// source package has the architecture "src" (or "nosrc").
type NEVRA struct {
	Name    string
	Epoch   uint64 // 0 where the package has none
	Version string
	Release string
	Arch    string
}

// String gives the form that artifact lists use, N-E:V-R.A, always with an
// epoch: "bash-0:5.2.26-3.fc40.x86_64".
func (n NEVRA) String() string {
	return fmt.Sprintf("%s-%d:%s-%s.%s", n.Name, n.Epoch, n.Version, n.Release, n.Arch)
}

// Filename gives the usual name of the package's file, N-V-R.A.rpm, which has
// no epoch.
func (n NEVRA) Filename() string {
	return fmt.Sprintf("%s-%s-%s.%s.rpm", n.Name, n.Version, n.Release, n.Arch)
}

// ParseNEVRA reads the form N-E:V-R.A. The error says which part is missing.
func ParseNEVRA(s string) (NEVRA, error) {
	bad := func(what string) (NEVRA, error) {
		return NEVRA{}, fmt.Errorf("%q is not a package in the form N-E:V-R.A: %s", s, what)
	}
	rest, arch, ok := cutLast(s, ".")
	if !ok || arch == "" {
		return bad("no architecture after a '.'")
	}
	rest, release, ok := cutLast(rest, "-")
	if !ok || release == "" {
		return bad("no release")
	}
	rest, version, ok := cutLast(rest, ":")
	if !ok || version == "" {
		return bad("no ':' between epoch and version")
	}
	name, epochText, ok := cutLast(rest, "-")
	if !ok || name == "" {
		return bad("no name before the epoch")
	}
	epoch, err := strconv.ParseUint(epochText, 10, 32)
	if err != nil {
		return bad("the epoch is not a number below 2^32")
	}
	if strings.Contains(version, "-") {
		return bad("the version has a '-'")
	}
	return NEVRA{Name: name, Epoch: epoch, Version: version, Release: release, Arch: arch}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
