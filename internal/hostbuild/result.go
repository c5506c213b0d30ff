package hostbuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/internal/ctxio"
	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/sandbox"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// exitMoreRequires is rpmbuild's exit status when a spec file has generated
// BuildRequires and wrote them into a *.buildreqs.nosrc.rpm.
const exitMoreRequires = 11

// askMore lets the spec file generate BuildRequires, and reads them.
func (r *room) askMore(ctx context.Context, s *sandbox.Session, log *logFile) ([]rpmfile.Dependency, error) {
	err := r.rpmbuild(ctx, s, log, "-br")
	var exit *sandbox.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.Code == exitMoreRequires) {
		return nil, fmt.Errorf("generating BuildRequires: %w", err)
	}
	if err := s.Close(); err != nil { // nothing of the build may run while its files are read
		return nil, err
	}
	top, err := r.top()
	if err != nil {
		return nil, err
	}
	defer top.Close()
	files, err := packageFiles(top, "SRPMS")
	if err != nil {
		return nil, err
	}
	deps := []rpmfile.Dependency{}
	for _, f := range files {
		if strings.HasSuffix(f, ".buildreqs.nosrc.rpm") {
			header, err := readHeader(top, f)
			if err != nil {
				return nil, fmt.Errorf("reading the generated BuildRequires: %w", err)
			}
			for _, d := range header.Dependencies(rpmfile.Requires) {
				log.printf("generated BuildRequires: %s", dependencyText(d))
				deps = append(deps, d)
			}
		}
		if err := top.Remove(f); err != nil {
			return nil, err
		}
	}
	return deps, nil
}

func readHeader(root *os.Root, name string) (*rpmfile.Package, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return rpmfile.Read(f)
}

// maxFiles bounds how many packages a build may make.
const maxFiles = 10_000

// packageFiles lists the packages below a directory of topdir. Only regular
// files count: the build may have left anything there.
func packageFiles(root *os.Root, dir string) ([]string, error) {
	var files []string
	err := fs.WalkDir(root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() && strings.HasSuffix(p, ".rpm") {
			files = append(files, p)
		}
		if len(files) > maxFiles {
			return fmt.Errorf("there are more than %d", maxFiles)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for built packages: %w", err)
	}
	return files, nil
}

// collect copies the packages to the job's OutDir and reads them back.
func (r *room) collect(ctx context.Context) (modulebuild.Result, error) {
	packages, err := r.takeAll(ctx)
	if err != nil {
		r.discard()
		return modulebuild.Result{}, err
	}
	return modulebuild.Result{Packages: packages}, atomicfile.SyncDir(r.job.OutDir)
}

// discard empties OutDir.
func (r *room) discard() {
	found, err := filepath.Glob(filepath.Join(r.job.OutDir, "*.rpm"))
	for _, path := range found {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		r.b.log.Warn("cannot remove packages of a failed build", "component", r.job.Component, "error", err)
	}
}

func (r *room) takeAll(ctx context.Context) ([]modulebuild.Package, error) {
	root, err := r.top()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names := make(map[string]bool)
	for _, dir := range []string{"RPMS", "SRPMS"} {
		files, err := packageFiles(root, dir)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if names[path.Base(file)] {
				return nil, fmt.Errorf("built two packages named %s", path.Base(file))
			}
			names[path.Base(file)] = true
			if err := r.take(ctx, root, file); err != nil {
				return nil, fmt.Errorf("taking the built package %s: %w", file, err)
			}
		}
	}
	packages, err := modulebuild.ReadPackages(ctx, r.job.Component, r.job.OutDir)
	if err != nil {
		return nil, err
	}
	sources := 0
	for _, pkg := range packages {
		if pkg.SourceRPM == "" {
			sources++
		}
	}
	if sources != 1 {
		return nil, fmt.Errorf("rpmbuild left %d source packages where they belong, not one: does the spec file redefine %%_topdir or another of rpmbuild's directories?", sources)
	}
	if len(packages) == sources {
		return nil, errors.New("rpmbuild made no binary package: no %files section of the spec file applies, or it redefines where packages go (%_rpmdir, %_rpmfilename)")
	}
	return packages, nil
}

// take copies one package to OutDir, with the job's time as its file's time.
func (r *room) take(ctx context.Context, root *os.Root, file string) (err error) {
	from, err := root.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	// A file of any size is quickly made that holds nothing: it must look like a
	// package before it is copied.
	if _, err := rpmfile.Read(from); err != nil {
		return err
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f, err := atomicfile.Create(filepath.Join(r.job.OutDir, path.Base(file)), 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, ctxio.Reader(ctx, from)); err != nil {
		return err
	}
	if err := os.Chtimes(f.Name(), r.job.Time, r.job.Time); err != nil {
		return err
	}
	return f.Commit()
}
