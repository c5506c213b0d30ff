package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// git gives the runner of git, made on first use.
func (f *Finder) git() (*git, error) {
	f.gitOnce.Do(func() { f.gitRun, f.gitErr = newGit(f.WorkDir, f.log(), f.Stall) })
	return f.gitRun, f.gitErr
}

// pinGit pins a ref of a git repository. The tree is looked at already, so that a
// missing spec or a bad sources file is known before anything is built.
func (f *Finder) pinGit(ctx context.Context, r Request, u GitURL) (Pinned, error) {
	if r.Ref != "" {
		if err := CheckRef(r.Ref); err != nil {
			return Pinned{}, badInput("", "ref", "", err)
		}
		if u.Ref != "" && u.Ref != r.Ref {
			return Pinned{}, badInput("", u.String(), fmt.Sprintf("the URL names the ref %q, ref: says %q; leave one out", u.Ref, r.Ref), nil)
		}
		u.Ref = r.Ref
	}
	g, err := f.git()
	if err != nil {
		return Pinned{}, err
	}
	pin, err := g.pin(ctx, u)
	if err != nil {
		return Pinned{}, err
	}
	p := Pinned{Kind: Git, Location: GitURL{Scheme: u.Scheme, Remote: u.Remote, Subdir: u.Subdir}.String(),
		Ref: u.Ref, Commit: pin.commit, url: u}
	if p.Ref == "" {
		p.Ref = "HEAD"
	}
	if p.bases, err = f.locations(r); err != nil {
		return Pinned{}, err
	}
	err = g.withClone(ctx, u, len(pin.commit), func(c *clone) error {
		if err := c.ensure(ctx, pin.commit, ""); err != nil {
			return err
		}
		return f.inspectGit(ctx, c, r, &p)
	})
	return p, err
}

// inspectGit fills in what the commit's tree tells.
func (f *Finder) inspectGit(ctx context.Context, c *clone, r Request, p *Pinned) error {
	tree, err := c.treeOf(ctx, p.Commit, p.url.Subdir)
	if err != nil {
		return err
	}
	entries, err := c.list(ctx, tree, f.maxSize())
	if err != nil {
		return err
	}
	p.tree, p.Digest = tree, "git:"+tree
	err = c.blobs(ctx, func(content func(entry, io.Writer) error) error {
		targets := map[string]string{}
		for _, e := range entries {
			if e.mode != symlink {
				continue
			}
			var target strings.Builder
			if err := content(e, &target); err != nil {
				return err
			}
			targets[e.path] = target.String()
		}
		if err := checkTargets(entries, targets); err != nil {
			return err
		}
		return p.inspect(entries, r, content)
	})
	var e *Error
	if errors.As(err, &e) && e.Subject == "" {
		e.Subject = p.url.String()
	}
	return err
}

// inspect looks at the top of a tree in dist-git layout: at the spec and at the
// sources file.
func (p *Pinned) inspect(entries []entry, r Request, content func(entry, io.Writer) error) error {
	top := topNames(entries)
	spec, err := chooseSpec(top, r.own())
	if err != nil {
		return err
	}
	p.spec = spec
	i := slices.IndexFunc(entries, func(e entry) bool { return e.path == "sources" })
	if i < 0 {
		return nil
	}
	if entries[i].mode == symlink || entries[i].size > maxSourcesSize {
		return badInput("", "", fmt.Sprintf("the file sources is a symbolic link or larger than %d bytes", maxSourcesSize), nil)
	}
	var text strings.Builder
	if err := content(entries[i], &text); err != nil {
		return err
	}
	if p.sources, err = ParseSources([]byte(text.String())); err != nil {
		return badInput("", "", "the file sources", err)
	}
	for _, file := range p.sources {
		if _, there := slices.BinarySearch(top, file.Name); !there && len(p.bases) == 0 {
			return badInput("", "", fmt.Sprintf("sources line %d: %s is kept in a lookaside cache; say where with --lookaside URL",
				file.Line, file.Name), nil)
		}
	}
	return nil
}

// pinDir pins a directory with a spec file by a digest over its content.
func (f *Finder) pinDir(ctx context.Context, r Request, dir string) (Pinned, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Pinned{}, err
	}
	p := Pinned{Kind: Dir, Location: dir, path: dir}
	if p.bases, err = f.locations(r); err != nil {
		return Pinned{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Pinned{}, badInput("", dir, "cannot open the directory", err)
	}
	defer root.Close()
	err = func() error {
		entries, err := listDir(ctx, root, f.ignored(dir))
		if err != nil {
			return err
		}
		if err := checkEntries(entries, f.maxSize()); err != nil {
			return badInput("", "", "the directory is refused", err)
		}
		content := dirContent(ctx, root)
		if err := p.inspect(entries, r, content); err != nil {
			return err
		}
		if err := p.verifyPresent(root, f.maxSize()); err != nil {
			return err
		}
		p.Digest, err = digestDir(entries, content)
		return err
	}()
	if err != nil {
		if e, ok := err.(*Error); ok && e.Subject == "" {
			e.Subject = dir
			return Pinned{}, e
		}
		return Pinned{}, fmt.Errorf("%s: %w", dir, err)
	}
	return p, nil
}

// ignored tells which paths in dir are no part of its content.
func (f *Finder) ignored(dir string) func(path string) bool {
	var rels []string
	for _, path := range f.Ignore {
		if rel, ok := relativeTo(dir, path); ok && rel != "." {
			rels = append(rels, filepath.ToSlash(rel))
		}
	}
	return func(path string) bool { return slices.Contains(rels, path) }
}

// relativeTo gives path relative to dir, symbolic links followed as far as path
// exists, if it lies in it.
func relativeTo(dir, path string) (string, bool) {
	real := func(p string) (string, error) {
		p, err := filepath.Abs(p)
		if err != nil {
			return "", err
		}
		rest := ""
		for at := p; ; at = filepath.Dir(at) {
			if r, err := filepath.EvalSymlinks(at); err == nil {
				return filepath.Join(r, rest), nil
			}
			if at == filepath.Dir(at) {
				return p, nil
			}
			rest = filepath.Join(filepath.Base(at), rest)
		}
	}
	d, err1 := real(dir)
	p, err2 := real(path)
	if err1 != nil || err2 != nil {
		return "", false
	}
	rel, err := filepath.Rel(d, p)
	return rel, err == nil && filepath.IsLocal(rel)
}

// verifyPresent checks the files of the sources file that lie in root already.
func (p *Pinned) verifyPresent(root *os.Root, limit int64) error {
	for _, file := range p.sources {
		if _, err := root.Lstat(file.Name); err != nil {
			continue
		}
		if err := verifyOne(root, file, limit); err != nil {
			return err
		}
	}
	return nil
}

func verifyOne(root *os.Root, file File, limit int64) error {
	in, err := root.OpenFile(file.Name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return badInput("", "", fmt.Sprintf("sources line %d: %s is not a file", file.Line, file.Name), err)
	}
	h := file.newHash()
	if err := copyBounded(h, in, limit, file.Name); err != nil {
		return err
	}
	return file.verify(h, "the source tree")
}
