package source

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"syscall"

	"github.com/kojimod/kojimod/internal/ctxio"
)

// mode is what of a file's mode belongs to a source: as in git.
type mode byte

const (
	regular    mode = 'f'
	executable mode = 'x'
	symlink    mode = 'l'
)

func (m mode) perm() fs.FileMode {
	if m == executable {
		return 0o755
	}
	return 0o644
}

// An entry is one file of a source tree. Directories are only in the paths.
type entry struct {
	path   string // slash-separated, relative, clean
	mode   mode
	size   int64  // of a file's content
	object string // id of the blob, in git
}

const (
	maxEntries = 100_000  // files in one tree
	maxDepth   = 64       // directories below each other
	maxTree    = 64 << 30 // bytes of all files
	maxTarget  = 4096     // bytes of a symbolic link's target
)

// checkEntries refuses trees that cannot be written as they are.
func checkEntries(entries []entry, maxSize int64) error {
	if len(entries) > maxEntries {
		return fmt.Errorf("the tree has more than %d files", maxEntries)
	}
	var total int64
	for _, e := range entries {
		if err := checkPath(e.path); err != nil {
			return err
		}
		if e.size > maxSize {
			return fmt.Errorf("%s is larger than %d bytes", e.path, maxSize)
		}
		if e.mode == symlink && e.size > maxTarget {
			return fmt.Errorf("the target of the symbolic link %s is longer than %d bytes", e.path, maxTarget)
		}
		if total += e.size; total > maxTree {
			return fmt.Errorf("the tree is larger than %d bytes", int64(maxTree))
		}
	}
	return nil
}

func checkPath(p string) error {
	if len(p) > 4096 || strings.Count(p, "/") > maxDepth {
		return fmt.Errorf("a path beginning with %.80q is too long or too deep", p)
	}
	for part := range strings.SplitSeq(p, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return fmt.Errorf("the path %q leaves its directory", p)
		case strings.EqualFold(part, ".git"):
			return fmt.Errorf("the path %q has git's own data in it", p)
		case strings.ContainsFunc(part, isControl):
			return fmt.Errorf("the path %q holds control characters", p)
		}
	}
	return nil
}

// topNames gives the names of the files at the top of the tree, sorted.
func topNames(entries []entry) []string {
	var names []string
	for _, e := range entries {
		if !strings.Contains(e.path, "/") {
			names = append(names, e.path)
		}
	}
	sort.Strings(names)
	return names
}

// writeTree writes the entries into root, whose directory is empty. content
// writes one entry's content. Links come last, so that no file is ever written
// through one, and are then followed, to see that they stay inside.
func writeTree(root *os.Root, entries []entry, content func(entry, io.Writer) error) error {
	var links []string
	for _, e := range entries {
		if dir := path.Dir(e.path); dir != "." {
			if err := root.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		if e.mode != symlink {
			if err := writeFile(root, e, content); err != nil {
				return err
			}
		}
	}
	for _, e := range entries {
		if e.mode != symlink {
			continue
		}
		var target strings.Builder
		if err := content(e, &target); err != nil {
			return err
		}
		if err := root.Symlink(target.String(), e.path); err != nil {
			return fmt.Errorf("symbolic link %s: %w", e.path, err)
		}
		links = append(links, e.path)
	}
	return checkLinks(root, links)
}

func writeFile(root *os.Root, e entry, content func(entry, io.Writer) error) (err error) {
	f, err := root.OpenFile(e.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, e.mode.perm())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// Modes get into packages, the umask does not.
	if err := f.Chmod(e.mode.perm()); err != nil {
		return err
	}
	return content(e, f)
}

// checkLinks follows the links. One that leads nowhere is harmless; one that
// leads out of root, or round in circles, is not.
func checkLinks(root *os.Root, links []string) error {
	for _, link := range links {
		if _, err := root.Stat(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			target, _ := root.Readlink(link)
			return badLink(link, target)
		}
	}
	return nil
}

func badLink(link, target string) error {
	return badInput("", "", fmt.Sprintf("the symbolic link %s leads out of its directory, to %q, or round in circles; "+
		"copy the file in its place", link, target), nil)
}

// listDir lists the files below root, sorted by path, leaving out .git and what
// skip says.
func listDir(ctx context.Context, root *os.Root, skip func(path string) bool) ([]entry, error) {
	var entries []entry
	var links []string
	err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.Name() == ".git" || skip(p) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return checkPath(p)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{path: p, size: info.Size()}
		switch {
		case info.Mode().IsRegular() && info.Mode()&0o111 != 0:
			e.mode = executable
		case info.Mode().IsRegular():
			e.mode = regular
		case info.Mode()&fs.ModeSymlink != 0:
			e.mode = symlink
			links = append(links, p)
		default:
			return badInput("", "", fmt.Sprintf("%s is neither a file nor a directory nor a symbolic link", p), nil)
		}
		entries = append(entries, e)
		if len(entries) > maxEntries {
			return badInput("", "", fmt.Sprintf("the directory has more than %d files", maxEntries), nil)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].path < entries[j].path })
	return entries, checkLinks(root, links)
}

// dirContent writes the content of an entry of root.
func dirContent(ctx context.Context, root *os.Root) func(entry, io.Writer) error {
	return func(e entry, w io.Writer) error {
		if e.mode == symlink {
			target, err := root.Readlink(e.path)
			if err == nil {
				_, err = io.WriteString(w, target)
			}
			return err
		}
		// A name that has become a pipe since it was listed must not block us.
		f, err := root.OpenFile(e.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return errors.Join(fmt.Errorf("%s is no longer a file", e.path), err)
		}
		n, err := io.Copy(w, io.LimitReader(ctxio.Reader(ctx, f), e.size+1))
		if err == nil && n != e.size {
			err = fmt.Errorf("%s changes while it is read", e.path)
		}
		return err
	}
}

// digestDir is the digest of a directory's content: of paths, modes and content
// of all entries, each with its length before it, so that no two trees are
// written alike.
func digestDir(entries []entry, content func(entry, io.Writer) error) (string, error) {
	h := sha256.New()
	h.Write([]byte("kojimod directory 1\n"))
	for _, e := range entries {
		h.Write([]byte{byte(e.mode)})
		writeLength(h, len(e.path))
		h.Write([]byte(e.path))
		inner := sha256.New()
		if err := content(e, inner); err != nil {
			return "", err
		}
		h.Write(inner.Sum(nil))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func writeLength(h hash.Hash, n int) {
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// chooseSpec gives the one spec file among the names at the top of a tree. Where
// there are several, one that is named for the package.
func chooseSpec(top, names []string) (string, error) {
	var specs []string
	for _, name := range top {
		if strings.HasSuffix(name, ".spec") && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "-") {
			specs = append(specs, name)
		}
	}
	if len(specs) == 1 {
		return specs[0], nil
	}
	if len(specs) == 0 {
		return "", badInput("", "", fmt.Sprintf("there is no spec file; put %s.spec at its top", names[0]), nil)
	}
	for _, name := range names {
		for _, spec := range specs {
			if spec == name+".spec" {
				return spec, nil
			}
		}
	}
	return "", badInput("", "", fmt.Sprintf("there are %d spec files (%s) and none is %s.spec",
		len(specs), list(specs), names[0]), nil)
}

// list joins names for a message, the first few of them.
func list(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}
