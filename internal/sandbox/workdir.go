package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// dirPrefix begins the names of the sessions' private directories.
const dirPrefix = "sandbox-"

// A Dir is a private directory that Sweep removes once its process has ended.
type Dir struct {
	Path string
	lock *os.File
}

// NewDir makes a private directory below parent, for what belongs to one
// sandbox and must not outlive a killed process.
func NewDir(parent string) (*Dir, error) {
	path, lock, err := newWorkDir(parent)
	if err != nil {
		return nil, err
	}
	return &Dir{Path: path, lock: lock}, nil
}

// Remove removes the directory and all that is in it. Sessions that use it
// must be closed.
func (d *Dir) Remove() error {
	err := RemoveAll(d.Path)
	d.lock.Close()
	return err
}

// newWorkDir makes a private directory below parent and locks it. The lock is
// held by this process and by the session's first one.
func newWorkDir(parent string) (string, *os.File, error) {
	for range 100 {
		dir, err := os.MkdirTemp(parent, dirPrefix)
		if err != nil {
			return "", nil, err
		}
		lock, err := lockDir(dir)
		if err == nil {
			return dir, lock, nil
		}
		// Sweep of another process took the directory before it was locked.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			return "", nil, err
		}
	}
	return "", nil, fmt.Errorf("cannot make a directory in %s that stays there", parent)
}

// lockDir takes dir's lock, and makes sure that dir is still there then.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_, err = os.Lstat(name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Sweep removes the directories that sessions, and NewDir, of killed processes
// have left in dir. Those of running ones stay.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var all []error
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), dirPrefix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		lock, err := lockDir(path)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = RemoveAll(path)
			lock.Close()
		}
		if err != nil {
			all = append(all, fmt.Errorf("removing what a killed run left: %w", err))
		}
	}
	return errors.Join(all...)
}

// RemoveAll removes a tree as os.RemoveAll does, directories that nobody may
// enter included: overlays and builds leave such. Nothing may run in the tree.
func RemoveAll(path string) error {
	err := os.RemoveAll(path)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	// WalkDir reads a directory after it was visited, so opening it up there is
	// in time. Symbolic links are not directories to it and are left alone.
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
