package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where private files are looked for, and how deep: machines keep there what is
// not software. The bounds keep a sandbox from taking long on a host with
// millions of files.
var privateTops = []string{"/etc", "/opt", "/var"}

const (
	privateDepth   = 4
	privateEntries = 200_000
)

// hidePrivate empties what on the host is not for everybody: password hashes,
// keys, other services' data. Root in the sandbox is root outside as well as far
// as reading goes, and packages' scripts run as it; an ordinary user's builds can
// read what that user can.
func (m *mounter) hidePrivate() error {
	for _, dir := range m.Hide {
		info, err := os.Lstat(m.root + dir)
		if err != nil || !info.IsDir() {
			continue // not to be seen in the first place
		}
		if err := m.emptyDir(m.root+dir, info); err != nil {
			return err
		}
	}
	left := privateEntries
	for _, top := range privateTops {
		if err := m.hideBelow(top, privateDepth, &left); err != nil {
			return err
		}
	}
	if left <= 0 {
		m.notes = append(m.notes, fmt.Sprintf("there are more than %d files below %s: not all were looked at for private ones",
			privateEntries, strings.Join(privateTops, ", ")))
	}
	return nil
}

func (m *mounter) hideBelow(dir string, depth int, left *int) error {
	entries, err := os.ReadDir(m.root + dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if *left--; *left < 0 {
			return nil
		}
		path := filepath.Join(dir, e.Name())
		if m.bound(path) || m.isFile(path) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		switch mode := info.Mode(); {
		case mode.IsDir() && mode.Perm()&0o005 != 0o005:
			err = m.emptyDir(m.root+path, info)
		case mode.IsDir() && depth > 1:
			err = m.hideBelow(path, depth-1, left)
		case mode.IsRegular() && mode.Perm()&0o004 == 0:
			err = m.emptyFile(m.root + path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bound tells whether something of ours is mounted at path or below it.
func (m *mounter) bound(path string) bool {
	return path == "/var/tmp" || slices.ContainsFunc(m.Binds, func(b Bind) bool {
		return b.Target == path || strings.HasPrefix(b.Target, path+"/")
	})
}

// isFile tells whether the caller puts a file at path.
func (m *mounter) isFile(path string) bool {
	return slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == path })
}

// emptyDir mounts an empty directory over one, with the same owner and
// permissions.
func (m *mounter) emptyDir(path string, info fs.FileInfo) error {
	if m.UserNS && unix.Access(path, unix.R_OK|unix.X_OK) != nil {
		return nil // not for us either
	}
	opts := fmt.Sprintf("mode=%04o", info.Mode().Perm())
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !m.UserNS {
		opts += fmt.Sprintf(",uid=%d,gid=%d", st.Uid, st.Gid)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, opts); err != nil {
		return explainMount(path, err, m.UserNS)
	}
	return nil
}

// emptyFile leaves nothing of a file but its name, owner and permissions. An
// overlay copies no data for a file that is opened to be cut.
func (m *mounter) emptyFile(path string) error {
	if m.UserNS && unix.Access(path, unix.R_OK) != nil {
		return nil // not for us either
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err == nil {
		return f.Close()
	}
	// An ordinary user cannot change what lies in a directory of the host's root;
	// it can be covered.
	empty := filepath.Join(m.layer, "empty")
	if err := os.WriteFile(empty, nil, 0o444); err != nil {
		return err
	}
	if err := unix.Mount(empty, path, "", unix.MS_BIND, ""); err != nil {
		return explainMount(path, err, m.UserNS)
	}
	return m.remount(path, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC)
}
