package modulebuild

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// An Identity is what tells one build of a module from all others. It is decided
// once, at the first run, and then kept: packages carry it.
type Identity struct {
	Name    string           `json:"name"`
	Stream  string           `json:"stream"`
	Version uint64           `json:"version"`
	Context modulemd.Context `json:"context"`
	Arch    string           `json:"arch"` // the architecture that is built for
	DistTag string           `json:"dist_tag"`
	// BuildRequires are the module streams that it is built with, the platform
	// among them.
	BuildRequires map[string]string `json:"build_requires,omitempty"`
	// Time is "now" for everything that packages and metadata record. UTC.
	Time time.Time `json:"time"`
}

// NSVC gives name:stream:version:context, the form of the MODULARITYLABEL tag.
func (id Identity) NSVC() string {
	return fmt.Sprintf("%s:%s:%d:%s", id.Name, id.Stream, id.Version, id.Context)
}

// NSVCA is NSVC with the architecture behind it.
func (id Identity) NSVCA() string { return id.NSVC() + ":" + id.Arch }

// VersionTime is the layout in which times become versions.
const VersionTime = "20060102150405"

// TimeVersion is the version of a module whose source is of time t: the 14
// digits of t in UTC, behind a prefix that makes modules for newer platforms
// newer. platformStream is the stream of the platform module, or empty.
func TimeVersion(platformStream string, t time.Time) uint64 {
	v, err := strconv.ParseUint(t.UTC().Format(VersionTime), 10, 64)
	if err != nil {
		return uint64(t.Unix()) // a year beyond 9999 has more digits than the layout
	}
	return PrefixVersion(platformStream, v)
}

// PrefixVersion puts the number in a platform's stream before a version, as the
// Module Build Service does: "f28" makes 2820180205135154 of 20180205135154,
// "el8.1.0" has the prefix 80100. A stream without digits, or a result that does
// not fit in 64 bits, leaves the version as it is.
func PrefixVersion(platformStream string, version uint64) uint64 {
	prefix, ok := streamNumber(platformStream)
	if !ok {
		return version
	}
	v, err := strconv.ParseUint(prefix+strconv.FormatUint(version, 10), 10, 64)
	if err != nil {
		return version
	}
	return v
}

// streamNumber turns the first run of digits and dots in a stream into a number:
// parts padded to two digits and joined, "7.0.1" to 70001. The Module Build
// Service goes through a floating-point number; so do we, to agree with it where
// there are more digits than that can hold.
func streamNumber(stream string) (string, bool) {
	start := strings.IndexAny(stream, "0123456789")
	if start < 0 {
		return "", false
	}
	run := stream[start:]
	if end := strings.IndexFunc(run, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); end >= 0 {
		run = run[:end]
	}
	var joined strings.Builder
	for part := range strings.SplitSeq(strings.TrimRight(run, "."), ".") {
		joined.WriteString(strings.Repeat("0", max(0, 2-len(part))))
		joined.WriteString(part)
	}
	f, err := strconv.ParseFloat(joined.String(), 64)
	if err != nil {
		return "", false
	}
	whole, _ := new(big.Float).SetFloat64(f).Int(nil)
	return whole.String(), true
}

// newestTime is the last second that an RPM's build time can hold.
var newestTime = time.Unix(1<<32-1, 0).UTC()

// versionDate finds the 14 digits of a date at the end of a version.
var versionDate = regexp.MustCompile(`[0-9]{14}$`)

// VersionDate is the time that a version's last 14 digits name, if they do.
func VersionDate(version uint64) (time.Time, bool) {
	t, err := time.Parse(VersionTime, versionDate.FindString(strconv.FormatUint(version, 10)))
	return t, err == nil && t.Year() >= 1980 && !t.After(newestTime)
}

// Context is the context of a module that was built with the given streams, one
// for each module that was in the buildroot, and has the given dependencies: the
// first eight digits of a SHA-1 over both, as the Module Build Service computes
// it.
func Context(buildRequires map[string]string, dependencies []modulemd.Dependencies) modulemd.Context {
	return joinContexts(buildContext(buildRequires), runtimeContext(dependencies))
}

func joinContexts(build, runtime string) modulemd.Context {
	return modulemd.Context(sha1Hex(build + ":" + runtime)[:8])
}

// buildContext is the SHA-1 of a JSON object from modules to their streams.
func buildContext(buildRequires map[string]string) string {
	return sha1Hex(pythonObject(buildRequires, pythonString))
}

// runtimeContext is the SHA-1 of a JSON object from modules to the sorted union
// of the streams that any block of dependencies requires.
func runtimeContext(dependencies []modulemd.Dependencies) string {
	union := map[string][]string{}
	for _, block := range dependencies {
		for module, streams := range block.Requires {
			union[module] = append(union[module], streams...)
		}
	}
	return sha1Hex(pythonObject(union, func(streams []string) string {
		slices.Sort(streams)
		streams = slices.Compact(streams)
		quoted := make([]string, len(streams))
		for i, s := range streams {
			quoted[i] = pythonString(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}))
}

// pythonObject writes a JSON object as Python's json.dumps does by default,
// keys sorted: the hashes of the Module Build Service are over such text.
func pythonObject[V any](m map[string]V, value func(V) string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	members := make([]string, len(keys))
	for i, k := range keys {
		members[i] = pythonString(k) + ": " + value(m[k])
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func pythonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

func sha1Hex(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
