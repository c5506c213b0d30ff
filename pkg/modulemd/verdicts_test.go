package modulemd

import (
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// conformance is the directory of libmodulemd's own test documents, which do
// not belong to this repository.
func conformance(t testing.TB) string {
	dir := filepath.Join("..", "..", "..", "shared", "conformance", "modulemd")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("libmodulemd's test documents are not there:", err)
	}
	return dir
}

// verdictExceptions are the files on which this package differs from
// libmodulemd 2.15.3, and why.
var verdictExceptions = map[string]string{
	"compression/gzipped.yaml.gz": "compressed", "compression/gzipped": "compressed",
	"compression/xzipped.yaml.xz": "compressed", "compression/xzipped": "compressed",
	"compression/zstded": "compressed",
}

// TestVerdicts compares what is valid with libmodulemd's verdicts. A file with
// a document of a type that is not read yet must say so for that document.
func TestVerdicts(t *testing.T) {
	dir := conformance(t)
	f, err := os.Open(filepath.Join(dir, "verdicts.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		t.Run(row[0], func(t *testing.T) {
			if why := verdictExceptions[row[0]]; why != "" {
				t.Skip(why)
			}
			docs, err := ReadFile(filepath.Join(dir, "documents", row[0]))
			if errors.Is(err, ErrUnsupported) {
				checkUnsupported(t, err, row[column["valid_index"]] == "1")
				return
			}
			packager := row[column["packager-v2"]] == "1" || row[column["packager-v3"]] == "1"
			want := row[column["valid_index"]] == "1" || packager
			if row[0] == "stream_packager_mix.yaml" || row[0] == "valid_defaults_with_unexpected_document.yaml" {
				// An index takes no packager documents; a file may hold both.
				t.Logf("%d documents, error: %v", len(docs), err)
				return
			}
			if (err == nil) != want {
				t.Errorf("valid: %t, libmodulemd says %t: %v", err == nil, want, err)
			}
		})
	}
}

// checkUnsupported makes sure that in a valid file nothing but the types is
// objected to.
func checkUnsupported(t *testing.T, err error, valid bool) {
	var all Problems
	if !errors.As(err, &all) {
		t.Fatalf("not Problems: %v", err)
	}
	for _, p := range all {
		if !errors.Is(p, ErrUnsupported) && valid {
			t.Errorf("valid document refused: %v", p)
		}
		if errors.Is(p, ErrUnsupported) && !strings.Contains(p.Msg, "is not read by this version") {
			t.Errorf("message does not say that the type is not read: %v", p)
		}
	}
}
