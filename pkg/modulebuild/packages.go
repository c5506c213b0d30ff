package modulebuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/internal/ctxio"
	"github.com/kojimod/kojimod/internal/rpmfile"
)

// ReadPackages reads back what a Builder has made: all RPMs directly in dir,
// sorted by file name. What it says of a package is from the package's header,
// not from its file name.
func ReadPackages(ctx context.Context, component, dir string) ([]Package, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var packages []Package
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".rpm") {
			continue
		}
		pkg, err := readPackage(ctx, filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading the package %s: %w", e.Name(), err)
		}
		pkg.Component = component
		packages = append(packages, pkg)
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	return packages, nil
}

func readPackage(ctx context.Context, path string) (Package, error) {
	rpm, err := rpmfile.ReadFile(path)
	if err != nil {
		return Package{}, err
	}
	if err := rpm.Header.CheckNames(); err != nil {
		return Package{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Package{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, ctxio.Reader(ctx, f))
	if err != nil {
		return Package{}, err
	}
	return Package{
		Path: path, NEVRA: rpm.Header.NEVRA(), SourceRPM: rpm.Header.SourceRPM(),
		License: rpm.Header.License(), Label: rpm.Header.ModularityLabel(),
		SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size,
	}, nil
}
