package localbuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/internal/regularfile"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// results keeps finished builds below dir, one directory each, and builds in
// progress below tmp. A build is finished at the moment when its directory is
// renamed from there to here: its record is inside.
type results struct {
	dir, tmp string
}

const recordFile = "record.json"

func (r *results) place(component, key string) string {
	return filepath.Join(r.dir, component, key)
}

func (r *results) Find(ctx context.Context, component, key string) (*modulebuild.Record, string, error) {
	rec, err := readRecord(r.place(component, key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "the record of its earlier build cannot be read: " + err.Error(), nil
	}
	for _, pkg := range rec.Packages {
		now, err := repogen.ReadPackage(ctx, pkg.Path, "")
		switch {
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			return nil, filepath.Base(pkg.Path) + " of its earlier build is gone", nil
		case err != nil || now.Checksum != pkg.SHA256:
			return nil, filepath.Base(pkg.Path) + " of its earlier build is damaged", nil
		}
	}
	return rec, "", nil
}

func (r *results) Last(component string) *modulebuild.Record {
	entries, err := os.ReadDir(filepath.Join(r.dir, component))
	if err != nil {
		return nil
	}
	var last *modulebuild.Record
	for _, e := range entries {
		rec, err := readRecord(r.place(component, e.Name()))
		if err == nil && (last == nil || rec.Ended.After(last.Ended)) {
			last = rec
		}
	}
	return last
}

// readRecord gives package paths as they are now: the output may have moved.
func readRecord(dir string) (*modulebuild.Record, error) {
	data, err := regularfile.ReadFile(filepath.Join(dir, recordFile), maxRecord)
	if err != nil {
		return nil, err
	}
	var rec modulebuild.Record
	if err := json.Unmarshal(data, &rec); err != nil {
		return nil, err
	}
	for i, pkg := range rec.Packages {
		if err := safeName(pkg.Path); err != nil {
			return nil, err
		}
		rec.Packages[i].Path = filepath.Join(dir, pkg.Path)
	}
	return &rec, nil
}

func (r *results) Begin(component, key string) (string, error) {
	if err := safeName(component); err != nil {
		return "", err
	}
	dir := filepath.Join(r.tmp, "out-"+component)
	if err := removeAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o777)
}

func (r *results) Finish(rec modulebuild.Record) (*modulebuild.Record, error) {
	from := filepath.Join(r.tmp, "out-"+rec.Component)
	to := r.place(rec.Component, rec.Key)
	stored := rec
	stored.Packages = append([]modulebuild.Package(nil), rec.Packages...)
	for i, pkg := range stored.Packages {
		if filepath.Dir(pkg.Path) != from {
			return nil, fmt.Errorf("package %s is not in %s", pkg.Path, from)
		}
		stored.Packages[i].Path = filepath.Base(pkg.Path)
		if err := syncFile(pkg.Path); err != nil {
			return nil, err
		}
	}
	data, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(filepath.Join(from, recordFile), append(data, '\n'), 0o666); err != nil {
		return nil, err
	}
	if err := realDir(filepath.Dir(to)); err != nil {
		return nil, err
	}
	// A damaged build of the same key gives way.
	if err := removeAll(to); err != nil {
		return nil, err
	}
	if err := os.Rename(from, to); err != nil {
		return nil, err
	}
	if err := atomicfile.SyncDir(filepath.Dir(to)); err != nil {
		return nil, err
	}
	return readRecord(to)
}

// prune removes finished builds that the plan does not use.
func (r *results) prune(plan *modulebuild.Plan) error {
	used := map[string]bool{}
	for _, c := range plan.Components {
		used[r.place(c.Name, c.Key)] = true
	}
	components, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range components {
		if !c.IsDir() {
			if err := os.Remove(filepath.Join(r.dir, c.Name())); err != nil {
				return err
			}
			continue
		}
		builds, err := os.ReadDir(filepath.Join(r.dir, c.Name()))
		if err != nil {
			return err
		}
		for _, b := range builds {
			if place := r.place(c.Name(), b.Name()); !used[place] {
				if err := removeAll(place); err != nil {
					return err
				}
			}
		}
		_ = os.Remove(filepath.Join(r.dir, c.Name())) // goes if it is empty
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// noResults is where a plan looks that has no output yet.
type noResults struct{}

func (noResults) Find(context.Context, string, string) (*modulebuild.Record, string, error) {
	return nil, "", nil
}
func (noResults) Last(string) *modulebuild.Record { return nil }
func (noResults) Begin(string, string) (string, error) {
	return "", errors.New("nothing is built here")
}
func (noResults) Finish(modulebuild.Record) (*modulebuild.Record, error) {
	return nil, errors.New("nothing is built here")
}
