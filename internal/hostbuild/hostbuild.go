// Package hostbuild builds components with the host's own rpmbuild, each in a
// sandbox over the host's file system (see internal/sandbox).
//
// What a component's BuildRequires need of the module is installed into the
// sandbox with real rpm first. The rest must be there on the host: where rpm is
// the host's package manager that is checked against its database, elsewhere it
// is assumed. Neither the host's files nor its database change.
//
//	b, err := hostbuild.New(hostbuild.Options{WorkDir: "/var/tmp/work", Log: log})
//	if err != nil {
//		return err
//	}
//	if err := b.Prepare(ctx, jobs); err != nil {
//		return err
//	}
//	result, err := b.Build(ctx, jobs[0])
package hostbuild

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/command"
	"github.com/kojimod/kojimod/internal/sandbox"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// Options says how to build. Only WorkDir is needed.
type Options struct {
	// WorkDir is an existing directory for what is needed while building. What
	// killed runs have left there is removed.
	WorkDir string

	Log *slog.Logger // nil for none

	// Hide are directories below /var or /opt that builds must not see, such as the
	// user's home; others are passed over. What not everybody may read below /etc,
	// /opt and /var is hidden anyway, and nothing of /home, /root and the like is
	// there.
	Hide []string

	// MaxLog is how large a build.log may grow, in bytes; a build that prints
	// more is ended. 0 stands for 1 GiB.
	MaxLog int64

	// MaxParse is how long reading one spec file may take: the programs that it
	// names run then. 0 stands for two minutes.
	MaxParse time.Duration
}

// A Builder is the modulebuild.Builder of this host.
type Builder struct {
	work   string
	log    *slog.Logger
	maxLog int64
	hide   []string // absolute, without links

	maxParse time.Duration
	arch     string // what rpmbuild builds for by itself
	libdir   string // rpm's %_libdir
	rpmdb    string // directory of the host's RPM database
	rpmHost  bool   // packages of this host are RPMs
}

var _ modulebuild.Builder = (*Builder)(nil)

// New looks at the host and removes what killed runs have left in the work
// directory. The error says what is missing and how to get it; one that is for
// the user to mend is a *modulebuild.InputError.
func New(opts Options) (*Builder, error) {
	work, err := filepath.Abs(opts.WorkDir)
	if err != nil || opts.WorkDir == "" {
		return nil, errors.New("building on this host: no work directory given")
	}
	b := &Builder{work: work, log: opts.Log, maxLog: opts.MaxLog}
	for _, dir := range opts.Hide {
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, fmt.Errorf("building on this host: %w", err)
		}
		// Homes of system users can be anything; software is not hidden.
		if real, err := filepath.EvalSymlinks(dir); err == nil && (below(real, "/var") || below(real, "/opt")) {
			b.hide = append(b.hide, real)
		}
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.maxLog <= 0 {
		b.maxLog = 1 << 30
	}
	b.maxParse = opts.MaxParse
	if b.maxParse <= 0 {
		b.maxParse = 2 * time.Minute
	}
	for _, program := range []string{"rpm", "rpmbuild", "rpmspec"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is needed to build on this host; install it with \"dnf install rpm-build\" or \"apt-get install rpm\": %w", program, err)
		}
	}
	if err := sandbox.Sweep(work); err != nil {
		b.log.Warn("cannot remove what an earlier run left", "dir", work, "error", err)
	}
	if err := b.inspect(); err != nil {
		return nil, fmt.Errorf("building on this host: %w", err)
	}
	return b, nil
}

func below(path, dir string) bool { return strings.HasPrefix(path, dir+"/") }

// hostRPM is the system's rpm with the system's settings, as the sandbox has it:
// not the user's macros, and no other rpm in the user's path.
func hostRPM(args ...string) *exec.Cmd {
	cmd := exec.Command("rpm", args...)
	for _, dir := range filepath.SplitList(sandbox.Path) {
		if path := filepath.Join(dir, "rpm"); isProgram(path) {
			cmd = exec.Command(path, args...)
			break
		}
	}
	cmd.Env = []string{"HOME=/nonexistent", "PATH=" + sandbox.Path, "LC_ALL=C"}
	return cmd
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// inspect asks rpm for what it is set to.
func (b *Builder) inspect() error {
	ctx := context.Background()
	out, err := command.Output(ctx, hostRPM("--eval", "%{_target_cpu}\n%{_libdir}\n%{_dbpath}"))
	if err != nil {
		return err
	}
	fields := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(fields) != 3 {
		return fmt.Errorf("rpm --eval does not tell architecture, library and database directory: %q", out)
	}
	b.arch, b.libdir, b.rpmdb = fields[0], fields[1], fields[2]

	rc, err := command.Output(ctx, hostRPM("--showrc"))
	if err != nil {
		return err
	}
	if !strings.Contains(string(rc), "/etc/rpm/macros.*") {
		return errors.New("this rpm does not read macros from /etc/rpm/macros.* (rpm --showrc shows its macro path)")
	}
	// rpm -qa would make an empty database where there is none.
	if entries, err := os.ReadDir(b.rpmdb); err == nil && len(entries) > 0 {
		names, err := command.Output(ctx, hostRPM("-qa", "--qf", "%{NAME}\n"))
		if err != nil {
			return err
		}
		for name := range strings.Lines(string(names)) {
			b.rpmHost = b.rpmHost || strings.TrimSpace(name) != "gpg-pubkey"
		}
	}
	return nil
}

// distribution names the host's, as os-release(5) does.
func distribution() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "unknown"
	}
	value := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			value[k] = strings.Trim(v, `"'`)
		}
	}
	id := value["ID"]
	if v := value["VERSION_ID"]; v != "" {
		id += "-" + v
	}
	if id == "" {
		return "unknown"
	}
	return id
}

// Name is "host:", the distribution and the architecture: "host:fedora-42-x86_64".
func (b *Builder) Name() string { return Name(b.arch) }

func (b *Builder) checkArch(job modulebuild.Job) error {
	if job.Arch == b.arch || job.Arch == "noarch" || job.Arch == "" {
		return nil
	}
	return &modulebuild.InputError{Where: "component " + job.Component,
		Msg: fmt.Sprintf("cannot build for %s on this host, which builds for %s; use mock with a configuration for it", job.Arch, b.arch)}
}
