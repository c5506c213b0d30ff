package localbuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kojimod/kojimod/internal/atomicfile"
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
//	lock                        held while a run works here
//	journal.json                what is decided for good: the identity
//	results/COMPONENT/KEY/      packages, with a record of how they came about
//	git/                        clones of the components' repositories
//	tmp/                        work in progress; emptied by the next run
type output struct {
	dir  string
	lock *os.File
}

func (o *output) path(elem ...string) string {
	return filepath.Join(append([]string{o.dir}, elem...)...)
}

func (o *output) repo() string         { return o.path("repo") }
func (o *output) work(e string) string { return o.path(".build", e) }

// openOutput takes the directory for this run, and makes it if it is not there.
// A directory that holds something else is refused.
func openOutput(dir string) (*output, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	o := &output{dir: abs}
	if err := checkOurs(abs); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.work(""), 0o777); err != nil {
		return nil, fmt.Errorf("making the output directory: %w", err)
	}
	lock, err := os.OpenFile(o.work("lock"), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		return nil, fmt.Errorf("taking the output directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another run is working in %s: wait until it ends, or use another --output", dir)
		}
		return nil, fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	o.lock = lock
	if err := o.sweep(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// checkOurs refuses a directory whose content is not ours to write over.
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
	for _, e := range entries {
		if e.Name() == ".build" {
			return nil
		}
	}
	if len(entries) > 0 {
		return &modulebuild.InputError{Where: dir, Msg: "the directory is not empty and no earlier build is in it: use another --output"}
	}
	return nil
}

// sweep removes what a killed run has left.
func (o *output) sweep() error {
	if err := removeAll(o.work("tmp")); err != nil {
		return fmt.Errorf("removing what an earlier run has left: %w", err)
	}
	for _, dir := range []string{o.dir, o.work("")} {
		if err := atomicfile.Sweep(dir); err != nil {
			return fmt.Errorf("removing what an earlier run has left: %w", err)
		}
	}
	return os.MkdirAll(o.work("tmp"), 0o777)
}

func (o *output) close() {
	_ = removeAll(o.work("tmp"))
	_ = o.lock.Close()
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

// A journal is what is decided once for an output directory.
type journal struct {
	Format   int                  `json:"format"`
	Identity modulebuild.Identity `json:"identity"`
	// VersionFrom says where the version is from.
	VersionFrom string `json:"version_from"`
	// Published and Previous list the package files, relative to the
	// repository, of what is published now and was before: clients may still
	// hold the metadata that names the latter.
	Published []string `json:"published,omitempty"`
	Previous  []string `json:"previous,omitempty"`
}

const journalFormat = 1

// readJournal gives nil where nothing was decided yet.
func readJournal(dir string) (*journal, error) {
	path := filepath.Join(dir, ".build", "journal.json")
	data, err := os.ReadFile(path)
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
