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

// overlaid are the directories at the top of the file system that hold software
// and that packages install into. On most systems some of them are symbolic
// links into others.
var overlaid = []string{"bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr", "var"}

// empty are directories that every system has and that a build has no business in.
var empty = []string{"boot", "home", "media", "mnt", "root", "run", "srv"}

// A mounter puts the sandbox's file system together, in the session's mount
// namespace. Paths of the host are as usual until enter; the new tree grows
// below root.
type mounter struct {
	setup
	root  string          // where the new tree grows
	layer string          // has the overlays' upper and work directories
	below map[string]bool // mount points on the host
	count int
	notes []string
}

func (m *mounter) run() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return explainMount("/", err, m.UserNS)
	}
	m.root = filepath.Join(m.Dir, "root")
	m.layer = filepath.Join(m.Dir, "layer")
	steps := []func() error{m.readMounts, m.makeRoot, m.makeLayer, m.overlays, m.binds,
		m.devices, m.kernelFiles, m.hidePrivate, m.enter, m.hideKernelFiles, m.putFiles, m.identity}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// readMounts learns where else something is mounted: an overlay shows only the
// one file system of its lower directory, and an ordinary user's kernel refuses
// one with mounts below it.
func (m *mounter) readMounts() error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	m.below = make(map[string]bool)
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 {
			m.below[unescape.Replace(f[4])] = true
		}
	}
	return nil
}

func (m *mounter) hasMountsBelow(dir string) bool {
	for p := range m.below {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

func (m *mounter) makeRoot() error {
	for _, dir := range []string{m.root, m.layer} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("tmpfs", m.root, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=0755"); err != nil {
		return explainMount("a tmpfs", err, m.UserNS)
	}
	for _, name := range append([]string{"dev", "proc", "sys", "tmp"}, empty...) {
		if err := os.Mkdir(filepath.Join(m.root, name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// makeLayer finds a place for what gets written: the work directory, or memory
// where the work directory's file system cannot be written through an overlay
// (being one itself, or a network's).
func (m *mounter) makeLayer() error {
	first := m.tryLayer()
	if first == nil {
		return nil
	}
	if err := unix.Mount("tmpfs", m.layer, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=0755"); err != nil {
		return explainMount("a tmpfs", err, m.UserNS)
	}
	if err := m.tryLayer(); err != nil {
		return explainMount("an overlay", err, m.UserNS)
	}
	m.notes = append(m.notes, fmt.Sprintf("overlays do not work on the file system of %s (%v): installed packages are kept in memory", m.Dir, first))
	return nil
}

func (m *mounter) tryLayer() error {
	for _, name := range []string{"try", "try/lower", "try/mnt", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(m.layer, name), 0o755); err != nil && !os.IsExist(err) {
			return err
		}
	}
	mnt := filepath.Join(m.layer, "try/mnt")
	if err := m.overlay(filepath.Join(m.layer, "try/lower"), mnt); err != nil {
		return err
	}
	// Some file systems mount as an upper layer and then fail on the first write.
	err := os.WriteFile(filepath.Join(mnt, "file"), nil, 0o644)
	if umountErr := unix.Unmount(mnt, 0); err == nil {
		err = umountErr
	}
	return err
}

// overlay mounts one overlay with a new upper directory, into which those of
// Writable that are below lower are made first.
func (m *mounter) overlay(lower, target string) error {
	m.count++
	upper := fmt.Sprintf("upper/%d", m.count)
	work := fmt.Sprintf("work/%d", m.count)
	// Relative paths, because a comma or colon in ours would end the option.
	if err := os.Chdir(m.layer); err != nil {
		return err
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	if err := m.makeUpper(lower, upper); err != nil {
		return err
	}
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`)
	opts := "lowerdir=" + escape.Replace(lower) + ",upperdir=" + upper + ",workdir=" + work
	if m.UserXattr {
		opts += ",userxattr"
	}
	return unix.Mount("overlay", target, "overlay", unix.MS_NODEV|unix.MS_NOSUID, opts)
}

func (m *mounter) makeUpper(lower, upper string) error {
	if err := mkdirLike(upper, lower); err != nil {
		return err
	}
	if !m.UserNS {
		return nil // root can write everywhere
	}
	for _, dir := range m.writable() {
		real := resolve(dir)
		rest, ok := strings.CutPrefix(real, lower+"/")
		if !ok {
			continue
		}
		up, low := upper, lower
		for part := range strings.SplitSeq(rest, "/") {
			up, low = filepath.Join(up, part), filepath.Join(low, part)
			if err := mkdirLike(up, low); err != nil {
				return err
			}
		}
	}
	return nil
}

// writable are the directories that files are made in: those that the caller
// named, and those of the files that we put there ourselves.
func (m *mounter) writable() []string {
	dirs := append([]string(nil), m.Writable...)
	for _, f := range m.Files {
		dirs = append(dirs, filepath.Dir(f.Path))
	}
	return dirs
}

// mkdirLike makes dir with the permissions of like, or 0755 where there is no
// such directory. The owner can always write.
func mkdirLike(dir, like string) error {
	mode := os.FileMode(0o755)
	if info, err := os.Stat(like); err == nil && info.IsDir() {
		mode = info.Mode() & (os.ModePerm | os.ModeSticky)
	}
	mode |= 0o700
	if err := os.Mkdir(dir, mode); err != nil {
		if os.IsExist(err) {
			return nil
		}
		return err
	}
	return os.Chmod(dir, mode) // regardless of the umask
}

// resolve follows symbolic links in as much of path as exists.
func resolve(path string) string {
	rest := ""
	for p := path; ; p = filepath.Dir(p) {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			return filepath.Join(real, rest)
		}
		if p == "/" {
			return path
		}
		rest = filepath.Join(filepath.Base(p), rest)
	}
}

func (m *mounter) overlays() error {
	for _, name := range overlaid {
		path := "/" + name
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			if err := m.symlink(path); err != nil {
				return err
			}
		case info.IsDir():
			if err := m.cover(path, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *mounter) symlink(path string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return err
	}
	return os.Symlink(to, m.root+path)
}

// maxSplit is how deep a directory with mounts below it is taken apart. What is
// mounted deeper down is not software that a build needs, but containers' data.
const maxSplit = 3

// cover shows the host's directory path in the sandbox. One with something
// mounted below it becomes a plain directory, and its entries are shown one by one.
func (m *mounter) cover(path string, depth int) error {
	target := m.root + path
	if err := mkdirLike(target, path); err != nil {
		return err
	}
	if !m.hasMountsBelow(path) {
		if err := m.overlay(path, target); err != nil {
			return explainMount(path, err, m.UserNS)
		}
		return nil
	}
	if depth > maxSplit {
		m.notes = append(m.notes, path+" is empty in the sandbox: it has other file systems below it")
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := m.coverEntry(filepath.Join(path, e.Name()), e, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// maxCopied is the size up to which files beside a mount are copied, so that
// they can be written; larger ones are read-only.
const maxCopied = 1 << 20

func (m *mounter) coverEntry(path string, e fs.DirEntry, depth int) error {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		return m.symlink(path)
	case e.IsDir():
		err := m.cover(path, depth)
		if errors.Is(err, fs.ErrPermission) { // not for us, so not for the build
			return nil
		}
		return err
	case e.Type().IsRegular():
		info, err := e.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		if info.Size() > maxCopied {
			return m.bind(path, path, false)
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(m.root+path, data, info.Mode().Perm())
	}
	return nil // sockets, pipes, devices
}
