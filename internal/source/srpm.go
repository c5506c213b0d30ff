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
	"slices"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/internal/ctxio"
	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/internal/rpmver"
)

// pinSRPM pins a source RPM that must be of a package with one of the names.
func (f *Finder) pinSRPM(ctx context.Context, path string, names []string) (Pinned, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Pinned{}, err
	}
	pkg, err := rpmfile.ReadFile(path)
	if err != nil {
		return Pinned{}, rpmFault(path, err)
	}
	if err := pkg.CheckNames(); err != nil {
		return Pinned{}, badInput("", path, "", err)
	}
	nevra := pkg.NEVRA()
	if !pkg.IsSource() {
		return Pinned{}, badInput("", path, fmt.Sprintf("it is the binary package %s; give the source package", nevra), nil)
	}
	if !slices.Contains(names, nevra.Name) {
		return Pinned{}, badInput("", path, fmt.Sprintf("it is the source of %q, not of %q; "+
			"if that is meant, set name: %s for the component", nevra.Name, names[0], nevra.Name), nil)
	}
	if err := rpmfile.Verify(ctx, path); err != nil {
		return Pinned{}, rpmFault(path, err)
	}
	h := sha256.New()
	if err := f.readFile(ctx, path, h); err != nil {
		return Pinned{}, err
	}
	return Pinned{
		Kind: SRPM, Location: path, path: path, name: nevra.Filename(),
		Digest: "sha256:" + hex.EncodeToString(h.Sum(nil)),
	}, nil
}

// rpmFault blames the file for what rpmfile says is wrong with its content.
func rpmFault(path string, err error) error {
	var bad *rpmfile.Error
	if errors.As(err, &bad) {
		return badInput("", "", "it is no usable source RPM; get it anew", err)
	}
	return &Error{Subject: path, Msg: "cannot read the source RPM", Err: err}
}

// readFile writes the file's content to w.
func (f *Finder) readFile(ctx context.Context, path string, w io.Writer) error {
	in, _, err := rpmfile.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	return copyBounded(w, ctxio.Reader(ctx, in), f.maxSize(), path)
}

// srpmIndex is what a directory of source RPMs has.
type srpmIndex struct {
	byName map[string][]srpmFile // by name in the header
	broken map[string]error      // by path: files that cannot be read
	all    []srpmFile
}

type srpmFile struct {
	path, name string
	evr        rpmver.EVR
}

// pinFromSRPMDir takes the component from the user's directory, if it is there:
// the highest version of its source RPMs, or NAME/ with a spec.
func (f *Finder) pinFromSRPMDir(ctx context.Context, r Request) (p Pinned, ok bool, err error) {
	f.srpmOnce.Do(func() { f.srpmIndex, f.srpmErr = f.indexSRPMs() })
	if f.srpmErr != nil {
		return Pinned{}, false, badInput("", "--srpms", "cannot read the directory", f.srpmErr)
	}
	var found []srpmFile
	for _, name := range r.own() {
		found = append(found, f.srpmIndex.byName[name]...)
	}
	if len(found) > 0 {
		best := slices.MaxFunc(found, func(a, b srpmFile) int {
			if c := a.evr.Compare(b.evr); c != 0 {
				return c
			}
			return strings.Compare(a.path, b.path)
		})
		if len(found) > 1 {
			f.log().Warn("several source RPMs of one package; the highest version is taken",
				"component", r.Component, "taken", best.path, "found", len(found))
		}
		p, err = f.pinSRPM(ctx, best.path, r.names())
		return p, true, err
	}
	for _, name := range r.own() {
		if dir := filepath.Join(f.SRPMDir, name); checkFileName(name) == nil && hasSpec(dir) {
			p, err = f.pinDir(ctx, r, dir)
			return p, true, err
		}
		for _, path := range sortedKeys(f.srpmIndex.broken) {
			if looksLike(path, name) {
				return Pinned{}, false, rpmFault(path, f.srpmIndex.broken[path])
			}
		}
	}
	return Pinned{}, false, nil
}

// looksLike tells whether a file is called as the package would be: NAME, a dash,
// and a version, which nearly always begins with a digit.
func looksLike(path, name string) bool {
	rest, ok := strings.CutPrefix(filepath.Base(path), name+"-")
	return ok && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// indexSRPMs reads the headers of the RPMs in SRPMDir.
func (f *Finder) indexSRPMs() (srpmIndex, error) {
	index := srpmIndex{byName: map[string][]srpmFile{}, broken: map[string]error{}}
	entries, err := os.ReadDir(f.SRPMDir)
	if err != nil {
		return index, err
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".rpm") {
			continue
		}
		path := filepath.Join(f.SRPMDir, e.Name())
		pkg, err := rpmfile.ReadFile(path)
		if err != nil {
			f.log().Warn("an RPM cannot be read", "path", path, "error", err)
			index.broken[path] = err
			continue
		}
		if !pkg.IsSource() {
			continue
		}
		n := pkg.NEVRA()
		file := srpmFile{path, n.Name, rpmver.EVR{Epoch: strconv.FormatUint(n.Epoch, 10), Version: n.Version, Release: n.Release}}
		index.byName[n.Name] = append(index.byName[n.Name], file)
		index.all = append(index.all, file)
	}
	return index, nil
}

// hint says which files look as if they were of a package but are not.
func (i srpmIndex) hint(names []string) string {
	for _, name := range names {
		for _, file := range i.all {
			if base := filepath.Base(file.path); strings.HasPrefix(base, name+"-") {
				return fmt.Sprintf("; %s is the source of %q", base, file.name)
			}
		}
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
