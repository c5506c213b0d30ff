package hostbuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/kojimod/kojimod/internal/atomicfile"
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
	files, err := r.packageFiles("SRPMS")
	if err != nil {
		return nil, err
	}
	deps := []rpmfile.Dependency{}
	for _, f := range files {
		full := filepath.Join(r.host(topdir), f)
		if strings.HasSuffix(f, ".buildreqs.nosrc.rpm") {
			header, err := rpmfile.ReadFile(full)
			if err != nil {
				return nil, fmt.Errorf("reading the generated BuildRequires: %w", err)
			}
			for _, d := range header.Dependencies(rpmfile.Requires) {
				log.printf("generated BuildRequires: %s", dependencyText(d))
				deps = append(deps, d)
			}
		}
		if err := os.Remove(full); err != nil {
			return nil, err
		}
	}
	return deps, nil
}

// packageFiles lists the packages below a directory of topdir. Only regular
// files count: the build may have left anything there.
func (r *room) packageFiles(dir string) ([]string, error) {
	root, err := os.OpenRoot(r.host(topdir))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var files []string
	err = fs.WalkDir(root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() && strings.HasSuffix(p, ".rpm") {
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for built packages: %w", err)
	}
	return files, nil
}

// collect copies the packages to the job's OutDir and reads them back.
func (r *room) collect(ctx context.Context) (result modulebuild.Result, err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, p := range result.Packages {
			_ = os.Remove(p.Path)
		}
		result = modulebuild.Result{}
	}()
	root, err := os.OpenRoot(r.host(topdir))
	if err != nil {
		return result, err
	}
	defer root.Close()
	names := make(map[string]bool)
	binaries, sources := 0, 0
	for _, dir := range []string{"RPMS", "SRPMS"} {
		files, err := r.packageFiles(dir)
		if err != nil {
			return result, err
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return result, err
			}
			if names[path.Base(file)] {
				return result, fmt.Errorf("built two packages named %s", path.Base(file))
			}
			names[path.Base(file)] = true
			pkg, err := r.take(root, file)
			if err != nil {
				return result, fmt.Errorf("taking the built package %s: %w", file, err)
			}
			result.Packages = append(result.Packages, pkg)
			if pkg.SourceRPM == "" {
				sources++
			} else {
				binaries++
			}
		}
	}
	if sources != 1 {
		return result, fmt.Errorf("rpmbuild made %d source packages, not one", sources)
	}
	if binaries == 0 {
		return result, errors.New("rpmbuild made no binary package: the spec file has no %files section that applies")
	}
	sort.Slice(result.Packages, func(i, j int) bool { return result.Packages[i].Path < result.Packages[j].Path })
	return result, atomicfile.SyncDir(r.job.OutDir)
}

// take copies one package to OutDir, with the job's time as its file's time.
func (r *room) take(root *os.Root, file string) (pkg modulebuild.Package, err error) {
	from, err := root.Open(file)
	if err != nil {
		return pkg, err
	}
	defer from.Close()
	out, err := filepath.Abs(r.job.OutDir)
	if err != nil {
		return pkg, err
	}
	to := filepath.Join(out, path.Base(file))
	f, err := atomicfile.Create(to, 0o644)
	if err != nil {
		return pkg, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), from)
	if err != nil {
		return pkg, err
	}
	if err := os.Chtimes(f.Name(), r.job.Time, r.job.Time); err != nil {
		return pkg, err
	}
	if err := f.Commit(); err != nil {
		return pkg, err
	}
	header, err := rpmfile.ReadFile(to)
	if err != nil {
		return pkg, err
	}
	if err := header.CheckNames(); err != nil {
		return pkg, err
	}
	return modulebuild.Package{Component: r.job.Component, Path: to, NEVRA: header.NEVRA(), SourceRPM: header.SourceRPM(),
		License: header.License(), Label: header.ModularityLabel(), SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size}, nil
}
