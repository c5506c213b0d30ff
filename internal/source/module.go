package source

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Module is the source of a module: a modulemd document, the directory it is in,
// and the commit.
type Module struct {
	File   string    // absolute path of the modulemd document
	Dir    string    // absolute path of its directory; of the subdirectory, where the URL names one
	Name   string    // guess at the module's name: the repository's or directory's base name, less ".git"
	Stream string    // branch that was named or is checked out; empty if none
	URL    string    // of a git URL, without credentials; empty for a local path
	Commit string    // full commit id; empty outside git
	Time   time.Time // the committer's time of Commit, UTC; zero outside git
	Clean  bool      // no uncommitted change in Dir; always true for a git URL
	Remote bool      // came from another host by a git URL: its document may not name local paths
}

// Options are for OpenModule. The zero value works.
type Options struct {
	// Ignore are paths, such as the output directory, that do not count as
	// uncommitted changes.
	Ignore []string
	Stall  time.Duration // how long a transfer may stand still; 0 means 60 s
	Log    *slog.Logger  // nil means none
}

// OpenModule finds the module that arg names: a modulemd file, a directory that
// one lies directly in, or a git URL (see ParseURL), which is fetched below
// workDir. The errors of wrong input are *Error.
func OpenModule(ctx context.Context, arg, workDir string, o Options) (*Module, error) {
	if strings.Contains(arg, "://") || strings.Contains(arg, "::") && !exists(arg) {
		u, err := ParseURL(arg)
		if err != nil {
			return nil, badInput("", "", "", err)
		}
		return openRemote(ctx, u, workDir, o)
	}
	info, err := os.Stat(arg)
	if err != nil {
		return nil, badInput("", arg, "there is no such modulemd file or directory", errors.Unwrap(err))
	}
	path, err := filepath.Abs(arg)
	if err != nil {
		return nil, err
	}
	m := &Module{File: path, Dir: path}
	if info.IsDir() {
		m.Name = strings.TrimSuffix(filepath.Base(path), ".git")
		if m.File, err = findDocument(path, m.Name); err != nil {
			return nil, err
		}
	} else {
		m.Dir = filepath.Dir(path)
		m.Name = strings.TrimSuffix(filepath.Base(m.Dir), ".git")
	}
	return m, m.inspectWorkTree(ctx, workDir, o)
}

// openRemote lays the tree that the URL names out in a directory named for its
// content.
func openRemote(ctx context.Context, u GitURL, workDir string, o Options) (*Module, error) {
	g, err := newGit(workDir, o.Log, o.Stall)
	if err != nil {
		return nil, err
	}
	pin, err := g.pin(ctx, u)
	if err != nil {
		return nil, err
	}
	m := &Module{
		Name: u.Name(), Stream: pin.branch, URL: u.String(), Commit: pin.commit,
		Clean: true, Remote: u.Scheme != "file",
	}
	err = g.withClone(ctx, u, len(pin.commit), func(c *clone) error {
		if err := c.ensure(ctx, pin.commit, ""); err != nil {
			return err
		}
		if m.Time, err = g.commitTime(ctx, gitCall{url: u, repo: c.dir, lock: c.lock}, pin.commit); err != nil {
			return err
		}
		m.Dir, err = c.layOut(ctx, pin.commit, u.Subdir)
		return err
	})
	if err != nil {
		return nil, err
	}
	if m.File, err = findDocument(m.Dir, m.Name); err != nil {
		return nil, err
	}
	return m, nil
}

// layOut writes the commit's tree at subdir to a directory beside the clones.
func (c *clone) layOut(ctx context.Context, commit, subdir string) (string, error) {
	tree, err := c.treeOf(ctx, commit, subdir)
	if err != nil {
		return "", err
	}
	entries, err := c.list(ctx, tree, defaultMaxSize)
	if err != nil {
		return "", err
	}
	trees := filepath.Join(filepath.Dir(c.g.dir), "modules")
	if err := os.MkdirAll(trees, 0o700); err != nil {
		return "", err
	}
	// Several repositories, each with a lock of its own, may have this tree.
	lock, err := lockFile(ctx, filepath.Join(trees, tree+".lock"), c.g.log)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	dst, fresh := filepath.Join(trees, tree), filepath.Join(trees, tree+".new")
	if holds(ctx, dst, entries) {
		return dst, nil
	}
	if err := os.RemoveAll(dst); err != nil {
		return "", err
	}
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(fresh)
	if err != nil {
		return "", err
	}
	defer root.Close()
	err = c.blobs(ctx, func(content func(entry, io.Writer) error) error {
		return writeTree(root, entries, content)
	})
	if err != nil {
		return "", err
	}
	return dst, os.Rename(fresh, dst)
}

// holds reports whether dir has exactly the entries, with the content that their
// ids stand for.
func holds(ctx context.Context, dir string, entries []entry) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	there, err := listDir(ctx, root, func(string) bool { return false })
	if err != nil || len(there) != len(entries) {
		return false
	}
	want := map[string]entry{}
	for _, e := range entries {
		want[e.path] = e
	}
	content := dirContent(ctx, root)
	for _, e := range there {
		e.object = want[e.path].object
		h := blobHash(e)
		if e != want[e.path] || content(e, h) != nil || hex.EncodeToString(h.Sum(nil)) != e.object {
			return false
		}
	}
	return true
}

// inspectWorkTree fills in what git says about the directory, if it is in a work
// tree.
func (m *Module) inspectWorkTree(ctx context.Context, workDir string, o Options) error {
	m.Clean = true
	if !inWorkTree(m.Dir) {
		return nil
	}
	g, err := newGit(workDir, o.Log, o.Stall)
	if err != nil {
		return err
	}
	if err := m.readWorkTree(ctx, g, o.Ignore); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &Error{Subject: m.Dir, Msg: "cannot read the git work tree", Err: err}
	}
	return nil
}

func inWorkTree(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for ; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, ".git")) {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

func (m *Module) readWorkTree(ctx context.Context, g *git, ignore []string) error {
	run := func(config []string, args ...string) (string, error) {
		out, err := g.run(ctx, gitCall{dir: m.Dir, config: config, args: args})
		return strings.TrimSpace(string(out)), err
	}
	if _, err := run(nil, "rev-parse", "--show-toplevel"); err != nil {
		return err
	}
	var err error
	if m.Commit, err = run(nil, "rev-parse", "--quiet", "--verify", "HEAD^{commit}"); err != nil {
		m.Commit, m.Clean = "", false // nothing is committed yet
		return ctx.Err()
	}
	if m.Time, err = g.commitTime(ctx, gitCall{dir: m.Dir}, m.Commit); err != nil {
		return err
	}
	if branch, err := run(nil, "symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
		m.Stream = branch
	}
	if _, err := run(nil, "ls-files", "--error-unmatch", "--", ":(literal)"+filepath.Base(m.File)); err != nil {
		m.Clean = false // the document itself is not in the commit
		return ctx.Err()
	}
	config, err := quietFilters(ctx, g, m.Dir)
	if err != nil {
		return err
	}
	args := []string{"status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--", "."}
	for _, path := range ignore {
		if rel, ok := relativeTo(m.Dir, path); ok && rel != "." {
			args = append(args, ":(exclude,literal)"+rel)
		}
	}
	changes, err := run(config, args...)
	if errors.Is(err, errTooMuch) {
		changes, err = "many", nil
	}
	m.Clean = changes == ""
	return err
}

// quietFilters gives configuration that switches the content filters of
// somebody else's repository off. git-status runs them on files that look
// changed, and git itself refuses to work in such a repository for this reason.
// In the user's own they are needed: with Git LFS the files would else look changed.
func quietFilters(ctx context.Context, g *git, dir string) ([]string, error) {
	out, err := g.run(ctx, gitCall{dir: dir, args: []string{"rev-parse", "--absolute-git-dir"}})
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(strings.TrimSuffix(string(out), "\n"))
	if err != nil {
		return nil, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Geteuid() {
		return nil, nil
	}
	out, err = g.run(ctx, gitCall{dir: dir, args: []string{"config", "--includes", "--null", "--name-only", "--list"}})
	if err != nil {
		return nil, err
	}
	var config []string
	for key := range strings.SplitSeq(string(out), "\x00") {
		if !strings.HasPrefix(key, "filter.") {
			continue
		}
		if strings.Contains(key, "=") || len(config) > 1000 {
			return nil, fmt.Errorf("the filter %s in the repository's configuration cannot be switched off", strconv.Quote(key))
		}
		switch key[strings.LastIndex(key, ".")+1:] {
		case "clean", "smudge", "process":
			config = append(config, key+"=")
		case "required":
			config = append(config, key+"=false")
		}
	}
	return config, nil
}
