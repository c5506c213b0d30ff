package repogen

const xmlProlog = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Namespaces of the metadata.
const (
	nsCommon    = "http://linux.duke.edu/metadata/common"
	nsRPM       = "http://linux.duke.edu/metadata/rpm"
	nsFilelists = "http://linux.duke.edu/metadata/filelists"
	nsOther     = "http://linux.duke.edu/metadata/other"
	nsRepo      = "http://linux.duke.edu/metadata/repo"
)

// A metadataFormat is one of the files that describe all packages.
type metadataFormat struct {
	record string // type of the record in repomd.xml
	root   string // name of the root element
	head   string // attributes of the root element but the number of packages
	write  func(x *buffer, d *description)
}

func metadataFormats() []metadataFormat {
	return []metadataFormat{
		{"primary", "metadata", ` xmlns="` + nsCommon + `" xmlns:rpm="` + nsRPM + `"`, writePrimary},
		{"filelists", "filelists", ` xmlns="` + nsFilelists + `"`, writeFilelists},
		{"other", "otherdata", ` xmlns="` + nsOther + `"`, writeOther},
	}
}

// writePrimary appends the package as primary.xml has it.
func writePrimary(x *buffer, d *description) {
	x.raw("<package type=\"rpm\">\n")
	x.element("  ", "name", d.name)
	x.element("  ", "arch", d.arch)
	writeVersion(x, d)
	x.raw(`  <checksum type="sha256" pkgid="YES">` + d.pkg.Checksum + "</checksum>\n")
	x.element("  ", "summary", d.summary)
	x.element("  ", "description", d.text)
	x.element("  ", "packager", d.packager)
	x.element("  ", "url", d.url)
	x.raw("  <time")
	x.attrInt("file", unixSeconds(d.pkg))
	x.attrInt("build", d.buildTime)
	x.raw("/>\n  <size")
	x.attrInt("package", d.pkg.Size)
	x.attrInt("installed", d.installed)
	x.attrInt("archive", d.archive)
	x.raw("/>\n  <location")
	x.attr("href", d.pkg.Location)
	x.raw("/>\n  <format>\n")
	x.element("    ", "rpm:license", d.license)
	x.element("    ", "rpm:vendor", d.vendor)
	x.element("    ", "rpm:group", d.group)
	x.element("    ", "rpm:buildhost", d.buildHost)
	x.element("    ", "rpm:sourcerpm", d.sourceRPM)
	x.raw("    <rpm:header-range")
	x.attrInt("start", d.pkg.HeaderStart)
	x.attrInt("end", d.pkg.HeaderEnd)
	x.raw("/>\n")
	for kind, list := range d.dependencies {
		writeDependencies(x, dependencyElement(kind), list)
	}
	for _, f := range d.files {
		if isPrimaryFile(f.path) {
			writeFile(x, "    ", f)
		}
	}
	x.raw("  </format>\n</package>\n")
}

func writeDependencies(x *buffer, element string, list []dependency) {
	if len(list) == 0 {
		return
	}
	x.raw("    <" + element + ">\n")
	for i := range list {
		d := &list[i]
		x.raw("      <rpm:entry")
		x.attr("name", d.name)
		if d.flags != "" {
			x.attr("flags", d.flags)
			x.attrIfSet("epoch", d.epoch)
			x.attrIfSet("ver", d.ver)
			x.attrIfSet("rel", d.rel)
		}
		if d.pre {
			x.attr("pre", "1")
		}
		x.raw("/>\n")
	}
	x.raw("    </" + element + ">\n")
}

func (x *buffer) attrIfSet(name, value string) {
	if value != "" {
		x.attr(name, value)
	}
}

func writeVersion(x *buffer, d *description) {
	x.raw("  <version")
	x.attr("epoch", d.epoch)
	x.attr("ver", d.ver)
	x.attr("rel", d.rel)
	x.raw("/>\n")
}

func writeFile(x *buffer, indent string, f file) {
	x.raw(indent)
	x.raw("<file")
	x.attrIfSet("type", f.kind)
	x.raw(">")
	x.text(f.path)
	x.raw("</file>\n")
}

// writeIdentity opens the element that filelists.xml and other.xml have.
func writeIdentity(x *buffer, d *description) {
	x.raw("<package")
	x.attr("pkgid", d.pkg.Checksum)
	x.attr("name", d.name)
	x.attr("arch", d.arch)
	x.raw(">\n")
	writeVersion(x, d)
}

// writeFilelists appends the package as filelists.xml has it.
func writeFilelists(x *buffer, d *description) {
	writeIdentity(x, d)
	for _, f := range d.files {
		writeFile(x, "  ", f)
	}
	x.raw("</package>\n")
}

// writeOther appends the package as other.xml has it.
func writeOther(x *buffer, d *description) {
	writeIdentity(x, d)
	for _, c := range d.changelogs {
		x.raw("  <changelog")
		x.attr("author", c.author)
		x.attrInt("date", c.date)
		x.raw(">")
		x.text(c.text)
		x.raw("</changelog>\n")
	}
	x.raw("</package>\n")
}

func unixSeconds(p *Package) int64 {
	if p.Time.IsZero() {
		return 0
	}
	return p.Time.Unix()
}
