// Package atomicfile writes files that a reader sees whole or not at all.
//
// A file is written under a temporary name in its own directory, synced, and
// renamed; then the directory is synced, so that after a power cut the new name
// never points to an empty file.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// prefix marks temporary files, so that those of a killed run can be told from
// others and removed. It is not followed by the file's own name, which may be as
// long as names can be.
const prefix = ".tmp-"

// A File is a file under construction. Write to it, then call Commit; Close
// without Commit leaves no trace.
type File struct {
	*os.File
	path string
	done bool
}

// Create starts a file that Commit will put at path, with permissions perm less
// the umask.
func Create(path string, perm os.FileMode) (*File, error) {
	f, err := createTemp(filepath.Dir(path), perm)
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

func createTemp(dir string, perm os.FileMode) (*os.File, error) {
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if err == nil || !errors.Is(err, fs.ErrExist) || i > 10_000 {
			return f, err
		}
	}
}

// Commit syncs the file and gives it its name.
func (f *File) Commit() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.File.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.done = true
	return SyncDir(filepath.Dir(f.path))
}

// Close removes the file unless it was committed.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	f.done = true
	err := f.File.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if rmErr := os.Remove(f.Name()); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
		return rmErr
	}
	return err
}

// Write puts data at path, whole or not at all.
func Write(path string, data []byte, perm os.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// Link puts the file from at path as well, as a link, or as a copy with the same
// permissions and time where there can be no link.
func Link(from, path string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if there, err := os.Lstat(path); err == nil && os.SameFile(info, there) {
		return nil
	}
	err = link(from, path)
	for _, cannot := range []error{syscall.EXDEV, syscall.EPERM, syscall.EMLINK, syscall.ENOTSUP, syscall.ENOSYS} {
		if errors.Is(err, cannot) {
			return copyFile(from, path, info)
		}
	}
	return err
}

func link(from, path string) error {
	for i := 0; ; i++ {
		tmp := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%d-l%d", prefix, os.Getpid(), i))
		err := os.Link(from, tmp)
		if errors.Is(err, fs.ErrExist) && i < 10_000 {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.Rename(tmp, path); err != nil {
			return errors.Join(err, os.Remove(tmp))
		}
		return SyncDir(filepath.Dir(path))
	}
}

func copyFile(from, path string, info fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := Create(path, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := os.Chtimes(out.Name(), info.ModTime(), info.ModTime()); err != nil {
		return err
	}
	return out.Commit()
}

// MkdirAll is os.MkdirAll with directories that outlast a power cut.
func MkdirAll(dir string, perm os.FileMode) error {
	dir = filepath.Clean(dir)
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(dir, perm); err != nil {
		return err
	}
	for _, d := range missing {
		if err := SyncDir(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return nil
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Sweep removes from dir the temporary files that killed runs have left. The
// caller must hold whatever lock keeps other writers out of dir.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
