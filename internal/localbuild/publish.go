package localbuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// packagesDir is where in the repository packages lie, one directory for each
// build of a component. A component that is built again gets another one: a
// client with the old metadata still finds the old packages.
const packagesDir = "Packages"

// publish makes the finished module the content of the repository. Readers see
// the old or the new, whole.
func (o *output) publish(ctx context.Context, plan *modulebuild.Plan, f *modulebuild.Finished, j *journal) (warnings []string, err error) {
	repo := o.repo()
	var modules bytes.Buffer
	if err := modulemd.Write(&modules, f.Defaults, f.Stream); err != nil {
		return nil, fmt.Errorf("writing the module's metadata: %w", err)
	}
	input := repogen.Input{Modules: modules.Bytes()}
	var published []string
	for _, pkg := range f.Packages {
		location := location(plan, pkg)
		if err := place(pkg.Path, filepath.Join(repo, filepath.FromSlash(location))); err != nil {
			return nil, fmt.Errorf("putting %s into the repository: %w", filepath.Base(pkg.Path), err)
		}
		p, err := repogen.ReadPackage(ctx, pkg.Path, location)
		if err != nil {
			return nil, err
		}
		input.Packages = append(input.Packages, p)
		published = append(published, location)
	}
	result, err := repogen.Generate(ctx, repo, input, repogen.Options{Time: plan.Identity.Time, KeepPrevious: true})
	if err != nil {
		return nil, fmt.Errorf("publishing the repository: %w", err)
	}
	if err := atomicfile.Write(o.path("modules.yaml"), modules.Bytes(), 0o666); err != nil {
		return nil, err
	}
	slices.Sort(published)
	if !slices.Equal(published, j.Published) {
		j.Previous, j.Published = j.Published, published
		if err := o.writeJournal(j); err != nil {
			return nil, err
		}
	}
	return result.Warnings, o.retire(j)
}

// location is where in the repository a package is.
func location(plan *modulebuild.Plan, pkg modulebuild.Package) string {
	key := ""
	for _, c := range plan.Components {
		if c.Name == pkg.Component {
			key = c.Key
		}
	}
	return path.Join(packagesDir, pkg.Component+"-"+key[:8], filepath.Base(pkg.Path))
}

// place links a package to where it is published, or copies it where that cannot
// be done.
func place(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	a, err := os.Stat(from)
	if err != nil {
		return err
	}
	if b, err := os.Lstat(to); err == nil && os.SameFile(a, b) {
		return nil
	}
	tmp := filepath.Join(filepath.Dir(to), fmt.Sprintf(".tmp-%d-%s", os.Getpid(), filepath.Base(to)))
	_ = os.Remove(tmp)
	err = os.Link(from, tmp)
	if errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EMLINK) || errors.Is(err, syscall.ENOTSUP) {
		err = copyFile(from, tmp, a)
	}
	if err == nil {
		err = os.Rename(tmp, to)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(to))
}

func copyFile(from, to string, info fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// retire removes from the repository the packages that neither its present nor
// its previous metadata names.
func (o *output) retire(j *journal) error {
	keep := map[string]bool{}
	for _, list := range [][]string{j.Published, j.Previous} {
		for _, location := range list {
			keep[location] = true
			keep[path.Dir(location)] = true
		}
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
		if !keep[path.Join(packagesDir, d.Name())] {
			if err := removeAll(filepath.Join(root, d.Name())); err != nil {
				return err
			}
			continue
		}
		files, err := os.ReadDir(filepath.Join(root, d.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			if !keep[path.Join(packagesDir, d.Name(), f.Name())] {
				if err := os.Remove(filepath.Join(root, d.Name(), f.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
