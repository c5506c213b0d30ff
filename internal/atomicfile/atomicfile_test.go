package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"old", "new"} {
		if err := Write(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("left in the directory: %v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want 0640", info.Mode(), err)
	}
}

func TestCloseWithoutCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("read %q, %v; want the old content", got, err)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("left in the directory: %v", got)
	}
}

func TestCloseAfterCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := Create(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "kept"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(filepath.Join(dir, "file"), 0o666); err != nil { // and killed
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != "kept" {
		t.Errorf("left after Sweep: %v", got)
	}
	if err := Sweep(filepath.Join(dir, "none")); err != nil {
		t.Errorf("sweeping what is not there: %v", err)
	}
}

func TestNoDirectory(t *testing.T) {
	err := Write(filepath.Join(t.TempDir(), "none", "file"), nil, 0o666)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that says that the directory is not there", err)
	}
}

func TestLink(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there
		if err := Link(from, to); err != nil {
			t.Fatal(err)
		}
	}
	a, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(a, b) {
		t.Error("no link was made on one file system")
	}
	other := filepath.Join(dir, "copy")
	if err := copyFile(from, other, a); err != nil {
		t.Fatal(err)
	}
	c, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "x" || c.Mode() != a.Mode() || !c.ModTime().Equal(a.ModTime()) {
		t.Errorf("copy: %q, %v, mode %v, time %v", got, err, c.Mode(), c.ModTime())
	}
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("left in the directory: %v", got)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(file, "d"), 0o777); err == nil {
		t.Error("a directory was made in a file")
	}
}

// A name may be as long as the file system lets it be.
func TestLongName(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	if err := Write(path, []byte("x"), 0o666); err != nil {
		t.Error(err)
	}
}
