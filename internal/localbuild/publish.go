package localbuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// packagesDir is where in the repository packages lie, in one directory for each
// component, named for its packages' content. A component that is built again
// gets another one: a client with the old metadata still finds the old packages,
// and no file is ever replaced by a different one.
const packagesDir = "Packages"

// publish makes the finished module the content of the repository. Readers see
// the old or the new, whole. Once that is done nothing is an error any more, and
// what goes wrong is among the warnings.
func (o *output) publish(ctx context.Context, plan *modulebuild.Plan, f *modulebuild.Finished, j *journal) (warnings []string, err error) {
	var modules bytes.Buffer
	if err := modulemd.Write(&modules, f.Defaults, f.Stream); err != nil {
		return nil, fmt.Errorf("writing the module's metadata: %w", err)
	}
	input := repogen.Input{Modules: modules.Bytes()}
	where := locations(f.Packages)
	var published []string
	for _, pkg := range f.Packages {
		p, err := repogen.ReadPackage(ctx, pkg.Path, where[pkg.Path])
		if err != nil {
			return nil, err
		}
		p.Time = plan.Identity.Time // that of the file is lost when it is copied
		input.Packages = append(input.Packages, p)
		published = append(published, p.Location)
	}
	slices.Sort(published)
	// The journal knows of the packages before anybody else can.
	if changed := !slices.Equal(published, j.Published); changed || j.Publishing != nil {
		j.Previous = union(j.Published, j.Publishing)
		j.Publishing = published
		if err := o.writeJournal(j); err != nil {
			return nil, err
		}
	}
	if err := o.place(f.Packages, where); err != nil {
		return nil, err
	}
	result, err := repogen.Generate(ctx, o.repo(), input, repogen.Options{Time: plan.Identity.Time, KeepPrevious: true})
	if err != nil {
		return nil, fmt.Errorf("publishing the repository: %w", err)
	}
	warnings = result.Warnings
	if err := o.settle(j, published, modules.Bytes()); err != nil {
		warnings = append(warnings, fmt.Sprintf("the repository is published, but cleaning up after it failed: %v", err))
	}
	return warnings, nil
}

// settle follows a publication.
func (o *output) settle(j *journal, published []string, modules []byte) error {
	if j.Publishing != nil {
		j.Published, j.Publishing = published, nil
		if err := o.writeJournal(j); err != nil {
			return err
		}
	}
	if old, err := os.ReadFile(o.path("modules.yaml")); err != nil || !bytes.Equal(old, modules) {
		if err := atomicfile.Write(o.path("modules.yaml"), modules, 0o666); err != nil {
			return err
		}
	}
	return o.retire(j)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// locations tells where in the repository packages go, by their paths.
func locations(packages []modulebuild.Package) map[string]string {
	content := map[string]string{}
	for _, pkg := range packages { // in the order of their NEVRAs
		content[pkg.Component] += filepath.Base(pkg.Path) + " " + pkg.SHA256 + "\n"
	}
	where := map[string]string{}
	for _, pkg := range packages {
		sum := sha256.Sum256([]byte(content[pkg.Component]))
		where[pkg.Path] = path.Join(packagesDir, pkg.Component+"-"+hex.EncodeToString(sum[:4]), filepath.Base(pkg.Path))
	}
	return where
}

// place puts packages where they will be published.
func (o *output) place(packages []modulebuild.Package, where map[string]string) error {
	if err := realDir(filepath.Join(o.repo(), packagesDir)); err != nil {
		return fmt.Errorf("making the repository: %w", err)
	}
	for _, pkg := range packages {
		to := filepath.Join(o.repo(), filepath.FromSlash(where[pkg.Path]))
		err := realDir(filepath.Dir(to))
		if err == nil {
			err = atomicfile.Link(pkg.Path, to)
		}
		if err != nil {
			return fmt.Errorf("putting %s into the repository: %w", filepath.Base(pkg.Path), err)
		}
	}
	return nil
}

// retire removes from the repository the packages that neither its present nor
// its previous metadata names.
func (o *output) retire(j *journal) error {
	keep := map[string]bool{}
	for _, location := range slices.Concat(j.Published, j.Previous) {
		keep[location] = true
		keep[path.Dir(location)] = true
	}
	root := filepath.Join(o.repo(), packagesDir)
	dirs, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range dirs {
		dir := filepath.Join(root, d.Name())
		if !d.IsDir() || !keep[path.Join(packagesDir, d.Name())] {
			if err := removeAll(dir); err != nil {
				return err
			}
			continue
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if !keep[path.Join(packagesDir, d.Name(), f.Name())] {
				if err := removeAll(filepath.Join(dir, f.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
