package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Resolve finds the source of one component and pins it. It looks, in this
// order, at what the user named for this component; at the user's directory of
// source RPMs; at the document's repository; and beside the document, at
// rpms/NAME/ and NAME/. Lookaside files are not downloaded yet, but it is an
// error if there is no place to get them from.
//
// Errors are *Error or come from the context.
func (f *Finder) Resolve(ctx context.Context, r Request) (Pinned, error) {
	p, err := f.resolve(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			return Pinned{}, ctx.Err()
		}
		return Pinned{}, inComponent(r.Where, r.Component, err)
	}
	p.where = r.Where
	if p.name == "" {
		p.name = r.Component
	}
	return p, nil
}

func (f *Finder) resolve(ctx context.Context, r Request) (Pinned, error) {
	if r.Override != "" {
		return f.pinOverride(ctx, r)
	}
	if f.SRPMDir != "" {
		if p, ok, err := f.pinFromSRPMDir(ctx, r); ok || err != nil {
			return p, err
		}
	}
	if r.Repository != "" {
		return f.pinRepository(ctx, r)
	}
	for _, name := range r.own() {
		for _, dir := range []string{filepath.Join("rpms", name), name} {
			if checkFileName(name) != nil {
				continue
			}
			path := filepath.Join(r.BaseDir, dir)
			if hasSpec(path) && (!r.Remote || within(r.BaseDir, path)) {
				return f.pinDir(ctx, r, path)
			}
		}
	}
	return Pinned{}, f.notFound(r)
}

func (f *Finder) notFound(r Request) error {
	name := r.own()[0]
	msg := fmt.Sprintf("it has no source: give --srpms DIR with its source RPM, or --srpm %s=PATH, "+
		"or set repository: in the modulemd, or put a spec file at rpms/%s/%s.spec beside it", r.Component, name, name)
	if f.SRPMDir != "" {
		msg += fmt.Sprintf(" (%s has none named %s%s)", f.SRPMDir, strings.Join(r.own(), " or "), f.srpmIndex.hint(r.own()))
	}
	return badInput("", "", msg, nil)
}

// pinOverride takes what the user named for the component.
func (f *Finder) pinOverride(ctx context.Context, r Request) (Pinned, error) {
	info, err := os.Stat(r.Override)
	switch {
	case err != nil:
		return Pinned{}, badInput("", "--srpm", "there is no such source RPM or directory", err)
	case info.IsDir():
		return f.pinDir(ctx, r, r.Override)
	}
	return f.pinSRPM(ctx, r.Override, r.names())
}

// pinRepository takes the document's repository: a URL, or a path where the
// document may name one.
func (f *Finder) pinRepository(ctx context.Context, r Request) (Pinned, error) {
	if strings.Contains(r.Repository, "://") || strings.Contains(r.Repository, "::") {
		u, err := ParseURL(r.Repository)
		if err != nil {
			return Pinned{}, badInput("", "repository", "", err)
		}
		if u.Scheme != "file" {
			return f.pinGit(ctx, r, u)
		}
		if r.Remote {
			return Pinned{}, badInput("", "repository", fmt.Sprintf(
				"a modulemd from elsewhere may not name the local path %q", u.Remote), nil)
		}
		return f.pinLocal(ctx, r, u)
	}
	path, err := localPath(r)
	if err != nil {
		return Pinned{}, badInput("", "repository", "", err)
	}
	return f.pinLocal(ctx, r, GitURL{Scheme: "file", Remote: path})
}

// localPath is the path that the repository of a document means.
func localPath(r Request) (string, error) {
	p := r.Repository
	switch {
	case len(p) > maxURL || strings.ContainsFunc(p, isControl):
		return "", errors.New("the path is too long or holds control characters")
	case filepath.IsAbs(p) && r.Remote:
		return "", fmt.Errorf("a modulemd from elsewhere may not name the local path %q", p)
	case filepath.IsAbs(p):
		return filepath.Clean(p), nil
	case !filepath.IsLocal(p):
		return "", fmt.Errorf("the path %q leaves the directory of the modulemd; write an absolute path or a URL", p)
	}
	full, err := filepath.Abs(filepath.Join(r.BaseDir, p))
	if err == nil && r.Remote && !within(r.BaseDir, full) {
		err = fmt.Errorf("the path %q leaves the directory of the modulemd through a symbolic link", p)
	}
	return full, err
}

// pinLocal takes a local path: a git repository if it is one, else a directory.
func (f *Finder) pinLocal(ctx context.Context, r Request, u GitURL) (Pinned, error) {
	info, err := os.Stat(u.Remote)
	switch {
	case err != nil:
		return Pinned{}, badInput("", "repository", "there is no such git repository or directory", err)
	case !info.IsDir():
		return Pinned{}, badInput("", "repository", fmt.Sprintf("%s is not a directory", u.Remote), nil)
	case isRepository(u.Remote):
		return f.pinGit(ctx, r, u)
	case u.Ref != "" || u.Subdir != "":
		return Pinned{}, badInput("", "repository", fmt.Sprintf("%s is not a git repository", u.Remote), nil)
	}
	if r.Ref != "" {
		f.log().Debug("a plain directory has no refs", "component", r.Component, "ref", r.Ref, "directory", u.Remote)
	}
	return f.pinDir(ctx, r, u.Remote)
}

// isRepository reports whether dir is a work tree's top or a bare repository. A
// directory somewhere below a work tree is not.
func isRepository(dir string) bool {
	if exists(filepath.Join(dir, ".git")) {
		return true
	}
	return exists(filepath.Join(dir, "HEAD")) && exists(filepath.Join(dir, "objects")) && exists(filepath.Join(dir, "refs"))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func hasSpec(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".spec") {
			return true
		}
	}
	return false
}

// within reports whether path, its symbolic links followed, is below base or
// does not exist.
func within(base, path string) bool {
	base, err := filepath.EvalSymlinks(base)
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if base, err = filepath.Abs(base); err != nil {
		return false
	}
	if real, err = filepath.Abs(real); err != nil {
		return false
	}
	rel, err := filepath.Rel(base, real)
	return err == nil && filepath.IsLocal(rel)
}
