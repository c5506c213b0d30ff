package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// binds shows what the caller asked for, and private directories for temporary
// files, which can grow large and so are on the disk.
func (m *mounter) binds() error {
	binds := append([]Bind(nil), m.Binds...)
	for i, target := range []string{"/tmp", "/var/tmp"} {
		dir := filepath.Join(m.Dir, fmt.Sprintf("tmp%d", i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
			return err
		}
		binds = append(binds, Bind{Source: dir, Target: target, Write: true})
	}
	for _, b := range binds {
		if err := m.bind(b.Source, b.Target, b.Write); err != nil {
			return err
		}
	}
	return nil
}

// bind mounts one directory or file. Below the new root no symbolic link is
// followed: one could lead back to the host.
func (m *mounter) bind(source, target string, write bool) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := m.mountPoint(target, info.IsDir()); err != nil {
		return err
	}
	to := m.root + target
	if err := unix.Mount(source, to, "", unix.MS_BIND, ""); err != nil {
		return explainMount(target, err, m.UserNS)
	}
	flags := uintptr(unix.MS_NODEV | unix.MS_NOSUID)
	if !write {
		flags |= unix.MS_RDONLY
	}
	return m.remount(to, flags)
}

// remount adds flags to those that a bind has from the mount it was made of: a
// user namespace may add to them and not take away.
func (m *mounter) remount(target string, flags uintptr) error {
	var st unix.Statfs_t
	if err := unix.Statfs(target, &st); err != nil {
		return err
	}
	const kept = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC |
		unix.MS_NOATIME | unix.MS_NODIRATIME
	flags |= uintptr(st.Flags) & kept // the ST_ flags have the values of the MS_ ones
	if st.Flags&unix.ST_RELATIME != 0 {
		flags |= unix.MS_RELATIME
	}
	if err := unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
		return explainMount(target, err, m.UserNS)
	}
	return nil
}

func (m *mounter) mountPoint(target string, dir bool) error {
	path := m.root
	parts := strings.Split(strings.TrimPrefix(target, "/"), "/")
	for i, part := range parts {
		path = filepath.Join(path, part)
		info, err := os.Lstat(path)
		last := i == len(parts)-1
		switch {
		case err == nil && info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("cannot mount on %s: %s is a symbolic link", target, strings.TrimPrefix(path, m.root))
		case err == nil:
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case last && !dir:
			err = os.WriteFile(path, nil, 0o644)
		default:
			err = os.Mkdir(path, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
