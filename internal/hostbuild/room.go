package hostbuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/sandbox"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// Paths in the sandbox. They are the same for each build, as they get into
// packages (in debug information, for one).
const (
	home       = "/builddir"
	topdir     = home + "/build"
	specDir    = topdir + "/SPECS"
	sourceDir  = topdir + "/SOURCES"
	database   = "/var/lib/rpm-sandbox"
	macroPath  = "/etc/rpm/macros.zz-modules"
	loaderPath = "/etc/ld.so.conf.d/zz-modules.conf"
	inputDir   = "/input" // packages that get installed, read-only
	srpmPath   = home + "/source.src.rpm"
)

// A room is what one component is built in: a private directory of the host
// that outlasts the sandboxes which see it as /builddir.
type room struct {
	b      *Builder
	job    modulebuild.Job
	dir    *sandbox.Dir
	root   *os.Root // of dir, opened before any foreign code ran: no link leads out of it
	macros []byte
	spec   string // base name of the spec file in SPECS
}

func (b *Builder) newRoom(job modulebuild.Job) (_ *room, err error) {
	if job.Arch == "" {
		job.Arch = b.arch
	}
	if (job.SRPM == "") == (job.Spec == "") {
		return nil, &modulebuild.InputError{Where: "component " + job.Component, Msg: "needs either a source package or a spec file"}
	}
	macros := []byte(modulebuild.FormatMacros(append(b.ownMacros(), job.Macros...)))
	dir, err := sandbox.NewDir(b.work)
	if err != nil {
		return nil, err
	}
	r := &room{b: b, job: job, dir: dir, macros: macros}
	if r.root, err = os.OpenRoot(dir.Path); err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	defer func() {
		if err != nil {
			_ = r.close()
		}
	}()
	for _, d := range []string{home, topdir, specDir, sourceDir, topdir + "/BUILD", topdir + "/RPMS", topdir + "/SRPMS"} {
		if err := os.Mkdir(r.host(d), 0o755); err != nil {
			return nil, err
		}
		if err := sandbox.Give(r.host(d)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *room) close() error { return errors.Join(r.root.Close(), r.dir.Remove()) }

// top opens what the sandbox has as topdir. The builder may have put anything in
// its place.
func (r *room) top() (*os.Root, error) {
	top, err := r.root.OpenRoot(strings.TrimPrefix(topdir, "/"))
	if err != nil {
		return nil, fmt.Errorf("the build has moved its own directory: %w", err)
	}
	return top, nil
}

// host gives the place on the host of /builddir, a path below it, or the
// database.
func (r *room) host(path string) string {
	if path == database {
		return filepath.Join(r.dir.Path, "rpmdb")
	}
	return filepath.Join(r.dir.Path, path)
}

// ownMacros are those that make builds repeatable, and those that the sandbox
// needs. The job's come after them.
func (b *Builder) ownMacros() []modulebuild.Macro {
	own := []modulebuild.Macro{
		{Name: "_topdir", Body: topdir},
		{Name: "_tmppath", Body: "/var/tmp"},
		{Name: "_dbpath", Body: database},
		{Name: "_buildhost", Body: sandbox.Hostname},
		{Name: "use_source_date_epoch_as_buildtime", Body: "1"},
		{Name: "clamp_mtime_to_source_date_epoch", Body: "1"},
		// rpm 4.20 and later name what the one above did "build_mtime_policy".
		{Name: "build_mtime_policy", Body: "clamp_to_source_date_epoch"},
		{Name: "source_date_epoch_from_changelog", Body: "0"},
	}
	if _, err := os.Stat("/bin/bash"); err == nil && !b.rpmHost {
		// Spec files are written for hosts whose sh is bash.
		own = append(own, modulebuild.Macro{Name: "_buildshell", Body: "/bin/bash"})
	}
	return own
}

// env is the whole environment of commands in the sandbox.
func (r *room) env() []string {
	env := []string{
		"HOME=" + home,
		"LANG=C.UTF-8",
		"TZ=UTC",
		"TERM=dumb",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.job.Time.Unix(), 10),
	}
	if !r.b.rpmHost {
		// The compiler and pkg-config of other distributions do not look where
		// rpm installs libraries.
		env = append(env, "LIBRARY_PATH="+r.b.libdir,
			"PKG_CONFIG_PATH="+r.b.libdir+"/pkgconfig:/usr/share/pkgconfig")
	}
	return env
}

// open starts a sandbox for the room, in which packages can be installed.
func (r *room) open(ctx context.Context, packages []*built) (*sandbox.Session, error) {
	db, err := r.prepareDatabase()
	if err != nil {
		return nil, fmt.Errorf("copying the RPM database: %w", err)
	}
	binds := []sandbox.Bind{
		{Source: r.host(home), Target: home, Write: true},
		db,
	}
	writable := map[string]bool{"/etc": true, "/etc/ld.so.conf.d": true, "/var/cache/ldconfig": true, filepath.Dir(database): true}
	for i, p := range packages {
		path, err := filepath.Abs(p.Path)
		if err != nil {
			return nil, err
		}
		binds = append(binds, sandbox.Bind{Source: path, Target: inputPackage(i)})
		for _, f := range p.files {
			if !filepath.IsAbs(f.Path) {
				continue
			}
			if f.IsDir() {
				writable[filepath.Clean(f.Path)] = true
			}
			writable[filepath.Dir(filepath.Clean(f.Path))] = true
		}
	}
	c := sandbox.Config{WorkDir: r.dir.Path, Binds: binds, Hide: r.b.hide, Log: r.b.log, Files: []sandbox.File{
		{Path: macroPath, Data: r.macros, Mode: 0o644},
		{Path: loaderPath, Data: []byte(r.b.libdir + "\n"), Mode: 0o644},
	}}
	for dir := range writable {
		if dir != "/" {
			c.Writable = append(c.Writable, dir)
		}
	}
	sort.Strings(c.Writable)
	return sandbox.Start(ctx, c)
}

func inputPackage(i int) string { return fmt.Sprintf("%s/%d.rpm", inputDir, i) }

// prepareDatabase makes a fresh database: a copy of the host's where that has
// the host's packages, else an empty one.
func (r *room) prepareDatabase() (sandbox.Bind, error) {
	bind := sandbox.Bind{Source: r.host(database), Target: database, Write: true}
	if err := os.RemoveAll(bind.Source); err != nil {
		return bind, err
	}
	if err := os.Mkdir(bind.Source, 0o755); err != nil || !r.b.rpmHost {
		return bind, err
	}
	from, err := os.OpenRoot(r.b.rpmdb)
	if err != nil {
		return bind, err
	}
	defer from.Close()
	return bind, copyFiles(from, bind.Source, 1<<40, func(name string) error { return nil })
}

// fetchSources puts spec file and sources where rpmbuild looks for them. Files
// larger than max stay behind (parsing needs none of them).
func (r *room) fetchSources(max int64) error {
	given := r.job.Spec + r.job.SRPM // one is empty
	dir, name := filepath.Split(given)
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &modulebuild.InputError{Where: given, Msg: "cannot read its directory", Err: err}
	}
	defer root.Close()
	if r.job.SRPM != "" {
		// A copy, since the builder may not be allowed to read the original. It is
		// unpacked in the sandbox.
		if err := copyFile(root, name, r.host(srpmPath)); err != nil {
			return r.cannotRead(given, err)
		}
		return sandbox.Give(r.host(srpmPath))
	}
	r.spec = name
	stamp := func(path string) error {
		if err := os.Chtimes(path, r.job.Time, r.job.Time); err != nil {
			return err
		}
		return sandbox.Give(path)
	}
	if err := copyFiles(root, r.host(sourceDir), max, stamp); err != nil {
		return fmt.Errorf("copying the sources: %w", err)
	}
	to := filepath.Join(r.host(specDir), name)
	if err := copyFile(root, name, to); err != nil {
		return r.cannotRead(given, err)
	}
	// rpm looks for sources in SOURCES alone; the spec is not one of them unless
	// it says so.
	return stamp(to)
}

// cannotRead tells a source that cannot be read from a copy that cannot be written.
func (r *room) cannotRead(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return &modulebuild.InputError{Where: path, Msg: "cannot read the source of component " + r.job.Component, Err: err}
}

// copyFiles copies the regular files at the top of a directory. A symbolic link
// counts as what it leads to, unless that is outside of the directory.
func copyFiles(root *os.Root, to string, max int64, then func(path string) error) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := root.Stat(e.Name())
		if err != nil || !info.Mode().IsRegular() || info.Size() > max {
			continue
		}
		path := filepath.Join(to, e.Name())
		if err := copyFile(root, e.Name(), path); err != nil {
			return err
		}
		if err := then(path); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(root *os.Root, name, to string) (err error) {
	from, err := root.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", name)
	}
	mode := os.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// Modes get into packages, the umask does not.
	if err := f.Chmod(mode); err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return err
}

// findSpec finds the one spec file that unpacking a source package has made.
func (r *room) findSpec() error {
	header, err := rpmfile.ReadFile(r.job.SRPM)
	if err != nil {
		return &modulebuild.InputError{Where: r.job.SRPM, Msg: "cannot read the source package", Err: err}
	}
	if !header.IsSource() {
		return &modulebuild.InputError{Where: r.job.SRPM, Msg: "is not a source package"}
	}
	entries, err := fs.ReadDir(r.root.FS(), strings.TrimPrefix(specDir, "/"))
	if err != nil {
		return err
	}
	var specs []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".spec") {
			specs = append(specs, e.Name())
		}
	}
	if len(specs) != 1 {
		return &modulebuild.InputError{Where: r.job.SRPM, Msg: fmt.Sprintf("has %d spec files, not one", len(specs))}
	}
	r.spec = specs[0]
	return nil
}
