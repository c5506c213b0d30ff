package layout

import (
	"fmt"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A module is what its files import. Files are read for all systems and build
// tags at once, test files excepted.
type module struct {
	root    string
	path    string              // as go.mod has it
	imports map[string][]string // import paths of each package, by its path below the root, sorted
}

// readModule reads the module whose go.mod is in root.
func readModule(root string) (module, error) {
	m := module{root: root, imports: map[string][]string{}}
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "module "); ok {
			m.path = strings.TrimSpace(rest)
		}
	}
	if m.path == "" {
		return m, fmt.Errorf("%s/go.mod: no module line", root)
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && skipped(rel) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		paths, err := importsOf(name)
		if err != nil {
			return err
		}
		dir := path.Dir(rel)
		m.imports[dir] = append(m.imports[dir], paths...)
		return nil
	})
	for dir, paths := range m.imports {
		slices.Sort(paths)
		m.imports[dir] = slices.Compact(paths)
	}
	return m, err
}

// skipped says whether a directory holds no packages: those that the go command
// passes over, and what the Makefile makes at the top.
func skipped(rel string) bool {
	base := path.Base(rel)
	return base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' || rel == "bin" || rel == "demo"
}

// importsOf returns the import paths of a Go file, none where the file is never
// built ("//go:build ignore").
func importsOf(name string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			expr, err := constraint.Parse(c.Text)
			if err == nil && c.Pos() < file.Package && expr.String() == "ignore" {
				return nil, nil
			}
		}
	}
	var paths []string
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// chains returns, for each package of this module that from depends on, a
// shortest way to it, both ends included.
func (m module) chains(from string) map[string][]string {
	found := map[string][]string{}
	queue := [][]string{{from}}
	for len(queue) > 0 {
		chain := queue[0]
		queue = queue[1:]
		for _, p := range m.imports[chain[len(chain)-1]] {
			to, ok := strings.CutPrefix(p, m.path+"/")
			if !ok || to == from || found[to] != nil {
				continue
			}
			found[to] = append(slices.Clone(chain), to)
			queue = append(queue, found[to])
		}
	}
	return found
}

func TestReadModule(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{
		"go.mod":                                 "module example.org/m\n\ngo 1.26\n",
		"a/a.go":                                 "package a\n\nimport (\n\t\"io\"\n\t_ \"example.org/m/b\"\n)\n",
		"a/a_windows.go":                         "package a\n\nimport \"log\"\n",
		"a/tagged.go":                            "//go:build special && !linux\n\npackage a\n\nimport `os`\n",
		"a/gen.go":                               "//go:build ignore\n\npackage main\n\nimport \"net\"\n",
		"a/a_test.go":                            "package a\n\nimport \"testing\"\n",
		"a/testdata/x.go":                        "package x\n\nimport \"net\"\n",
		"demo/out/x.go":                          "package x\n\nimport \"net\"\n",
		".cache/x.go":                            "this is not Go",
		"b/demo/below the top is a package/c.go": "package c\n\nimport \"fmt\"\n",
	}
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readModule(root)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"a":                                 {"example.org/m/b", "io", "log", "os"},
		"b/demo/below the top is a package": {"fmt"},
	}
	if got.path != "example.org/m" {
		t.Errorf("path is %q", got.path)
	}
	if diff := cmp.Diff(want, got.imports); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
}
