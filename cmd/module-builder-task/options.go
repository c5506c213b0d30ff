package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kojimod/kojimod/internal/hostbuild"
	"github.com/kojimod/kojimod/internal/localbuild"
	"github.com/kojimod/kojimod/internal/mockbuild"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// options are the flags that build and plan share: what to build.
type options struct {
	output          string
	builder, root   string
	srpmDir         string
	srpms           []string
	lookaside       string
	platform, arch  string
	enable          []string
	version         string
	context         string
	defaultProfiles []string
	defaultStream   bool
}

func (o *options) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVarP(&o.output, "output", "o", "", "`DIR` for repository, logs and report (default ./NAME-STREAM)")
	f.StringVar(&o.builder, "builder", "", "where to build, `mock|host` (default mock where \"mock --version\" answers, else host)")
	f.StringVar(&o.root, "root", "", "mock `CONFIG`, by name or as the path of a .cfg file (default mock's own)")
	f.StringVar(&o.srpmDir, "srpms", "", "`DIR` with source packages of components")
	f.StringArrayVar(&o.srpms, "srpm", nil, "what component NAME is built from, a source package or a directory with a spec (`NAME=PATH`); repeatable")
	f.StringVar(&o.lookaside, "lookaside", "", "base `URL` of the lookaside cache that has the sources of dist-git repositories")
	f.StringVar(&o.platform, "platform", "", "platform that is built for, as platform:f42 (`NAME:STREAM`; default what the document or this host names)")
	f.StringVar(&o.arch, "arch", "", "architecture to build for (`ARCH`; default this host's)")
	f.StringArrayVar(&o.enable, "enable", nil, "module that must be enabled to build (`NAME:STREAM`); repeatable")
	f.StringVar(&o.version, "version", "", "module version (`NUMBER`; default the document's, else from the commit's time, else from the time of the first run)")
	f.StringVar(&o.context, "context", "", "module context; of a document with several, the one to build (`CONTEXT`; default the document's, else computed)")
	f.StringArrayVar(&o.defaultProfiles, "default-profile", nil, "profile that is installed where none is named (`NAME`; default those the document marks, else \"default\", \"common\" or the only one); repeatable")
	f.BoolVar(&o.defaultStream, "default-stream", false, "make the stream the default of its module")
}

// config checks the flags and turns them into what the library takes.
func (o *options) config(ctx context.Context, flags *pflag.FlagSet, source string, log *slog.Logger) (localbuild.Config, error) {
	var empty []string
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.String() == "" {
			empty = append(empty, "--"+f.Name)
		}
	})
	if len(empty) > 0 {
		return localbuild.Config{}, usageError{fmt.Errorf("%s: the value is empty", strings.Join(empty, ", "))}
	}
	cfg := localbuild.Config{
		Source: source, Output: o.output, SRPMDir: o.srpmDir, Lookaside: o.lookaside,
		Context: modulemd.Context(o.context), Arch: o.arch, HostPlatform: hostPlatform(),
		DefaultProfiles: o.defaultProfiles, DefaultStream: o.defaultStream,
		SRPMs: map[string]string{}, Log: log, Now: time.Now,
	}
	if cfg.Arch == "" {
		cfg.Arch = hostArch()
	}
	for _, s := range o.srpms {
		name, path, ok := strings.Cut(s, "=")
		if !ok || name == "" || path == "" {
			return cfg, usageError{fmt.Errorf("--srpm %s: write NAME=PATH", s)}
		}
		if old, ok := cfg.SRPMs[name]; ok {
			return cfg, usageError{fmt.Errorf("--srpm %s: component %s is given twice, %s is the first", s, name, old)}
		}
		cfg.SRPMs[name] = path
	}
	if o.platform != "" {
		m, err := modulebuild.ParseModuleStream(o.platform)
		if err != nil {
			return cfg, usageError{fmt.Errorf("--platform: %w", err)}
		}
		if m.Name != modulebuild.PlatformModule {
			return cfg, usageError{fmt.Errorf("--platform %s: the platform module is called %q", o.platform, modulebuild.PlatformModule)}
		}
		cfg.Platform = &m
	}
	seen := map[string]string{}
	for _, e := range o.enable {
		m, err := modulebuild.ParseModuleStream(e)
		if err != nil {
			return cfg, usageError{fmt.Errorf("--enable: %w", err)}
		}
		if old, ok := seen[m.Name]; ok && old != m.Stream {
			return cfg, usageError{fmt.Errorf("--enable %s: a module has one stream, and %s:%s is asked for as well", e, m.Name, old)}
		}
		if m.Name == modulebuild.PlatformModule {
			return cfg, usageError{fmt.Errorf("--enable %s: the platform is chosen with --platform", e)}
		}
		seen[m.Name] = m.Stream
		cfg.Enable = append(cfg.Enable, m)
	}
	if o.version != "" {
		v, err := strconv.ParseUint(o.version, 10, 64)
		if err != nil || v == 0 {
			return cfg, usageError{fmt.Errorf("--version %s: a version is a number from 1 to 18446744073709551615", o.version)}
		}
		cfg.Version = v
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		n, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || n < 0 || n > math.MaxUint32 {
			return cfg, usageError{fmt.Errorf("SOURCE_DATE_EPOCH=%s: it is a number of seconds since 1970, up to %d", epoch, uint32(math.MaxUint32))}
		}
		cfg.Epoch = time.Unix(n, 0)
	}
	return cfg, o.chooseBuilder(ctx, &cfg)
}

// chooseBuilder is the one place that knows which Builders there are.
func (o *options) chooseBuilder(ctx context.Context, cfg *localbuild.Config) error {
	builder := o.builder
	if builder == "" {
		builder = "host"
		if mockbuild.Available(ctx) {
			builder = "mock"
		}
	}
	switch builder {
	case "mock":
		cfg.BuilderName = mockbuild.Name(o.root)
		cfg.NewBuilder = func(plan *modulebuild.Plan, _, dir string) (modulebuild.Builder, error) {
			emulate := cfg.Arch
			if runsHere(cfg.Arch) {
				emulate = ""
			}
			return mockbuild.New(mockbuild.Options{Root: o.root, Arch: emulate, Enable: plan.Enable, Dir: dir, Log: cfg.Log})
		}
	case "host":
		if o.root != "" {
			return usageError{fmt.Errorf("--root %s: the host builder has no roots; it belongs to --builder mock", o.root)}
		}
		if cfg.Arch != hostArch() {
			return usageError{fmt.Errorf("--arch %s: the host builder builds for this host, which is %s; mock can build for others", cfg.Arch, hostArch())}
		}
		cfg.BuilderName = hostbuild.Name(cfg.Arch)
		cfg.NewBuilder = func(_ *modulebuild.Plan, output, dir string) (modulebuild.Builder, error) {
			return hostbuild.New(hostbuild.Options{WorkDir: dir, Hide: append(homes(), output), Log: cfg.Log})
		}
	default:
		return usageError{fmt.Errorf("--builder %s: there are mock and host", builder)}
	}
	return nil
}

// hostArch is RPM's name for the architecture of this program.
func hostArch() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "386":
		return "i686"
	case "arm64":
		return "aarch64"
	case "arm":
		return "armv7hl"
	}
	return runtime.GOARCH // ppc64le, s390x, riscv64 are called alike
}

// homes are the directories that are this user's: what the environment says, and
// what the list of users says.
func homes() []string {
	var dirs []string
	if dir, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, dir)
	}
	if u, err := user.Current(); err == nil {
		dirs = append(dirs, u.HomeDir)
	}
	return dirs
}

// runsHere tells the architectures whose programs this host runs by itself.
func runsHere(arch string) bool {
	switch host := hostArch(); host {
	case "x86_64":
		return arch == host || arch == "i686" || arch == "i586" || arch == "i386"
	default:
		return arch == host
	}
}

// hostPlatform is the platform stream that os-release names, as
// PLATFORM_ID="platform:f42"; empty where it names none.
func hostPlatform() string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			value, ok := strings.CutPrefix(line, "PLATFORM_ID=")
			if !ok {
				continue
			}
			m, err := modulebuild.ParseModuleStream(strings.Trim(strings.TrimSpace(value), `"'`))
			if err == nil && m.Name == modulebuild.PlatformModule {
				return m.Stream
			}
		}
		return ""
	}
	return ""
}
