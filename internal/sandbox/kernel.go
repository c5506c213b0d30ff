package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// devices makes a /dev with the few devices that programs expect.
func (m *mounter) devices() error {
	dev := filepath.Join(m.root, "dev")
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755"); err != nil {
		return explainMount("/dev", err, m.UserNS)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if _, err := os.Stat("/dev/" + name); errors.Is(err, fs.ErrNotExist) {
			continue // in a container
		}
		to := filepath.Join(dev, name)
		if err := os.WriteFile(to, nil, 0o666); err != nil {
			return err
		}
		if err := unix.Mount("/dev/"+name, to, "", unix.MS_BIND, ""); err != nil {
			return explainMount("/dev/"+name, err, m.UserNS)
		}
		// A device is written to all the same; its permissions are the host's.
		if err := m.remount(to, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC); err != nil {
			return err
		}
	}
	for _, dir := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(dev, dir), 0o755); err != nil {
			return err
		}
	}
	err := unix.Mount("tmpfs", filepath.Join(dev, "shm"), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
	if err != nil {
		return explainMount("/dev/shm", err, m.UserNS)
	}
	err = unix.Mount("devpts", filepath.Join(dev, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
	if err != nil {
		return explainMount("/dev/pts", err, m.UserNS)
	}
	links := [][2]string{{"pts/ptmx", "ptmx"}, {"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"},
		{"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}}
	for _, l := range links {
		if err := os.Symlink(l[0], filepath.Join(dev, l[1])); err != nil {
			return err
		}
	}
	return nil
}

// kernelFiles mounts /proc for the new PID namespace, and /sys read-only.
func (m *mounter) kernelFiles() error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", filepath.Join(m.root, "proc"), "proc", flags, ""); err != nil {
		return explainMount("/proc", err, m.UserNS)
	}
	// A container may hide parts of /sys; then ours is empty, which few builds notice.
	if err := unix.Mount("sysfs", filepath.Join(m.root, "sys"), "sysfs", flags|unix.MS_RDONLY, ""); err != nil {
		m.notes = append(m.notes, fmt.Sprintf("/sys is empty in the sandbox: %v", err))
	}
	return nil
}

// enter makes the new tree the root and lets go of the host's. The program file
// of this process is still the host's and can be reached through /proc, so the
// host's mounts become read-only first.
func (m *mounter) enter() error {
	old := filepath.Join(m.root, ".host")
	if err := os.Mkdir(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(m.root, old); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	err := unix.MountSetattr(unix.AT_FDCWD, "/.host", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.12
		err = m.remount("/.host", unix.MS_RDONLY)
	}
	if err != nil {
		return explainMount("the host read-only", err, m.UserNS)
	}
	if err := unix.Unmount("/.host", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("letting go of the host's file system: %w", err)
	}
	return os.Remove("/.host")
}

// hideKernelFiles takes away the files through which root could change the
// machine, for which the kernel asks for no capability, only for root.
func (m *mounter) hideKernelFiles() error {
	for _, path := range []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/mtrr",
		"/proc/acpi", "/proc/asound", "/proc/driver", "/proc/dynamic_debug", "/proc/pressure", "/proc/scsi", "/proc/tty"} {
		err := unix.Mount(path, path, "", unix.MS_BIND, "")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return explainMount(path, err, m.UserNS)
		}
		if err := m.remount(path, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC); err != nil {
			return err
		}
	}
	for _, path := range []string{"/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/latency_stats", "/proc/sched_debug", "/proc/timer_list",
		"/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/slabinfo", "/proc/vmallocinfo"} {
		err := unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return explainMount(path, err, m.UserNS)
		}
	}
	return nil
}

// putFiles writes what the caller gave, and the builder into the list of users.
func (m *mounter) putFiles() error {
	for _, f := range m.Files {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return err
		}
		if err := replaceFile(f.Path, f.Data, f.Mode); err != nil {
			return err
		}
	}
	user := fmt.Sprintf("%s:x:%d:%d::/builddir:/bin/sh\n", BuilderName, BuilderID, BuilderID)
	group := fmt.Sprintf("%s:x:%d:\n", BuilderName, BuilderID)
	for path, line := range map[string]string{"/etc/passwd": user, "/etc/group": group} {
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
			data = append(data, '\n')
		}
		if err := replaceFile(path, append(data, line...), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile writes a new file: an ordinary user cannot open for writing one
// that the host's root owns, but can take it away in an own directory.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// identity names the machine, brings up the loopback device, and leaves our
// session's keys behind; those of our user are out of reach by denyCalls.
func (m *mounter) identity() error {
	if err := unix.Sethostname([]byte(Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	// Not every kernel or container has keyrings; then there is nothing to leave.
	_, _ = unix.KeyctlJoinSessionKeyring("")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bringing up the loopback device: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("bringing up the loopback device: %w", err)
	}
	return nil
}
