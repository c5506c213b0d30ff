package localbuild

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A scratch directory is for what is needed before it is known where the output
// is. It is locked while in use, so that what killed runs have left can be told
// from the living.
type scratch struct {
	dir  string
	lock *os.File
}

const scratchPrefix = "module-build-"

func newScratch() (*scratch, error) {
	sweepScratch()
	for {
		dir, err := os.MkdirTemp("", scratchPrefix)
		if err != nil {
			return nil, fmt.Errorf("making a temporary directory (TMPDIR says where): %w", err)
		}
		lock, err := lockDir(dir)
		if err == nil {
			return &scratch{dir, lock}, nil
		}
		// Somebody else has taken it for left over, in the moment in between.
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking a temporary directory: %w", err)
		}
	}
}

func (s *scratch) close() {
	_ = removeAll(s.dir)
	_ = s.lock.Close()
}

// lockDir locks a directory that is still there.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweepScratch removes what killed runs of this user have left. What cannot be
// removed does no harm.
func sweepScratch() {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
			continue
		}
		if lock, err := lockDir(dir); err == nil {
			_ = removeAll(dir)
			_ = lock.Close()
		}
	}
}
