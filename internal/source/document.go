package source

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kojimod/kojimod/internal/regularfile"
)

// maxScan bounds how much of a file is looked at; larger documents are refused
// when they are read.
const maxScan = 4 << 20

// findDocument gives the one modulemd document directly in dir. Where there are
// several, the one that is named for the module.
func findDocument(dir, name string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		if isDocument(filepath.Join(dir, e.Name())) {
			found = append(found, e.Name())
		}
	}
	for _, base := range []string{name + ".yaml", name + ".yml"} {
		for _, f := range found {
			if f == base {
				return filepath.Join(dir, f), nil
			}
		}
	}
	switch len(found) {
	case 0:
		return "", badInput("", dir, "there is no modulemd document (a .yaml file with document: modulemd-packager)", nil)
	case 1:
		return filepath.Join(dir, found[0]), nil
	}
	return "", badInput("", dir, fmt.Sprintf("there are several modulemd documents (%s); name the file", list(found)), nil)
}

// isDocument reports whether the file says at its top level that it is a
// packager's or a stream document. It looks at lines only; whether the YAML is
// right is for the parser to say.
func isDocument(path string) bool {
	f, err := regularfile.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxScan))
	lines.Buffer(nil, maxScan+1)
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), ":")
		if !ok || strings.Trim(key, `"'`) != "document" {
			continue
		}
		value, _, _ = strings.Cut(value, " #")
		switch strings.Trim(strings.TrimSpace(value), `"'`) {
		case "modulemd", "modulemd-stream", "modulemd-packager":
			return true
		}
	}
	return false
}
