package rpmver

import "strings"

// EVR is an epoch, version and release as a dependency or a package gives them.
// An empty Epoch or Release means that there is none, which is not the same as
// "0" where ranges are compared.
type EVR struct {
	Epoch, Version, Release string
}

// ParseEVR splits [EPOCH:]VERSION[-RELEASE] as rpm does: the epoch is what stands
// before a ':' that follows nothing but digits (an empty one is "0"), the
// release what stands after the last '-'. Every string has such a reading.
func ParseEVR(s string) EVR {
	var e EVR
	digits, rest := cutRun(s, isDigit)
	if strings.HasPrefix(rest, ":") {
		e.Epoch, rest = digits, rest[1:]
		if e.Epoch == "" {
			e.Epoch = "0"
		}
	} else {
		rest = s
	}
	e.Version = rest
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		e.Version, e.Release = rest[:i], rest[i+1:]
	}
	return e
}

// String gives [EPOCH:]VERSION[-RELEASE].
func (e EVR) String() string {
	s := e.Version
	if e.Epoch != "" {
		s = e.Epoch + ":" + s
	}
	if e.Release != "" {
		s += "-" + e.Release
	}
	return s
}

// Compare orders two packages' versions: -1, 0 or 1. No epoch counts as 0, no
// release is older than any.
func (e EVR) Compare(other EVR) int {
	if c := Compare(orZero(e.Epoch), orZero(other.Epoch)); c != 0 {
		return c
	}
	if c := Compare(e.Version, other.Version); c != 0 {
		return c
	}
	return Compare(e.Release, other.Release)
}

func orZero(epoch string) string {
	if epoch == "" {
		return "0"
	}
	return epoch
}

// Flags are the RPMSENSE bits of a dependency.
type Flags uint32

// The bits that say how versions compare; any other bits of a dependency are
// ignored here.
const (
	Less    Flags = 1 << 1
	Greater Flags = 1 << 2
	Equal   Flags = 1 << 3

	senseMask Flags = 0xf // rpm's RPMSENSE_SENSEMASK
)

// Overlap says whether the range that a package provides and the range that
// another requires (of the same name) have a version in common, as rpm's rpmdsCompare
// does. A side without flags or without a version meets everything. Where
// one side has no release, releases are not compared.
func Overlap(provFlags Flags, prov EVR, reqFlags Flags, req EVR) bool {
	if provFlags&senseMask == 0 || reqFlags&senseMask == 0 || prov == (EVR{}) || req == (EVR{}) {
		return true
	}
	c := compareEpochs(prov.Epoch, req.Epoch)
	if c == 0 {
		c = Compare(prov.Version, req.Version)
	}
	if c == 0 {
		switch {
		case prov.Release != "" && req.Release != "":
			c = Compare(prov.Release, req.Release)
		case prov.Release != "" && reqFlags&Equal != 0, req.Release != "" && provFlags&Equal != 0:
			return true
		}
	}
	both := provFlags & reqFlags
	switch {
	case c < 0:
		return provFlags&Greater != 0 || reqFlags&Less != 0
	case c > 0:
		return provFlags&Less != 0 || reqFlags&Greater != 0
	default:
		return both&(Less|Greater|Equal) != 0
	}
}

func compareEpochs(a, b string) int {
	return Compare(orZero(a), orZero(b))
}
