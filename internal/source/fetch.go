package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kojimod/kojimod/internal/ctxio"
)

// Fetch writes the pinned source below dst, which is made if need be and must be
// empty: for a source RPM the file, else the spec with all its sources, those
// from the lookaside too. What it writes is exactly what was pinned, or it is an
// error. After an error dst may hold part of the source.
//
// Files get the mode 0644 or 0755, whatever the umask, and the present time.
func (f *Finder) Fetch(ctx context.Context, p Pinned, dst string) (Tree, error) {
	tree, err := f.fetch(ctx, p, dst)
	if err != nil {
		if ctx.Err() != nil {
			return Tree{}, ctx.Err()
		}
		return Tree{}, inComponent(p.where, p.name, err)
	}
	return tree, nil
}

func (f *Finder) fetch(ctx context.Context, p Pinned, dst string) (Tree, error) {
	dst, err := filepath.Abs(dst)
	if err != nil {
		return Tree{}, err
	}
	if err := emptyDir(dst); err != nil {
		return Tree{}, err
	}
	switch p.Kind {
	case SRPM:
		path := filepath.Join(dst, p.name)
		return Tree{SRPM: path}, f.fetchSRPM(ctx, p, path)
	case Git, Dir:
	default:
		return Tree{}, fmt.Errorf("a source of the kind %q that Resolve has not made", p.Kind)
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		return Tree{}, err
	}
	defer root.Close()
	if p.Kind == Git {
		err = f.fetchGit(ctx, p, root, dst)
	} else {
		err = f.fetchDir(ctx, p, root)
	}
	if err == nil {
		err = f.fetchSources(ctx, p, root)
	}
	return Tree{Spec: filepath.Join(dst, p.spec)}, err
}

func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return err
}

// changed is the error of a source that is no longer what Resolve saw.
func changed() error {
	return badInput("", "", "it has changed since this run began; run again", nil)
}

func (f *Finder) fetchSRPM(ctx context.Context, p Pinned, path string) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Chmod(0o644); err != nil {
		return err
	}
	h := sha256.New()
	if err := f.readFile(ctx, p.path, io.MultiWriter(out, h)); err != nil {
		return err
	}
	if "sha256:"+hex.EncodeToString(h.Sum(nil)) != p.Digest {
		return changed()
	}
	return nil
}

// fetchGit writes the pinned tree. A second try with a clone made anew starts
// with an empty directory again.
func (f *Finder) fetchGit(ctx context.Context, p Pinned, root *os.Root, dst string) error {
	g, err := f.git()
	if err != nil {
		return err
	}
	return g.withClone(ctx, p.url, len(p.Commit), func(c *clone) error {
		if err := c.ensure(ctx, p.Commit, ""); err != nil {
			return err
		}
		entries, err := c.list(ctx, p.tree, f.maxSize())
		if err != nil {
			return err
		}
		err = c.blobs(ctx, func(content func(entry, io.Writer) error) error {
			return writeTree(root, entries, content)
		})
		if errors.Is(err, errDamaged) {
			return errors.Join(err, clearDir(root))
		}
		return err
	})
}

func clearDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	for _, name := range names {
		err = errors.Join(err, root.RemoveAll(name))
	}
	return err
}

// fetchDir copies the directory, so that it may be edited while the build runs,
// and checks the copy: what matters is what gets built.
func (f *Finder) fetchDir(ctx context.Context, p Pinned, root *os.Root) error {
	from, err := os.OpenRoot(p.path)
	if err != nil {
		return err
	}
	defer from.Close()
	entries, err := listDir(ctx, from, f.ignored(p.path))
	if err != nil {
		return err
	}
	if err := writeTree(root, entries, dirContent(ctx, from)); err != nil {
		return err
	}
	copied, err := listDir(ctx, root, func(string) bool { return false })
	if err != nil {
		return err
	}
	digest, err := digestDir(copied, dirContent(ctx, root))
	if err == nil && digest != p.Digest {
		err = changed()
	}
	return err
}

// fetchSources brings the files of the sources file, and verifies those that are
// there already.
func (f *Finder) fetchSources(ctx context.Context, p Pinned, root *os.Root) error {
	for _, file := range p.sources {
		_, err := root.Lstat(file.Name)
		if err == nil {
			if err := verifyOne(root, file, f.maxSize()); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := f.fetchSource(ctx, file, p.bases, root); err != nil {
			return err
		}
	}
	return nil
}

func (f *Finder) fetchSource(ctx context.Context, file File, bases []location, root *os.Root) (err error) {
	path, err := f.lookaside(ctx, file, bases)
	if err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := root.OpenFile(file.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Chmod(0o644); err != nil {
		return err
	}
	// Verified once more on the way: the copy is what gets built.
	h := file.newHash()
	if _, err := io.Copy(io.MultiWriter(out, h), ctxio.Reader(ctx, in)); err != nil {
		return err
	}
	return file.verify(h, path)
}
