package repogen

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	repodataDir = "repodata"
	repomdName  = "repomd.xml"
)

// Repomd is the table of contents of a repository.
type Repomd struct {
	Revision string
	Records  []Record // in the file's order
}

// A Record is one metadata file of a repository.
type Record struct {
	Type         string // "primary", "filelists", "other", "modules", "group", ...
	Checksum     Checksum
	OpenChecksum Checksum // of the uncompressed content; zero where the file is not compressed
	Location     string   // relative to the repository, slash-separated: "repodata/..."
	Timestamp    int64    // in seconds since 1970
	Size         int64    // in bytes
	OpenSize     int64    // uncompressed; 0 where the file is not compressed
}

// A Checksum is a digest with the name of its algorithm as repomd.xml has it.
type Checksum struct {
	Type  string // "sha256"
	Value string // lower-case hex
}

// Record gives the first record of a type.
func (r Repomd) Record(typ string) (Record, bool) {
	for _, rec := range r.Records {
		if rec.Type == typ {
			return rec, true
		}
	}
	return Record{}, false
}

// Limits on a repomd.xml that is read. Real ones have a few kilobytes and three levels.
const (
	maxRepomdSize  = 4 << 20
	maxRepomdDepth = 32
)

// ReadRepomd reads the repomd.xml of the repository in dir. The error wraps
// fs.ErrNotExist where there is none.
func ReadRepomd(dir string) (Repomd, error) {
	path := filepath.Join(dir, repodataDir, repomdName)
	text, err := readBounded(path, maxRepomdSize)
	if err != nil {
		return Repomd{}, fmt.Errorf("reading repomd.xml: %w", err)
	}
	r, err := ParseRepomd(text)
	if err != nil {
		return Repomd{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return r, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: it has more than %d bytes", path, limit)
	}
	return b, nil
}

// ParseRepomd reads the text of a repomd.xml. Elements that it does not know are
// passed over; an error names the line.
func ParseRepomd(text []byte) (Repomd, error) {
	p := repomdParser{dec: xml.NewDecoder(bytes.NewReader(text))}
	for {
		tok, err := p.dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Repomd{}, err // *xml.SyntaxError has the line
		}
		if err := p.token(tok); err != nil {
			line, _ := p.dec.InputPos()
			return Repomd{}, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if !p.seenRoot {
		return Repomd{}, errors.New("it is empty")
	}
	return p.repomd, nil
}

type repomdParser struct {
	dec      *xml.Decoder
	path     []string // names of the open elements
	text     strings.Builder
	repomd   Repomd
	seenRoot bool
}

func (p *repomdParser) token(tok xml.Token) error {
	switch tok := tok.(type) {
	case xml.StartElement:
		return p.start(tok)
	case xml.CharData:
		p.text.Write(tok)
	case xml.EndElement:
		err := p.end()
		p.path = p.path[:len(p.path)-1]
		return err
	}
	return nil
}

func (p *repomdParser) start(e xml.StartElement) error {
	p.path = append(p.path, e.Name.Local)
	p.text.Reset()
	if len(p.path) > maxRepomdDepth {
		return fmt.Errorf("elements are nested more than %d deep", maxRepomdDepth)
	}
	attr := func(name string) string {
		for _, a := range e.Attr {
			if a.Name.Local == name {
				return a.Value
			}
		}
		return ""
	}
	switch strings.Join(p.path, "/") {
	case "repomd":
		p.seenRoot = true
	case "repomd/data":
		p.repomd.Records = append(p.repomd.Records, Record{Type: attr("type")})
	case "repomd/data/checksum":
		p.last().Checksum.Type = attr("type")
	case "repomd/data/open-checksum":
		p.last().OpenChecksum.Type = attr("type")
	case "repomd/data/location":
		p.last().Location = attr("href")
	default:
		if len(p.path) == 1 {
			return fmt.Errorf("the document is <%s>, not <repomd>", e.Name.Local)
		}
	}
	return nil
}

func (p *repomdParser) last() *Record { return &p.repomd.Records[len(p.repomd.Records)-1] }

func (p *repomdParser) end() error {
	text := strings.TrimSpace(p.text.String())
	p.text.Reset()
	number := func(to *int64) error {
		whole, _, _ := strings.Cut(text, ".") // the old createrepo wrote fractions of seconds
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("<%s> is %.40q, not a number", p.path[len(p.path)-1], text)
		}
		*to = n
		return nil
	}
	switch strings.Join(p.path, "/") {
	case "repomd/revision":
		p.repomd.Revision = text
	case "repomd/data/checksum":
		p.last().Checksum.Value = text
	case "repomd/data/open-checksum":
		p.last().OpenChecksum.Value = text
	case "repomd/data/timestamp":
		return number(&p.last().Timestamp)
	case "repomd/data/size":
		return number(&p.last().Size)
	case "repomd/data/open-size":
		return number(&p.last().OpenSize)
	}
	return nil
}

// marshal gives the text of repomd.xml.
func (r Repomd) marshal() []byte {
	var x buffer
	x.raw(xmlProlog)
	x.raw(`<repomd xmlns="` + nsRepo + `" xmlns:rpm="` + nsRPM + `">` + "\n")
	x.element("  ", "revision", r.Revision)
	for _, rec := range r.Records {
		x.raw("  <data")
		x.attr("type", rec.Type)
		x.raw(">\n    <checksum")
		x.attr("type", rec.Checksum.Type)
		x.raw(">" + rec.Checksum.Value + "</checksum>\n    <open-checksum")
		x.attr("type", rec.OpenChecksum.Type)
		x.raw(">" + rec.OpenChecksum.Value + "</open-checksum>\n    <location")
		x.attr("href", rec.Location)
		x.raw("/>\n")
		x.element("    ", "timestamp", strconv.FormatInt(rec.Timestamp, 10))
		x.element("    ", "size", strconv.FormatInt(rec.Size, 10))
		x.element("    ", "open-size", strconv.FormatInt(rec.OpenSize, 10))
		x.raw("  </data>\n")
	}
	x.raw("</repomd>\n")
	return x.b
}

// names gives the files in repodata that the repomd names. What lies elsewhere is
// none of this package's business.
func (r Repomd) names() map[string]bool {
	out := make(map[string]bool)
	for _, rec := range r.Records {
		if dir, base, ok := strings.Cut(rec.Location, "/"); ok && dir == repodataDir && isMetadataName(base) {
			out[base] = true
		}
	}
	return out
}

// isMetadataName says whether a file in repodata may be removed under this name.
func isMetadataName(base string) bool {
	return base != "" && base[0] != '.' && !strings.ContainsAny(base, "/\x00") && !strings.HasPrefix(base, repomdName)
}
