package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// remedy is what can always be done.
const remedy = "run as root, or build with mock"

// mayMount tells whether this process may make namespaces and mounts without
// a user namespace of its own: root, with the capabilities that root has outside
// containers, and where the builder's number exists.
func mayMount() bool {
	return os.Geteuid() == 0 && hasSysAdmin() && mapsBuilder("/proc/self/uid_map") && mapsBuilder("/proc/self/gid_map")
}

func hasSysAdmin() bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	const capSysAdmin = 21
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err == nil && caps&(1<<capSysAdmin) != 0
		}
	}
	return false
}

// mapsBuilder tells whether a map of users or groups (see user_namespaces(7))
// has a number for the builder.
func mapsBuilder(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return true // a kernel without user namespaces
	}
	for line := range strings.Lines(string(text)) {
		var inside, outside, size int64
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err == nil && inside <= BuilderID && BuilderID < inside+size {
			return true
		}
	}
	return false
}

// Give makes path the builder's own, so that it can be written where it is
// bound into a sandbox. As an ordinary user it is that already.
func Give(path string) error {
	if !mayMount() {
		return nil
	}
	return os.Lchown(path, BuilderID, BuilderID)
}

// initialUserNS tells whether we are in the user namespace that the machine
// began with, in which overlays can keep their marks in trusted.* attributes.
func initialUserNS() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true // a kernel without user namespaces
	}
	return strings.Join(strings.Fields(string(text)), " ") == "0 0 4294967295"
}

// explainClone says why the namespaces could not be made.
func explainClone(err error, userNS bool) error {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("making namespaces: %w: raise the limit (ulimit -n, ulimit -u)", err)
	}
	if !userNS {
		return fmt.Errorf("this system does not let root make namespaces: %w; in a container, give it CAP_SYS_ADMIN (--privileged), or build with mock elsewhere", err)
	}
	var why string
	switch {
	case sysctl("kernel/unprivileged_userns_clone") == "0":
		why = "sysctl kernel.unprivileged_userns_clone is 0; set it to 1"
	case sysctl("user/max_user_namespaces") == "0":
		why = "sysctl user.max_user_namespaces is 0; set it to 15000 or so"
	case errors.Is(err, syscall.ENOSPC):
		why = "a limit of namespaces is reached; see sysctl user.max_user_namespaces and its neighbours"
	case sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
		why = "AppArmor forbids them; set sysctl kernel.apparmor_restrict_unprivileged_userns to 0"
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES):
		why = "the container or security policy that we run in forbids them"
	default:
		return fmt.Errorf("making namespaces: %w", err)
	}
	// Not wrapped: the kernel's "no space left on device" means its limit of
	// namespaces here, and callers look for full disks.
	return fmt.Errorf("an ordinary user may not make user namespaces here (%v): %s, or %s", err, why, remedy)
}

// explainMount says why something could not be mounted.
func explainMount(what string, err error, userNS bool) error {
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("mounting %s: %w", what, err)
	}
	hint := remedy
	switch {
	case sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1" && userNS:
		hint = "AppArmor forbids it: set sysctl kernel.apparmor_restrict_unprivileged_userns to 0, or " + remedy
	case what == "/proc":
		hint = "the container that we run in hides parts of /proc: start it with --security-opt unmask=/proc/*, or " + remedy
	case userNS:
		hint = "a user namespace can mount overlays from Linux 5.11 on: " + remedy
	default:
		hint = "in a container, give it CAP_SYS_ADMIN (--privileged) and no AppArmor profile"
	}
	return fmt.Errorf("mounting %s is forbidden here (%w): %s", what, err, hint)
}

func sysctl(name string) string {
	text, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
