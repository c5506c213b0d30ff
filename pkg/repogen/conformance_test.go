package repogen

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	fixtureDir     = "../../testdata/rpms"
	conformanceDir = "../../../shared/conformance/rpms"
)

// readPackages reads all packages of a directory, as they would lie in a repository.
func readPackages(t testing.TB, dir string) []Package {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no packages in %s (%v)", dir, err)
	}
	var out []Package
	for _, path := range paths {
		p, err := ReadPackage(context.Background(), path, filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// generateInto makes a repository of packages in a new directory.
func generateInto(t testing.TB, in Input, opts Options) (string, Result) {
	t.Helper()
	dir := t.TempDir()
	result, err := Generate(context.Background(), dir, in, opts)
	if err != nil {
		t.Fatal(err)
	}
	return dir, result
}

// metadata gives the text of one metadata file of the repository in dir.
func metadata(t testing.TB, dir, record string) []byte {
	t.Helper()
	repomd, err := ReadRepomd(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := repomd.Record(record)
	if !ok {
		t.Fatalf("no record %q in %s", record, dir)
	}
	f, err := os.Open(filepath.Join(dir, r.Location))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// canonical turns XML into lines that are equal for documents of equal meaning:
// attributes sorted, character references resolved, indentation dropped. Attributes
// that depend on the copy of a file are left out.
func canonical(t testing.TB, text []byte) []string {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(text))
	var out []string
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			var attrs []string
			for _, a := range tok.Attr {
				if tok.Name.Local == "time" && a.Name.Local == "file" {
					continue
				}
				attrs = append(attrs, a.Name.Space+" "+a.Name.Local+"="+a.Value)
			}
			slices.Sort(attrs)
			out = append(out, "<"+tok.Name.Space+" "+tok.Name.Local+" "+strings.Join(attrs, "|"))
		case xml.EndElement:
			out = append(out, "</"+tok.Name.Local)
		case xml.CharData:
			if s := string(tok); strings.TrimSpace(s) != "" {
				out = append(out, s)
			}
		}
	}
}

// TestConformance compares with what createrepo_c 2.0.0 makes of its own test packages.
func TestConformance(t *testing.T) {
	if _, err := os.Stat(conformanceDir); err != nil {
		t.Skip("the conformance packages are not there")
	}
	dir, _ := generateInto(t, Input{Packages: readPackages(t, filepath.Join(conformanceDir, "packages"))}, Options{})
	for _, record := range []string{"primary", "filelists", "other"} {
		t.Run(record, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(conformanceDir, "expected", record+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			got := metadata(t, dir, record)
			if diff := cmp.Diff(canonical(t, want), canonical(t, got)); diff != "" {
				t.Errorf("(-createrepo_c +ours)\n%s", diff)
			}
			if record != "primary" && !bytes.Equal(want, got) { // primary has file times
				t.Error("the bytes differ, though the meaning does not")
			}
		})
	}
}
