package mockbuild

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// Name is the name of a Builder with this root. It has a sum of the root's
// configuration in it, so that what was built with another is not taken over.
func Name(root string) string {
	if root == "" {
		root = "default"
	}
	name := "mock:" + strings.TrimSuffix(filepath.Base(root), ".cfg")
	path, err := rootConfig(root)
	if err != nil {
		return name // New says what is wrong
	}
	sum := sha256.New()
	sumConfig(sum, path, 0)
	return name + ":" + hex.EncodeToString(sum.Sum(nil)[:4])
}

// include is how a configuration takes in another.
var include = regexp.MustCompile(`(?m)^\s*include\(\s*['"]([^'"]+)['"]\s*\)`)

// sumConfig adds up a configuration and what it includes by plain names. Names
// that it computes are left to mock.
func sumConfig(sum io.Writer, path string, depth int) {
	text, err := os.ReadFile(path)
	if err != nil || depth > 8 {
		return
	}
	_, _ = sum.Write(text)
	for _, m := range include.FindAllSubmatch(text, -1) {
		next := string(m[1])
		if !filepath.IsAbs(next) {
			next = filepath.Join("/etc/mock", next)
		}
		sumConfig(sum, next, depth+1)
	}
}

// rootConfig is where mock would look for a root: a path, or a name of the user's
// or the system's configuration.
func rootConfig(root string) (string, error) {
	if root == "" {
		root = "default"
	}
	var candidates []string
	switch {
	case strings.HasSuffix(root, ".cfg"):
		candidates = []string{root}
	case strings.Contains(root, "/"):
		return "", &modulebuild.InputError{Where: "--root " + root, Msg: "a mock configuration is named without '/', or is the path of a file that ends with .cfg"}
	default:
		if home, err := os.UserConfigDir(); err == nil {
			candidates = append(candidates, filepath.Join(home, "mock", root+".cfg"))
		}
		candidates = append(candidates, filepath.Join("/etc/mock", root+".cfg"))
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", &modulebuild.InputError{Where: "--root " + root, Msg: "mock has no such configuration: there is no " + strings.Join(candidates, " and no ")}
}
