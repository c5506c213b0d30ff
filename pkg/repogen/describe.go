package repogen

import (
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/internal/rpmfile"
)

// A description is one package in the words of the metadata: everything is valid
// UTF-8 that XML can carry.
type description struct {
	pkg *Package

	name, arch         string
	epoch, ver, rel    string
	summary, text      string
	packager, url      string
	license, vendor    string
	group, buildHost   string
	sourceRPM          string
	buildTime          int64
	installed, archive int64
	dependencies       [depKinds][]dependency
	files              []file
	changelogs         []changelog
}

type file struct {
	path string
	kind string // "", "dir" or "ghost"
}

type changelog struct {
	author, text string
	date         int64
}

// changelogLimit is how many entries other.xml has of each package, the newest ones;
// createrepo_c's default.
const changelogLimit = 10

// describe reads the package's header. The warnings are of texts that were mended.
func describe(p *Package) (*description, []string, error) {
	h, err := rpmfile.ParseHeader(p.Header)
	if err != nil {
		return nil, nil, &PackageError{Location: p.Location, Err: err}
	}
	if err := h.CheckNames(); err != nil {
		return nil, nil, &PackageError{Location: p.Location, Err: err}
	}
	t := &texts{location: p.Location}
	epoch, _ := h.Uint64(rpmfile.TagEpoch)
	buildTime, _ := h.Uint64(rpmfile.TagBuildTime)
	d := &description{
		pkg:       p,
		name:      t.exact("name", h.String(rpmfile.TagName)),
		arch:      t.exact("arch", h.String(rpmfile.TagArch)),
		epoch:     strconv.FormatUint(epoch, 10),
		ver:       t.exact("version", h.String(rpmfile.TagVersion)),
		rel:       t.exact("release", h.String(rpmfile.TagRelease)),
		summary:   t.prose("summary", h.String(rpmfile.TagSummary)),
		text:      t.prose("description", h.String(rpmfile.TagDescription)),
		packager:  t.prose("packager", h.String(rpmfile.TagPackager)),
		url:       t.prose("URL", h.String(rpmfile.TagURL)),
		license:   t.prose("license", h.String(rpmfile.TagLicense)),
		vendor:    t.prose("vendor", h.String(rpmfile.TagVendor)),
		group:     t.prose("group", h.String(rpmfile.TagGroup)),
		buildHost: t.prose("build host", h.String(rpmfile.TagBuildHost)),
		sourceRPM: t.exact("source RPM", h.SourceRPM()),
		buildTime: int64(buildTime & (1<<63 - 1)),
		installed: h.InstalledSize(),
		archive:   p.ArchiveSize,
	}
	if h.IsSource() {
		d.arch = "src" // for "nosrc" too, as createrepo_c has it
	}
	if d.archive == 0 {
		d.archive = h.ArchiveSize()
	}
	d.files = describeFiles(h, t)
	d.dependencies = describeDependencies(h, d.files, t)
	d.changelogs = describeChangelogs(h, t)
	return d, t.warnings, t.err
}

func describeFiles(h *rpmfile.Header, t *texts) []file {
	// createrepo_c lists no file at all where one of these is missing.
	for _, tag := range []rpmfile.Tag{rpmfile.TagBaseNames, rpmfile.TagDirNames, rpmfile.TagDirIndexes,
		rpmfile.TagFileFlags, rpmfile.TagFileModes, rpmfile.TagFileDigests} {
		if !h.Has(tag) {
			return nil
		}
	}
	all := h.Files()
	out := make([]file, len(all))
	for i, f := range all {
		out[i].path = t.exact("file name", f.Path)
		switch {
		case f.IsDir():
			out[i].kind = "dir"
		case f.Flags&rpmfile.FileGhost != 0:
			out[i].kind = "ghost"
		}
	}
	return out
}

// isPrimaryFile says whether a path is in primary.xml besides filelists.xml.
// "bin/" counts anywhere, even in /opt/cabin/x: clients rely on the same rule.
func isPrimaryFile(path string) bool {
	return strings.HasPrefix(path, "/etc/") || path == "/usr/lib/sendmail" || strings.Contains(path, "bin/")
}

// describeChangelogs gives the newest entries, oldest first. Entries of one second are
// moved apart, since readers sort by time alone.
func describeChangelogs(h *rpmfile.Header, t *texts) []changelog {
	names, bodies, times := h.Strings(rpmfile.TagChangelogName), h.Strings(rpmfile.TagChangelogText), h.Uint64s(rpmfile.TagChangelogTime)
	n := min(len(names), len(bodies), len(times), changelogLimit)
	out := make([]changelog, n)
	var last int64
	for i := range n {
		date := int64(uint32(times[i]))
		at := n - 1 - i // the header has the newest first
		if i > 0 && date == last {
			for j, taken := at+1, date; j < n && out[j].date == taken; j++ {
				out[j].date++
				taken++
			}
		}
		last = date
		out[at] = changelog{
			author: strings.TrimRight(t.prose("changelog author", names[i]), " "),
			text:   t.prose("changelog", bodies[i]),
			date:   date,
		}
	}
	return out
}
