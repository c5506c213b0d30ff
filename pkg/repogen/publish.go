package repogen

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kojimod/kojimod/internal/atomicfile"
)

// ErrBusy says that another process is making the same repodata.
var ErrBusy = errors.New("another process is making this repodata")

// A publisher changes one repodata directory. It holds a lock on the directory
// itself, which no killed process can leave behind.
type publisher struct {
	repodata string
	opts     Options
	lock     *os.File
	created  bool // repodata did not exist before
	done     bool // a repomd.xml has been published
	staged   []*stagedFile
}

// openPublisher makes repodata where it is missing, locks it, and removes what killed
// runs have left.
func openPublisher(dir string, opts Options) (*publisher, error) {
	if hasForbidden(opts.Revision) || toUTF8(opts.Revision) != opts.Revision {
		return nil, fmt.Errorf("the revision %q has characters that XML cannot carry", opts.Revision)
	}
	pub := &publisher{repodata: filepath.Join(dir, repodataDir), opts: opts}
	err := os.Mkdir(pub.repodata, 0o755)
	pub.created = err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := pub.acquire(); err != nil {
		pub.close()
		return nil, err
	}
	if err := atomicfile.Sweep(pub.repodata); err != nil {
		pub.close()
		return nil, err
	}
	return pub, nil
}

func (pub *publisher) acquire() error {
	fd, err := unix.Open(pub.repodata, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "opening the directory", Path: pub.repodata, Err: err}
	}
	pub.lock = os.NewFile(uintptr(fd), pub.repodata)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrBusy
		}
		return fmt.Errorf("locking %s: %w", pub.repodata, err)
	}
	// The one who held the lock a moment ago may have removed or exchanged the directory.
	held, err := pub.lock.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Lstat(pub.repodata); err != nil || !os.SameFile(held, there) {
		return ErrBusy
	}
	return nil
}

// stage starts a metadata file.
func (pub *publisher) stage(record, base string) error {
	s, err := newStagedFile(pub.repodata, record, base)
	if err == nil {
		pub.staged = append(pub.staged, s)
	}
	return err
}

// close removes what was not published, and unlocks.
func (pub *publisher) close() {
	for _, s := range pub.staged {
		_ = s.file.Close()
	}
	if pub.created && !pub.done {
		_ = os.Remove(pub.repodata)
	}
	if pub.lock != nil {
		_ = pub.lock.Close()
	}
}

// step announces a change to tests.
func (pub *publisher) step(name string) error {
	if pub.opts.step == nil {
		return nil
	}
	return pub.opts.step(name)
}

type outcome struct {
	unchanged bool
	warnings  []string
}

// publish makes the staged files and repomd the repository's metadata.
func (pub *publisher) publish(staged []*stagedFile, repomd Repomd) (outcome, error) {
	var out outcome
	text := repomd.marshal()
	repomdPath := filepath.Join(pub.repodata, repomdName)
	oldText, err := readBounded(repomdPath, maxRepomdSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	hist := loadHistory(pub.repodata)
	current := repomd.names()
	if bytes.Equal(oldText, text) && pub.allPresent(staged) {
		out.unchanged, pub.done = true, true
		out.warnings = pub.retire(hist, hist.previousOf(text), current, text)
		return out, nil
	}
	previous := make(map[string]bool)
	if old, err := ParseRepomd(oldText); err == nil {
		previous = old.names()
	} else if oldText != nil {
		out.warnings = append(out.warnings, fmt.Sprintf("the replaced %s could not be read, so the files that it named stay: %v", repomdPath, err))
	}
	next := newHistory(text, previous, hist.all(), current)
	if err := pub.replace(staged, text, hist, next); err != nil {
		return out, err
	}
	pub.done = true
	out.warnings = append(out.warnings, pub.retire(next, previous, current, text)...)
	return out, nil
}

// allPresent says whether all files are already there under their final names.
func (pub *publisher) allPresent(staged []*stagedFile) bool {
	for _, s := range staged {
		info, err := os.Lstat(s.finalPath(pub.repodata))
		if err != nil || !info.Mode().IsRegular() || info.Size() != s.record.Size {
			return false
		}
	}
	return true
}

// replace brings the new files in place, repomd.xml last. Until then every
// failure is undone.
func (pub *publisher) replace(staged []*stagedFile, text []byte, old, next history) (err error) {
	repomdPath := filepath.Join(pub.repodata, repomdName)
	table, err := atomicfile.Create(repomdPath, 0o644)
	if err != nil {
		return err
	}
	defer table.Close()
	if _, err := table.Write(text); err != nil {
		return err
	}
	if err := table.Sync(); err != nil {
		return err
	}
	var placed []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range placed {
			_ = os.Remove(path)
		}
		_ = old.save(pub.repodata)
	}()
	// From here on files have names that stay after a kill; the history tells the
	// next run about them.
	if err := pub.step("history"); err != nil {
		return err
	}
	if err := next.save(pub.repodata); err != nil {
		return err
	}
	for _, s := range staged {
		if err := pub.step(s.record.Type); err != nil {
			return err
		}
		path := s.finalPath(pub.repodata)
		_, statErr := os.Lstat(path)
		if err := s.place(pub.repodata); err != nil {
			return err
		}
		if errors.Is(statErr, fs.ErrNotExist) {
			placed = append(placed, path)
		}
	}
	if err := atomicfile.SyncDir(pub.repodata); err != nil {
		return err
	}
	if err := pub.step("signature"); err != nil {
		return err
	}
	for _, suffix := range []string{".asc", ".key"} {
		if err := os.Remove(repomdPath + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the signature of the old %s: %w", repomdName, err)
		}
	}
	if err := pub.step("repomd"); err != nil {
		return err
	}
	if err := table.Commit(); err != nil {
		if now, readErr := readBounded(repomdPath, maxRepomdSize); readErr == nil && bytes.Equal(now, text) {
			placed = nil // it was renamed, and only not made durable: these files are in use
		}
		return err
	}
	return nil
}

// retire removes the files that only older metadata name. Failures are warnings: the new
// metadata are published, and the next run tries again.
func (pub *publisher) retire(hist history, previous, current map[string]bool, text []byte) (warnings []string) {
	if err := pub.step("retire"); err != nil {
		return []string{err.Error()}
	}
	remaining := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(hist.all())) {
		if current[name] {
			continue
		}
		path := filepath.Join(pub.repodata, name)
		if pub.opts.KeepPrevious && previous[name] {
			if _, err := os.Lstat(path); err == nil {
				remaining[name] = true
			}
			continue
		}
		// unlink and not os.Remove, which would take a directory too
		if err := unix.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			warnings = append(warnings, fmt.Sprintf("removing old metadata %s: %v", path, err))
			remaining[name] = true
		}
	}
	if err := newHistory(text, remaining, nil, nil).save(pub.repodata); err != nil {
		warnings = append(warnings, fmt.Sprintf("noting the old metadata in %s: %v", pub.repodata, err))
	}
	return warnings
}
