// Package mockbuild builds components in mock's chroots, against the results of
// the module so far as an extra repository.
//
// Its tests run a stand-in for mock; a real one has not been seen by them.
package mockbuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/internal/buildlog"
	"github.com/kojimod/kojimod/internal/command"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// Options say how to use mock.
type Options struct {
	Root   string // a configuration's name or path; empty is mock's default
	Arch   string // to emulate; empty is the root's own
	Enable []modulebuild.ModuleStream
	Dir    string // to work in
	Log    *slog.Logger
}

// A Builder runs mock; see [modulebuild.Builder].
type Builder struct {
	opts Options
	base string // path of the root's configuration
}

var _ modulebuild.Builder = (*Builder)(nil)

// Available tells whether there is a mock that answers.
func Available(ctx context.Context) bool {
	_, err := command.Output(ctx, exec.Command("mock", "--version"))
	return err == nil
}

// New finds the root's configuration.
func New(opts Options) (*Builder, error) {
	if _, err := exec.LookPath("mock"); err != nil {
		return nil, fmt.Errorf("mock is needed to build in mock; install it with \"dnf install mock\" and join the group \"mock\": %w", err)
	}
	base, err := rootConfig(opts.Root)
	if err != nil {
		return nil, err
	}
	return &Builder{opts: opts, base: base}, nil
}

// Name implements [modulebuild.Builder].
func (b *Builder) Name() string { return Name(b.opts.Root) }

// Prepare implements [modulebuild.Builder]. What components need mock finds in its
// repositories, while building; here it is seen to that the configuration can be
// written.
func (b *Builder) Prepare(_ context.Context, jobs []modulebuild.Job) error {
	if err := checkTemplates(b.opts.Dir, b.opts.Dir); err != nil {
		return err
	}
	for _, m := range b.opts.Enable {
		if err := checkTemplates("module "+m.String(), m.String()); err != nil {
			return err
		}
	}
	for _, job := range jobs {
		for _, m := range job.Macros {
			if err := checkTemplates("macro %"+m.Name, m.Name+" "+m.Body); err != nil {
				return err
			}
		}
	}
	return nil
}

// Build implements [modulebuild.Builder].
func (b *Builder) Build(ctx context.Context, job modulebuild.Job) (modulebuild.Result, error) {
	dir := filepath.Join(b.opts.Dir, "mock-"+job.Component)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return modulebuild.Result{}, err
	}
	defer os.RemoveAll(dir)
	run := &run{b: b, job: job, dir: dir}
	if err := run.build(ctx); err != nil {
		if ctx.Err() != nil {
			return modulebuild.Result{}, ctx.Err()
		}
		return modulebuild.Result{}, run.failure(err)
	}
	packages, err := modulebuild.ReadPackages(ctx, job.Component, job.OutDir)
	return modulebuild.Result{Packages: packages}, err
}

// run is one build.
type run struct {
	b   *Builder
	job modulebuild.Job
	dir string
	cfg string // path of our configuration
}

func (r *run) build(ctx context.Context) error {
	if err := r.configure(ctx); err != nil {
		return err
	}
	srpm := r.job.SRPM
	if srpm == "" {
		var err error
		if srpm, err = r.sourcePackage(ctx); err != nil {
			return err
		}
	}
	result := filepath.Join(r.dir, "result")
	err := r.mock(ctx, result, "--rebuild", srpm)
	if logErr := r.keepLogs(result); err == nil {
		err = logErr
	}
	if err != nil {
		return err
	}
	return r.takePackages(result)
}

// configure writes the results repository and the configuration that names it.
func (r *run) configure(ctx context.Context) error {
	cfg := config{
		base: r.b.base, enable: r.b.opts.Enable, macros: r.job.Macros,
		install: r.job.InstallAlways, time: r.job.Time,
	}
	if len(r.job.Available) > 0 {
		cfg.results = filepath.Join(r.dir, "results")
		if err := r.writeResults(ctx, cfg.results); err != nil {
			return fmt.Errorf("making the repository of results: %w", err)
		}
	}
	r.cfg = filepath.Join(r.dir, "module.cfg")
	if err := os.WriteFile(r.cfg, []byte(cfg.String()), 0o666); err != nil {
		return err
	}
	// mock throws its caches away when a configuration is newer than they are.
	info, err := os.Stat(r.b.base)
	if err != nil {
		return err
	}
	return os.Chtimes(r.cfg, info.ModTime(), info.ModTime())
}

func (r *run) writeResults(ctx context.Context, dir string) error {
	var input repogen.Input
	for i, pkg := range r.job.Available {
		if pkg.SourceRPM == "" {
			continue
		}
		// A directory each: two components may have built files of one name.
		location := fmt.Sprintf("%d/%s", i, filepath.Base(pkg.Path))
		to := filepath.Join(dir, location)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		if err := atomicfile.Link(pkg.Path, to); err != nil {
			return err
		}
		p, err := repogen.ReadPackage(ctx, pkg.Path, location)
		if err != nil {
			return err
		}
		input.Packages = append(input.Packages, p)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	_, err := repogen.Generate(ctx, dir, input, repogen.Options{Time: r.job.Time})
	return err
}

func (r *run) sourcePackage(ctx context.Context) (string, error) {
	result := filepath.Join(r.dir, "srpm")
	err := r.mock(ctx, result, "--buildsrpm", "--spec", r.job.Spec, "--sources", filepath.Dir(r.job.Spec))
	if err != nil {
		return "", errors.Join(err, r.keepLogs(result))
	}
	found, err := filepath.Glob(filepath.Join(result, "*.src.rpm"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("mock made %d source packages of %s", len(found), filepath.Base(r.job.Spec))
	}
	return found[0], nil
}

// mock runs it. Each build has a chroot of its own; caches are shared.
func (r *run) mock(ctx context.Context, result string, args ...string) error {
	sum := sha256.Sum256([]byte(r.dir))
	options := []string{"--root", r.cfg, "--uniqueext", "module-" + hex.EncodeToString(sum[:6]), "--resultdir", result}
	if r.b.opts.Arch != "" {
		options = append(options, "--forcearch", r.b.opts.Arch)
	}
	if err := os.MkdirAll(result, 0o777); err != nil {
		return err
	}
	out := buildlog.Lines(r.job.Status)
	defer out.Close()
	cmd := exec.Command("mock", append(options, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	err := command.Run(ctx, cmd)
	if err != nil {
		// A failed build leaves its chroot, and perhaps processes in it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		for _, verb := range []string{"--orphanskill", "--clean"} {
			if _, cleanErr := command.Output(ctx, exec.Command("mock", append(options[:len(options):len(options)], verb)...)); cleanErr != nil {
				r.b.opts.Log.Warn("cleaning mock's chroot", "component", r.job.Component, "error", cleanErr)
			}
		}
		return fmt.Errorf("mock %s: %w", args[0], err)
	}
	return nil
}

func (r *run) keepLogs(result string) error {
	for _, name := range []string{"build.log", "root.log"} {
		err := moveFile(filepath.Join(result, name), filepath.Join(r.job.LogDir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (r *run) takePackages(result string) error {
	found, err := filepath.Glob(filepath.Join(result, "*.rpm"))
	if err != nil {
		return err
	}
	for _, path := range found {
		to := filepath.Join(r.job.OutDir, filepath.Base(path))
		if err := moveFile(path, to); err != nil {
			return err
		}
		// The file's own time goes into the repository's metadata.
		if err := os.Chtimes(to, r.job.Time, r.job.Time); err != nil {
			return err
		}
	}
	return nil
}

// moveFile copies where it cannot rename.
func moveFile(from, to string) error {
	if err := os.Rename(from, to); err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := atomicfile.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// failure names the log that tells why: build.log once the build has begun, else
// root.log.
func (r *run) failure(err error) error {
	failed := &modulebuild.BuildError{Component: r.job.Component, Err: err}
	for _, name := range []string{"build.log", "root.log"} {
		path := filepath.Join(r.job.LogDir, name)
		if tail := buildlog.Tail(path, 20); tail != "" {
			failed.Log, failed.Tail = path, tail
			break
		}
	}
	return failed
}
