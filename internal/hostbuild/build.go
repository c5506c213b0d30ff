package hostbuild

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/sandbox"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// errLogTooLarge is why the context of a build ends that prints too much.
var errLogTooLarge = errors.New("it printed more than build.log may hold")

// Build builds one component; see modulebuild.Builder.
func (b *Builder) Build(ctx context.Context, job modulebuild.Job) (result modulebuild.Result, err error) {
	if err := b.checkArch(job); err != nil {
		return result, err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	buildLog, err := newLog(job.LogDir, "build.log", b.maxLog, job.Status, func() { cancel(errLogTooLarge) })
	if err != nil {
		return result, &modulebuild.BuildError{Component: job.Component, Err: plain(err)}
	}
	rootLog, err := newLog(job.LogDir, "root.log", b.maxLog, nil, func() { cancel(errLogTooLarge) })
	if err != nil {
		_ = buildLog.close()
		return result, &modulebuild.BuildError{Component: job.Component, Err: plain(err)}
	}
	room := func() bool { return hasRoom(b.work) && hasRoom(job.OutDir) }
	buildLog.room, rootLog.room = room, room
	result, err = b.buildIn(inner, job, buildLog, rootLog)
	if ctx.Err() == nil && context.Cause(inner) != nil {
		err = context.Cause(inner)
	}
	if err != nil {
		buildLog.printf("error: %v", err)
	}
	closeErr := errors.Join(buildLog.close(), rootLog.close())
	var input *modulebuild.InputError
	switch {
	case ctx.Err() != nil:
		return modulebuild.Result{}, ctx.Err()
	case errors.As(err, &input):
		return modulebuild.Result{}, err
	case err == nil:
		err = closeErr
	}
	if err == nil {
		return result, nil
	}
	if buildLog.full || rootLog.full {
		err = fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return modulebuild.Result{}, &modulebuild.BuildError{Component: job.Component, Log: buildLog.Path, Tail: buildLog.tailText(), Err: plain(err)}
}

// hasRoom tells whether a file system has more than the last megabytes free.
func hasRoom(dir string) bool {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return true
	}
	const little = 4 << 20
	return st.Bavail*uint64(st.Bsize) > little && (st.Files == 0 || st.Ffree > 64)
}

// plain says a full disk in plain words.
func plain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the disk is full, make room and start again: %w", err)
	}
	return err
}

func (b *Builder) buildIn(ctx context.Context, job modulebuild.Job, buildLog, rootLog *logFile) (result modulebuild.Result, err error) {
	r, err := b.newRoom(job)
	if err != nil {
		return result, err
	}
	defer func() {
		if closeErr := r.close(); err == nil {
			err = closeErr
		}
	}()
	if err := r.fetchSources(1 << 62); err != nil {
		return result, err
	}
	available, err := newPool(job.Available, r.job.Arch)
	if err != nil {
		return result, err
	}
	wanted, dynamic, err := r.wanted(ctx, rootLog)
	if err != nil {
		return result, err
	}
	if err := r.buildWith(ctx, available, wanted, dynamic, buildLog, rootLog); err != nil {
		return result, err
	}
	return r.collect(ctx)
}

// wanted unpacks the sources and reads the spec file's BuildRequires.
func (r *room) wanted(ctx context.Context, rootLog *logFile) ([]rpmfile.Dependency, bool, error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, false, err
	}
	defer s.Close()
	if err := r.unpack(ctx, s, rootLog); err != nil {
		return nil, false, err
	}
	info, err := r.readSpec(ctx, s)
	if err != nil {
		return nil, false, err
	}
	for _, d := range info.requires {
		rootLog.printf("BuildRequires: %s", dependencyText(d))
	}
	return info.requires, info.dynamic, s.Close()
}

// maxRounds is how often %generate_buildrequires may ask for more packages.
const maxRounds = 10

// buildWith installs what is wanted into a sandbox and runs rpmbuild there. When
// the spec file asks for more packages while being built, it begins anew with
// them, in a fresh sandbox.
func (r *room) buildWith(ctx context.Context, available *pool, wanted []rpmfile.Dependency, dynamic bool, buildLog, rootLog *logFile) error {
	for range maxRounds {
		packages, err := available.closure(wanted, r.job.InstallAlways)
		if err != nil {
			return err
		}
		more, err := r.round(ctx, packages, dynamic, buildLog, rootLog)
		if err != nil {
			return err
		}
		if more == nil {
			return nil
		}
		again, err := available.closure(append(wanted, more...), r.job.InstallAlways)
		if err != nil {
			return err
		}
		if len(again) == len(packages) {
			dynamic = false // all that the module has is there: build
		}
		wanted = append(wanted, more...)
	}
	return fmt.Errorf("%%generate_buildrequires still asks for more after %d rounds", maxRounds)
}

// round is one sandbox. With dynamic set it only asks the spec file what more
// it wants, and gives that, never nil.
func (r *room) round(ctx context.Context, packages []*built, dynamic bool, buildLog, rootLog *logFile) ([]rpmfile.Dependency, error) {
	s, err := r.open(ctx, packages)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := r.install(ctx, s, packages, rootLog); err != nil {
		return nil, err
	}
	if dynamic {
		return r.askMore(ctx, s, buildLog)
	}
	if err := r.rpmbuild(ctx, s, buildLog, "-ba"); err != nil {
		return nil, err
	}
	return nil, s.Close()
}

// install puts packages of the module into the sandbox. On a host whose own
// packages are RPMs their dependencies must be met; elsewhere rpm cannot know.
func (r *room) install(ctx context.Context, s *sandbox.Session, packages []*built, log *logFile) error {
	if len(packages) == 0 {
		log.printf("nothing of the module is needed")
		return nil
	}
	if r.job.Status != nil {
		r.job.Status(fmt.Sprintf("installing %d packages of the module", len(packages)))
	}
	// A module often has older packages than its platform.
	args := []string{"rpm", "--upgrade", "--oldpackage", "--replacepkgs", "--nosignature"}
	if !r.b.rpmHost {
		args = append(args, "--nodeps")
	}
	foreign := false
	for i, p := range packages {
		foreign = foreign || p.foreign
		for _, f := range p.files {
			if f.Mode&syscall.S_IFMT == syscall.S_IFIFO {
				return fmt.Errorf("package %s of component %s has the pipe %s, for which rpm waits for ever when it installs it", p.NEVRA, p.Component, f.Path)
			}
		}
		log.printf("installing %s of component %s (%s)", p.NEVRA, p.Component, filepath.Base(p.Path))
		args = append(args, inputPackage(i))
	}
	inner, cancel := context.WithTimeoutCause(ctx, maxInstall, errInstallTooLong)
	defer cancel()
	for _, argv := range [][]string{args, {"ldconfig"}} {
		log.printf("$ %s", strings.Join(argv, " "))
		// rpm that runs as root gives files to their owners, which fails where there
		// is only one user. As another user it does not try, but then the packages'
		// scripts are not root's either.
		err := s.Run(inner, sandbox.Command{Args: argv, Env: r.env(), Stdout: log, Stderr: log, AsBuilder: foreign && s.OneUser() && argv[0] == "rpm"})
		var exit *sandbox.ExitError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case inner.Err() != nil:
			return fmt.Errorf("installing packages of the module: %w; see %s", errInstallTooLong, log.Path)
		case errors.As(err, &exit):
			return fmt.Errorf("installing packages of the module: %w: %s", err, rpmErrors(log.tailText()))
		case err != nil:
			return err
		}
	}
	return nil
}

// maxInstall bounds what packages' scripts, and rpm itself on odd files, may do.
const maxInstall = 15 * time.Minute

var errInstallTooLong = fmt.Errorf("it has not ended after %v", maxInstall)

// rpmErrors finds the lines of rpm's output that say what is wrong, with the
// indented ones below them; all of it where none does.
func rpmErrors(output string) string {
	var found []string
	for line := range strings.SplitSeq(output, "\n") {
		indented := strings.TrimLeft(line, " \t") != line
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "error: ")
		switch {
		case ok:
			found = append(found, text)
		case indented && len(found) > 0:
			found[len(found)-1] += " " + text
		}
	}
	if len(found) == 0 {
		return output
	}
	return strings.Join(found, "; ")
}

// rpmbuild runs rpmbuild as the builder.
func (r *room) rpmbuild(ctx context.Context, s *sandbox.Session, log *logFile, mode string) error {
	args := []string{"rpmbuild", mode}
	if !r.b.rpmHost {
		args = append(args, "--nodeps")
	}
	args = append(args, specDir+"/"+r.spec)
	log.printf("$ %s", strings.Join(args, " "))
	return s.Run(ctx, sandbox.Command{Args: args, Env: r.env(), Dir: topdir, Stdout: log, Stderr: log, AsBuilder: true})
}
