package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/internal/command"
)

// git runs git so that nothing in a repository, a remote or the user's own
// configuration can make it run anything else.
type git struct {
	dir   string // for our configuration and the clones
	log   *slog.Logger
	stall time.Duration
	alone bool // each git in a PID namespace of its own
}

// gitConfig stands in for the user's and the system's configuration. It is a
// file because git drops options of the command line when it starts the other
// side of a local transfer, which needs safe.directory too.
const gitConfig = `[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
[protocol]
	allow = never
[protocol "https"]
	allow = always
[protocol "http"]
	allow = always
[protocol "ssh"]
	allow = always
[protocol "git"]
	allow = always
[protocol "file"]
	allow = always
[transfer]
	fsckObjects = true
; Slips of old programs that many long-lived repositories have in their history.
[fetch "fsck"]
	missingSpaceBeforeDate = warn
	zeroPaddedFilemode = warn
	badTimezone = warn
[gc]
	auto = 0
[maintenance]
	auto = false
[credential]
	helper =
[http]
	lowSpeedLimit = 1
	lowSpeedTime = 60
[advice]
	detachedHead = false
`

// overrides go on every command line, because a repository's own configuration
// is stronger than that of gitConfig.
var overrides = []string{
	"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.attributesFile=/dev/null",
	"-c", "protocol.allow=never",
	"-c", "protocol.https.allow=always", "-c", "protocol.http.allow=always", "-c", "protocol.ssh.allow=always",
	"-c", "protocol.git.allow=always", "-c", "protocol.file.allow=always",
	"-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "credential.helper=",
}

// keptGitEnv is what of the user's GIT_ variables says how to reach a server,
// and nothing else.
var keptGitEnv = []string{
	"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_EXEC_PATH",
}

func newGit(workDir string, log *slog.Logger, stall time.Duration) (*git, error) {
	if workDir == "" {
		workDir = filepath.Join(os.TempDir(), fmt.Sprintf("kojimod-%d", os.Getuid()))
	}
	workDir, err := filepath.Abs(workDir)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, &Error{Subject: "git", Msg: "is not installed; install the package git", Err: err}
	}
	if stall <= 0 {
		stall = defaultStall
	}
	g := &git{dir: filepath.Join(workDir, "git"), log: orDiscard(log), stall: stall, alone: canOwnProcesses()}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for clones: %w", err)
	}
	config := g.configPath()
	if old, err := os.ReadFile(config); err == nil && string(old) == gitConfig {
		return g, nil
	}
	if err := atomicfile.Write(config, []byte(gitConfig), 0o600); err != nil {
		return nil, fmt.Errorf("writing git's configuration: %w", err)
	}
	return g, nil
}

func (g *git) configPath() string { return filepath.Join(g.dir, "config") }

func (g *git) env() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		drop := strings.HasPrefix(name, "GIT_") && !slices.Contains(keptGitEnv, name) ||
			name == "SSH_ASKPASS" || name == "LANGUAGE" || strings.HasPrefix(name, "LC_") || name == "LANG"
		if !drop {
			env = append(env, kv)
		}
	}
	env = append(env,
		"LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+g.configPath(),
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1", "GIT_LFS_SKIP_SMUDGE=1",
	)
	if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		env = append(env, "GIT_SSH_COMMAND=ssh -o BatchMode=yes -o ConnectTimeout=30")
	}
	return env
}

// A gitCall is one run of git.
type gitCall struct {
	url    GitURL // the remote it talks to, if any
	repo   string // --git-dir, if any
	dir    string // -C, if any
	args   []string
	lock   *os.File  // held open by git and all that it starts; may be nil
	stdin  io.Reader // may be nil
	stdout io.Writer // nil: returned, up to 16 MiB
	config []string  // more -c options, name=value
}

// run runs git and returns its output. It ends git when that neither writes nor
// reads anything for the stall time.
func (g *git) run(ctx context.Context, call gitCall) ([]byte, error) {
	args := slices.Clone(overrides)
	for _, c := range call.config {
		args = append(args, "-c", c)
	}
	if call.repo != "" {
		args = append(args, "--git-dir="+call.repo)
	}
	if call.dir != "" {
		args = append(args, "-C", call.dir)
	}
	var files []*os.File // from descriptor 3 on, in git and all that it starts
	if call.lock != nil {
		files = append(files, call.lock)
	}
	if call.url.auth != "" {
		secret, err := secretConfig(call.url.auth)
		if err != nil {
			return nil, err
		}
		defer secret.Close()
		args = append(args, "-c", fmt.Sprintf("include.path=/proc/self/fd/%d", 3+len(files)))
		files = append(files, secret)
	}
	cmd := exec.Command("git", append(args, call.args...)...)
	cmd.Env = g.env()
	cmd.Dir = g.dir
	cmd.Stdin = call.stdin
	cmd.ExtraFiles = files
	if g.alone {
		cmd.SysProcAttr = ownProcesses()
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(g.stall, func() { cancel(errStalled) })
	defer timer.Stop()
	alive := func() { timer.Reset(g.stall) }

	out := &keeper{limit: 16 << 20, alive: alive, over: func() { cancel(errTooMuch) }}
	errs := &keeper{limit: 64 << 10, last: true, alive: alive}
	cmd.Stdout, cmd.Stderr = out, errs
	if call.stdout != nil {
		cmd.Stdout = writerFunc(func(p []byte) (int, error) { alive(); return call.stdout.Write(p) })
	}
	err := command.Run(ctx, cmd)
	if err == nil {
		return out.buf.Bytes(), nil
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStalled):
		return nil, fmt.Errorf("git %s: %w for %v", call.args[0], errStalled, g.stall)
	case errors.Is(cause, errTooMuch):
		return nil, fmt.Errorf("git %s: %w", call.args[0], errTooMuch)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, &gitError{command: call.args[0], stderr: plainText(errs.buf.String()), err: err}
}

// secretConfig is a configuration with a password in it, in memory and without a
// name: command lines, environments and disks can be read by others.
func secretConfig(auth string) (*os.File, error) {
	fd, err := unix.MemfdCreate("git-config", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making room for a password: %w", err)
	}
	f := os.NewFile(uintptr(fd), "git-config")
	// A redirect could take the header to another host, so none is followed. auth
	// is base64 behind a word: nothing in it needs quoting.
	if _, err := fmt.Fprintf(f, "[http]\n\textraHeader = \"Authorization: %s\"\n\tfollowRedirects = false\n", auth); err != nil {
		f.Close()
		return nil, fmt.Errorf("making room for a password: %w", err)
	}
	return f, nil
}

// ownProcesses gives git a PID namespace, so that its helpers end with it, and it
// with us.
func ownProcesses() *syscall.SysProcAttr {
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
	}
}

// canOwnProcesses tells whether this kernel lets us do so.
func canOwnProcesses() bool {
	probe := exec.Command("git", "--version")
	probe.SysProcAttr = ownProcesses()
	return probe.Run() == nil
}

var (
	errStalled = errors.New("no progress")
	errTooMuch = errors.New("it writes more than 16 MiB")
)

// gitError is a failed run of git. It has no command line, because that may be
// long and says nothing to a user.
type gitError struct {
	command string
	stderr  string
	err     error
}

func (e *gitError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("git %s: %v", e.command, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.command, e.stderr)
}

func (e *gitError) Unwrap() error { return e.err }

// plainText makes the standard error of git fit for a message: the last lines,
// without progress and without what a remote could send to a terminal.
func plainText(s string) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		if i := strings.LastIndex(line, "\r"); i >= 0 {
			line = line[i+1:]
		}
		line = strings.Map(func(r rune) rune {
			if isControl(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(line, "?"))
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > 6 {
		lines = lines[len(lines)-6:]
	}
	return strings.Join(lines, "; ")
}

// keeper keeps the beginning, or with last the end, of what is written to it.
type keeper struct {
	buf   bytes.Buffer
	limit int
	last  bool
	alive func()
	over  func() // called when a beginning does not fit
}

func (k *keeper) Write(p []byte) (int, error) {
	k.alive()
	n := len(p)
	if room := k.limit - k.buf.Len(); n > room {
		if !k.last {
			k.buf.Write(p[:max(room, 0)])
			k.over()
			return n, nil
		}
		p = p[max(0, n-k.limit):]
		k.buf.Next(max(0, k.buf.Len()+len(p)-k.limit))
	}
	k.buf.Write(p)
	return n, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
