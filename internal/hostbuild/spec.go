package hostbuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/rpmver"
	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/internal/sandbox"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// A specInfo is what a spec file says before anything is built.
type specInfo struct {
	name     string
	requires []rpmfile.Dependency // BuildRequires
	provides []rpmfile.Dependency // of all its packages, as far as written there
	dynamic  bool                 // has %generate_buildrequires
}

// Query formats: a line for the package, then one for each dependency with its
// fields divided by tabs, which no field can have.
const (
	requireFormat = "%{NAME}\n[%{REQUIRENAME}\t%{REQUIREFLAGS}\t%{REQUIREVERSION}\n]"
	provideFormat = "%{NAME}\n[%{PROVIDENAME}\t%{PROVIDEFLAGS}\t%{PROVIDEVERSION}\n]"
)

// unpack puts a source package's content into SPECS and SOURCES. The builder
// does that, not root: a source package is as little trusted as what is in it.
func (r *room) unpack(ctx context.Context, s *sandbox.Session, out *logFile) error {
	if r.job.SRPM == "" || r.spec != "" {
		return nil
	}
	var said limited
	args := []string{"rpm", "--install", "--nosignature", "--define", "_dbpath " + topdir + "/.rpmdb", srpmPath}
	if out != nil {
		out.printf("$ %s", strings.Join(args, " "))
	}
	err := s.Run(ctx, sandbox.Command{Args: args, Env: r.env(), Dir: topdir, Stdout: &said, Stderr: &said, AsBuilder: true})
	if out != nil {
		_, _ = out.Write([]byte(said.String()))
	}
	var exit *sandbox.ExitError
	if errors.As(err, &exit) {
		return &modulebuild.InputError{Where: r.job.SRPM, Msg: "cannot unpack the source package", Err: errors.New(firstLines(said.String()))}
	}
	if err != nil {
		return err
	}
	if err := r.root.Remove(strings.TrimPrefix(srpmPath, "/")); err != nil {
		return err
	}
	return r.findSpec()
}

// readSpec asks rpm about the spec file, in the sandbox: reading one runs the
// programs that it names. After an error the sandbox may be over.
func (r *room) readSpec(ctx context.Context, s *sandbox.Session) (*specInfo, error) {
	inner, cancel := context.WithTimeout(ctx, r.b.maxParse)
	defer cancel()
	info, err := r.askSpec(inner, s)
	if err != nil && ctx.Err() == nil && inner.Err() != nil {
		return nil, r.badSpec(fmt.Sprintf("reading it takes longer than %v", r.b.maxParse))
	}
	return info, err
}

func (r *room) askSpec(ctx context.Context, s *sandbox.Session) (*specInfo, error) {
	spec := specDir + "/" + r.spec
	source, err := r.query(ctx, s, "--srpm", "--qf", requireFormat, spec)
	if err != nil {
		return nil, err
	}
	info := &specInfo{}
	names, deps, err := parseQuery(source)
	if err != nil || len(names) != 1 {
		return nil, r.badSpec(fmt.Sprintf("rpmspec printed what is no list of dependencies (%v): %.200q", err, source))
	}
	info.name, info.requires = names[0], deps
	binary, err := r.query(ctx, s, "--qf", provideFormat, spec)
	if err != nil {
		return nil, err
	}
	names, deps, err = parseQuery(binary)
	if err != nil {
		return nil, r.badSpec(fmt.Sprintf("rpmspec printed what is no list of dependencies (%v): %.200q", err, binary))
	}
	info.provides = deps
	for _, n := range names {
		info.provides = append(info.provides, rpmfile.Dependency{Name: n})
	}
	text, err := r.query(ctx, s, "-P", spec)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == "%generate_buildrequires" {
			info.dynamic = true
		}
	}
	if len(r.job.Names) > 0 && !slices.Contains(r.job.Names, info.name) {
		return nil, &modulebuild.InputError{Where: "component " + r.job.Component,
			Msg: fmt.Sprintf("its spec file %s is of package %s, but should be of %s", r.spec, info.name, strings.Join(r.job.Names, " or "))}
	}
	return info, nil
}

func (r *room) badSpec(why string) error {
	where := r.job.Spec
	if where == "" {
		where = r.job.SRPM + " (" + r.spec + ")"
	}
	return &modulebuild.InputError{Where: where, Msg: "rpm cannot read the spec file of component " + r.job.Component, Err: errors.New(why)}
}

// query runs rpmspec and gives what it printed.
func (r *room) query(ctx context.Context, s *sandbox.Session, args ...string) (string, error) {
	var out, said limited
	argv := []string{"rpmspec"}
	if args[0] != "-P" {
		argv = append(argv, "-q")
	}
	err := s.Run(ctx, sandbox.Command{Args: append(argv, args...), Env: r.env(), Dir: topdir,
		Stdout: &out, Stderr: &said, AsBuilder: true})
	var exit *sandbox.ExitError
	if errors.As(err, &exit) {
		return "", r.badSpec(firstLines(said.String()))
	}
	if err == nil && out.over {
		return "", r.badSpec(fmt.Sprintf("it yields more than %d MiB", maxQuery>>20))
	}
	return out.String(), err
}

// parseQuery reads what requireFormat or provideFormat printed.
func parseQuery(text string) (names []string, deps []rpmfile.Dependency, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		f := strings.Split(line, "\t")
		switch {
		case line == "" || f[0] == "(none)":
		case len(f) == 1:
			names = append(names, line)
		case len(f) == 3:
			flags, err := strconv.ParseUint(f[1], 10, 32)
			if err != nil {
				return nil, nil, fmt.Errorf("%q has no flags", line)
			}
			d := rpmfile.Dependency{Name: f[0], Flags: rpmver.Flags(flags), EVR: f[2]}
			if d.Flags&rpmfile.SenseRPMLib == 0 {
				deps = append(deps, d)
			}
		default:
			return nil, nil, fmt.Errorf("%q has %d fields", line, len(f))
		}
	}
	return names, deps, nil
}

// maxQuery bounds what is kept of a program's answer.
const maxQuery = 16 << 20

// limited keeps the first maxQuery bytes. The buffer is not embedded: io.Copy
// would find its ReadFrom and keep everything.
type limited struct {
	buf  bytes.Buffer
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := maxQuery - l.buf.Len()
	l.over = l.over || len(p) > room
	l.buf.Write(p[:min(len(p), room)])
	return len(p), nil
}

func (l *limited) String() string { return l.buf.String() }

// firstLines makes a program's message fit for an error.
func firstLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > tailLines {
		lines = append(lines[:tailLines], "…")
	}
	for i := range lines {
		lines[i] = safetext.Line(lines[i])
	}
	return strings.Join(lines, "\n")
}
