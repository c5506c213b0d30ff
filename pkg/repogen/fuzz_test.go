package repogen

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/rpmfile"
)

// FuzzDescribe makes metadata of any header.
func FuzzDescribe(f *testing.F) {
	for _, p := range fixtures(f) {
		f.Add(p.Header)
	}
	f.Fuzz(checkXML)
}

// FuzzTexts makes metadata of well-formed headers with any texts in them.
func FuzzTexts(f *testing.F) {
	f.Add("name", "1.0", "summary <&>\r\n", "dep(x)", "1:2-3", "/usr/bin/", "a\xe9", "author  ", uint32(8))
	f.Add("n", "1", "\x01\xff", "libc.so.6(GLIBC_2.4)", "x:1", "", "\uFFFE", "\xc3\x28", uint32(1<<9))
	f.Fuzz(func(t *testing.T, name, version, prose, dep, evr, dir, base, author string, flags uint32) {
		text := func(tag rpmfile.Tag, s string) testEntry { return testEntry{tag, 6, cString(s)} }
		list := func(tag rpmfile.Tag, s string) testEntry { return testEntry{tag, 8, cString(s)} }
		number := func(tag rpmfile.Tag, n uint32) testEntry {
			return testEntry{tag, 4, binary.BigEndian.AppendUint32(nil, n)}
		}
		checkXML(t, testHeader(
			text(rpmfile.TagName, name), text(rpmfile.TagVersion, version), text(rpmfile.TagRelease, "1"),
			text(rpmfile.TagArch, "noarch"), text(rpmfile.TagSourceRPM, "x.src.rpm"),
			text(rpmfile.TagSummary, prose), text(rpmfile.TagDescription, prose), text(rpmfile.TagURL, author),
			list(rpmfile.TagRequireName, dep), number(rpmfile.TagRequireFlags, flags), list(rpmfile.TagRequireVersion, evr),
			list(rpmfile.TagProvideName, dep), number(rpmfile.TagProvideFlags, 8), list(rpmfile.TagProvideVersion, evr),
			list(rpmfile.TagChangelogName, author), number(rpmfile.TagChangelogTime, flags), list(rpmfile.TagChangelogText, prose),
			list(rpmfile.TagDirNames, dir), list(rpmfile.TagBaseNames, base), number(rpmfile.TagDirIndexes, 0),
			number(rpmfile.TagFileFlags, flags), testEntry{rpmfile.TagFileModes, 3, []byte{0x81, 0xa4}}, list(rpmfile.TagFileDigests, ""),
		))
	})
}

type testEntry struct {
	tag  rpmfile.Tag
	typ  uint32
	data []byte
}

func cString(s string) []byte { return append([]byte(strings.ReplaceAll(s, "\x00", "")), 0) }

// testHeader puts a header together, one value an entry.
func testHeader(entries ...testEntry) []byte {
	var index, data []byte
	for _, e := range entries {
		for _, n := range []uint32{uint32(e.tag), e.typ, uint32(len(data)), 1} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		data = append(data, e.data...)
	}
	out := []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0}
	out = binary.BigEndian.AppendUint32(out, uint32(len(entries)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	return append(append(out, index...), data...)
}

// checkXML: a header is refused, or the XML is well-formed and its file names read back as
// what they were made from.
func checkXML(t *testing.T, header []byte) {
	p := &Package{Header: header, Location: "a/b.rpm", Checksum: "x"}
	d, _, err := describe(p)
	if err != nil {
		var bad *PackageError
		if !errors.As(err, &bad) || bad.Location != p.Location {
			t.Fatalf("error %v", err)
		}
		return
	}
	for _, format := range metadataFormats() {
		var x buffer
		x.raw(xmlProlog + "<" + format.root + format.head + ">\n")
		format.write(&x, d)
		x.raw("</" + format.root + ">")
		var want []string
		for _, f := range d.files {
			if format.record == "filelists" || format.record == "primary" && isPrimaryFile(f.path) {
				want = append(want, f.path)
			}
		}
		if diff := cmp.Diff(want, filesOf(t, x.b)); diff != "" {
			t.Fatalf("%s: files (-want +read back)\n%s", format.record, diff)
		}
	}
}

// filesOf gives the texts of all <file> elements.
func filesOf(t *testing.T, text []byte) []string {
	dec := xml.NewDecoder(bytes.NewReader(text))
	var file string
	var files []string
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatalf("%v\n%q", err, text)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			file = ""
		case xml.CharData:
			file += string(tok)
		case xml.EndElement:
			if tok.Name.Local == "file" {
				files = append(files, file)
			}
		}
	}
}

// FuzzParseRepomd reads anything, and what it made of it again.
func FuzzParseRepomd(f *testing.F) {
	f.Add([]byte(`<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary">` +
		`<checksum type="sha256">00</checksum><open-checksum type="sha256">11</open-checksum><location href="repodata/p.xml.gz"/>` +
		`<timestamp>1.5</timestamp><size>2</size><open-size>3</open-size></data></repomd>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRepomd(text)
		if err != nil {
			return
		}
		for name := range r.names() {
			if !isMetadataName(name) {
				t.Fatalf("%q could be removed", name)
			}
		}
		for i := range r.Records { // marshal takes digests as they are: ours are hex
			r.Records[i].Checksum.Value, r.Records[i].OpenChecksum.Value = "00", "11"
		}
		again, err := ParseRepomd(r.marshal())
		if err != nil {
			t.Fatalf("%v\n%s", err, r.marshal())
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatalf("(-first +again)\n%s", diff)
		}
	})
}
