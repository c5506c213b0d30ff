package repogen

import (
	"bytes"
	"encoding/xml"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDescribe makes metadata of any header: it is refused, or the XML is well-formed and
// reads back as what it was made from.
func FuzzDescribe(f *testing.F) {
	for _, p := range fixtures(f) {
		f.Add(p.Header)
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		p := &Package{Header: header, Location: "a/b.rpm", Checksum: "x"}
		d, _, err := describe(p)
		if err != nil {
			return
		}
		for _, format := range metadataFormats() {
			var x buffer
			x.raw(xmlProlog + "<" + format.root + format.head + ">\n")
			format.write(&x, d)
			x.raw("</" + format.root + ">")
			dec := xml.NewDecoder(bytes.NewReader(x.b))
			var file string
			var files []string
			for {
				tok, err := dec.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v\n%q", format.record, err, x.b)
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
			var want []string
			for _, f := range d.files {
				if format.record == "filelists" || format.record == "primary" && isPrimaryFile(f.path) {
					want = append(want, f.path)
				}
			}
			if diff := cmp.Diff(want, files); diff != "" {
				t.Fatalf("%s: files (-want +read back)\n%s", format.record, diff)
			}
		}
	})
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
