package localbuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/internal/regularfile"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// An output directory holds what people look at,
//
//	repo/         the published repository
//	logs/         build.log and root.log of each component
//	modules.yaml  the finished module metadata, as in the repository
//	report.html   how the build went
//
// and, in .build, what the next run needs:
//
//	README                      says what this is, to people and to us
//	lock                        held while a run works here
//	journal.json                what is decided for good: the identity
//	results/COMPONENT/KEY/      packages, with a record of how they came about
//	git/                        clones of the components' repositories
//	tmp/                        work in progress; emptied by the next run
type output struct {
	dir  string
	made bool // the directory was not there before
	lock *os.File
}

// mark is what README holds, so that no other program's .build is taken for ours.
const mark = "This directory belongs to module-builder-task. It holds what has been built so far;\n" +
	"without it the next build into the directory above begins anew.\n"

func (o *output) path(elem ...string) string {
	return filepath.Join(append([]string{o.dir}, elem...)...)
}

func (o *output) repo() string         { return o.path("repo") }
func (o *output) work(e string) string { return o.path(".build", e) }

// openOutput takes the directory for this run, and makes it if it is not there.
// A directory that holds something else is refused.
func openOutput(dir string, mode fs.FileMode) (*output, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if !utf8.ValidString(abs) {
		return nil, &modulebuild.InputError{Where: fmt.Sprintf("%q", dir), Msg: "the name of the output directory is not UTF-8: use another --output"}
	}
	o := &output{dir: abs}
	if _, err := os.Stat(abs); errors.Is(err, fs.ErrNotExist) {
		o.made = true
	}
	if err := checkOurs(abs); err != nil {
		return nil, err
	}
	if mode == 0 {
		mode = 0o777
	}
	if err := atomicfile.MkdirAll(abs, mode); err != nil {
		return nil, fmt.Errorf("making the output directory: %w", err)
	}
	if err := o.take(); err != nil {
		return nil, err
	}
	if err := o.sweep(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// take locks the directory. A run that fails on bad input removes it again; who
// then holds the lock of a file that is gone tries anew.
func (o *output) take() error {
	for {
		if err := atomicfile.MkdirAll(o.work(""), 0o777); err != nil {
			return fmt.Errorf("making the output directory: %w", err)
		}
		lock, err := os.OpenFile(o.work("lock"), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o666)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			return fmt.Errorf("taking the output directory: %w%s", err, ownerHint(err, o.dir))
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			lock.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return fmt.Errorf("another run is working in %s: wait until it ends, or use another --output", o.dir)
			}
			return fmt.Errorf("locking %s: %w", lock.Name(), err)
		}
		held, err := lock.Stat()
		if err != nil {
			lock.Close()
			return err
		}
		if there, err := os.Stat(lock.Name()); err != nil || !os.SameFile(held, there) {
			lock.Close()
			continue
		}
		o.lock = lock
		return nil
	}
}

// ownerHint says whose a directory is that may not be written.
func ownerHint(err error, dir string) string {
	info, statErr := os.Stat(dir)
	if statErr != nil || !errors.Is(err, fs.ErrPermission) {
		return ""
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return ""
	}
	return fmt.Sprintf("; %s belongs to user number %d", dir, owner.Uid)
}

// checkOurs refuses a directory whose content is not ours to write over, and one
// in which our own directories lead elsewhere.
func checkOurs(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTDIR):
		return &modulebuild.InputError{Where: dir, Msg: "this is a file, not a directory: use another --output"}
	case err != nil:
		return fmt.Errorf("looking into the output directory: %w", err)
	}
	if !isOurs(dir, entries) {
		return &modulebuild.InputError{Where: dir, Msg: "the directory is not empty and no earlier build is in it: use another --output"}
	}
	for _, name := range []string{".build", ".build/results", ".build/git", ".build/tmp", "repo", "repo/" + packagesDir, "repo/repodata", "logs"} {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil && !info.IsDir() {
			return &modulebuild.InputError{Where: filepath.Join(dir, name), Msg: "this is no directory of an earlier build, or a link that leads out of it: remove it, or use another --output"}
		}
	}
	return nil
}

// isOurs also takes the beginnings that a killed run has left.
func isOurs(dir string, entries []fs.DirEntry) bool {
	text, err := regularfile.ReadFile(filepath.Join(dir, ".build", "README"), maxRecord)
	if err == nil && string(text) == mark {
		return true
	}
	if len(entries) > 1 || len(entries) == 1 && entries[0].Name() != ".build" {
		return false
	}
	inside, err := os.ReadDir(filepath.Join(dir, ".build"))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && !slices.ContainsFunc(inside, func(e fs.DirEntry) bool {
		return e.Name() != "lock" && e.Name() != "tmp" && !strings.HasPrefix(e.Name(), ".tmp-")
	})
}

// sweep removes what a killed run has left, and makes the directory ours.
func (o *output) sweep() error {
	if err := removeAll(o.work("tmp")); err != nil {
		return fmt.Errorf("removing what an earlier run has left: %w", err)
	}
	for _, dir := range []string{o.dir, o.work("")} {
		if err := atomicfile.Sweep(dir); err != nil {
			return fmt.Errorf("removing what an earlier run has left: %w", err)
		}
	}
	if err := os.MkdirAll(o.work("tmp"), 0o777); err != nil {
		return fmt.Errorf("making the output directory: %w", err)
	}
	if text, err := regularfile.ReadFile(o.work("README"), maxRecord); err == nil && string(text) == mark {
		return nil
	}
	return atomicfile.Write(o.work("README"), []byte(mark), 0o666)
}

func (o *output) close() {
	if o.lock != nil {
		_ = removeAll(o.work("tmp"))
		_ = o.lock.Close()
	}
}

// discard removes the traces of a run that has decided nothing, the lock last.
func (o *output) discard() {
	entries, err := os.ReadDir(o.work(""))
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Name() != "lock" && e.Name() != "README" {
			_ = removeAll(o.work(e.Name()))
		}
	}
	// While there is anything else, README says that it is ours.
	_ = os.Remove(o.work("README"))
	_ = os.Remove(o.work("lock"))
	_ = os.Remove(o.work(""))
	if o.made {
		_ = os.Remove(o.dir) // goes if it is empty
	}
	_ = o.lock.Close()
	o.lock = nil
}

// removeAll is os.RemoveAll also where directories have lost their permissions,
// as an overlay's work directory has.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// realDir makes a directory below the output; a link in its place goes.
func realDir(dir string) error {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		if err := os.Remove(dir); err != nil {
			return err
		}
	}
	return atomicfile.MkdirAll(dir, 0o777)
}

// A journal is what is decided once for an output directory, and what was
// published from it.
type journal struct {
	Format   int                  `json:"format"`
	Identity modulebuild.Identity `json:"identity"`
	// VersionFrom says where the version is from.
	VersionFrom string `json:"version_from"`
	// Published and Previous list the package files, relative to the
	// repository, of what is published now and was before: clients may still
	// hold the metadata that names the latter. Publishing is what is about to
	// become Published; a run that was killed may have got that far.
	Published  []string `json:"published,omitempty"`
	Previous   []string `json:"previous,omitempty"`
	Publishing []string `json:"publishing,omitempty"`
}

const journalFormat = 1

// maxRecord bounds what is read of our own files: somebody may have been there.
const maxRecord = 64 << 20

// readJournal gives nil where nothing was decided yet.
func readJournal(dir string) (*journal, error) {
	path := filepath.Join(dir, ".build", "journal.json")
	data, err := regularfile.ReadFile(path, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var j journal
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, fmt.Errorf("%s: %w: remove the output directory to start afresh", path, err)
	}
	if j.Format != journalFormat {
		return nil, fmt.Errorf("%s: format %d is not known to this version: use another --output", path, j.Format)
	}
	return &j, nil
}

func (o *output) writeJournal(j *journal) error {
	j.Format = journalFormat
	data, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(o.work("journal.json"), append(data, '\n'), 0o666); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// safeName refuses a name that is no single path element. Names were checked
// where they were read; this is the last door before the file system.
func safeName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q cannot be the name of a directory", name)
	}
	return nil
}
