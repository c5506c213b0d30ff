package modulebuild

import (
	"fmt"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// DistTag is the tag that all packages of one module build carry in their
// release, "module+f40+1+0f1aadab": what they were built for, an index, and a
// hash of the module's identity. The macro %dist is a dot and this. It is
// bit-compatible with the Module Build Service's.
//
// marking is the stream of the platform (or what that platform declares in its
// place) and may be empty; index is the same for all contexts of a module that
// are built together.
func DistTag(marking string, index int64, name, stream string, version uint64, context modulemd.Context) (string, error) {
	// The release of an RPM cannot hold a dash.
	if strings.ContainsAny(marking, "-/ \t\n") {
		return "", fmt.Errorf("the platform %q cannot go into a dist tag: a package's release takes no '-', '/' or blank", marking)
	}
	if marking != "" {
		marking += "+"
	}
	hash := sha1Hex(fmt.Sprintf("%s.%s.%d.%s", name, stream, version, context))[:8]
	return fmt.Sprintf("module+%s%d+%s", marking, index, hash), nil
}

// hasDistTag tells whether a release carries the dist tag. It usually ends with
// it, but "Release: 1%{?dist}.2" is good practice as well.
func hasDistTag(release, tag string) bool {
	_, after, found := strings.Cut(release, "."+tag)
	return found && (after == "" || after[0] == '.')
}
