package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exitCannotRun is the exit status of a command that could not be started, as
// shells have it.
const exitCannotRun = 127

// installerCaps are the capabilities that root keeps in a sandbox: what rpm
// needs to install packages and run their scripts. Nothing among them reaches
// out of the namespaces: no mounting, no device nodes, no tracing, no raw network.
var installerCaps = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SYS_CHROOT,
}

// becomeCommand gives up what the command must not have and turns into it. It
// returns only if that fails.
func becomeCommand() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("sandbox: no command given")
	}
	var r request
	if err := json.Unmarshal([]byte(os.Args[1]), &r); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	// Capabilities belong to threads; the one that calls exec must be the one
	// that has given them up.
	runtime.LockOSThread()
	if err := dropRights(r.Builder); err != nil {
		return fmt.Errorf("sandbox: giving up rights: %w", err)
	}
	syscall.Umask(0o022)
	// A limit of one byte, not of none: only that keeps the kernel from starting the
	// host's program for core dumps, which runs as the host's root (core(5)).
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}); err != nil {
		return fmt.Errorf("sandbox: forbidding core files: %w", err)
	}
	env := r.Env
	path := ""
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			path = p
		}
	}
	if path == "" {
		path = Path
		env = append(env, "PATH="+path)
	}
	if r.Dir != "" {
		if err := os.Chdir(r.Dir); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	if err := os.Setenv("PATH", path); err != nil {
		return err
	}
	program, err := exec.LookPath(r.Args[0])
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return fmt.Errorf("sandbox: %s: %w", program, syscall.Exec(program, r.Args, env))
}

// dropRights leaves the builder nothing, and root the installer's capabilities.
// In both cases no program can gain anything on being executed.
func dropRights(builder bool) error {
	keep := uint64(0)
	if !builder {
		for _, c := range installerCaps {
			keep |= 1 << c
		}
	}
	for c := 0; c < 64; c++ {
		if keep&(1<<c) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if err == unix.EINVAL { // beyond the last that this kernel knows
			break
		}
		// EPERM: an exec without privileges has taken all away already.
		if err != nil && !(err == unix.EPERM && builder) {
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	if builder && os.Geteuid() != BuilderID {
		if err := syscall.Setgroups([]int{}); err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		if err := syscall.Setresgid(BuilderID, BuilderID, BuilderID); err != nil {
			return fmt.Errorf("group: %w", err)
		}
		if err := syscall.Setresuid(BuilderID, BuilderID, BuilderID); err != nil {
			return fmt.Errorf("user: %w", err)
		}
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if err := setCaps(keep); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return denyCalls()
}

// setCaps makes keep the effective and permitted capabilities, and no more of
// them inheritable than none.
func setCaps(keep uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	for i := range data {
		data[i].Permitted &= uint32(keep >> (32 * i))
		data[i].Effective = data[i].Permitted
		data[i].Inheritable = 0
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
