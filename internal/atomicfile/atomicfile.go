// Package atomicfile writes files that a reader sees whole or not at all.
//
// A file is written under a temporary name in its own directory, synced, and
// renamed; then the directory is synced, so that after a power cut the new name
// never points to an empty file.
package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// prefix marks temporary files, so that those of a killed run can be told from
// others and removed.
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
	dir, base := filepath.Split(path)
	f, err := createTemp(dir, base, perm)
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

func createTemp(dir, base string, perm os.FileMode) (*os.File, error) {
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf("%s%s-%d-%d", prefix, base, os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if err == nil || !os.IsExist(err) || i > 10_000 {
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
	if rmErr := os.Remove(f.Name()); rmErr != nil && !os.IsNotExist(rmErr) {
		return rmErr
	}
	if err != nil && !strings.Contains(err.Error(), os.ErrClosed.Error()) {
		return err
	}
	return nil
}

// Write puts data at path, whole or not at all.
func Write(path string, data []byte, perm os.FileMode) (err error) {
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
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}
