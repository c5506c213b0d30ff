package rpmfile

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rpmutils "github.com/sassoftware/go-rpmutils"

	cavaliergopher "github.com/cavaliergopher/rpm"
	"github.com/google/go-cmp/cmp"
)

const (
	fixtureDir     = "../../testdata/rpms"
	conformanceDir = "../../../shared/conformance/rpms/packages"
)

// realPackages lists the well-formed packages that are at hand.
func realPackages(t testing.TB) []string {
	var all []string
	for _, dir := range []string{fixtureDir, conformanceDir} {
		found, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		t.Fatal("no packages in " + fixtureDir)
	}
	return all
}

// TestAgainstOtherReaders compares what we read with what two other libraries read.
func TestAgainstOtherReaders(t *testing.T) {
	for _, path := range realPackages(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Run("go-rpmutils", func(t *testing.T) { compareRPMUtils(t, path, p) })
			t.Run("cavaliergopher", func(t *testing.T) { compareCavaliergopher(t, path, p) })
		})
	}
}

func compareRPMUtils(t *testing.T, path string, p *Package) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := rpmutils.ReadHeader(f)
	if err != nil {
		t.Fatal(err)
	}
	if r := h.GetRange(); int64(r.Start) != p.HeaderStart || int64(r.End) != p.HeaderEnd {
		t.Errorf("header range %d-%d, go-rpmutils says %d-%d", p.HeaderStart, p.HeaderEnd, r.Start, r.End)
	}
	for tag, e := range p.Header.entries {
		if tag < 1000 || tag == TagArchiveSize {
			continue // regions, and what go-rpmutils takes from the signature header
		}
		if e.typ.width() == 0 {
			theirs, err := h.GetStrings(int(tag))
			if err != nil || !slices.Equal(theirs, p.Strings(tag)) {
				t.Errorf("tag %d: %q, go-rpmutils says %q (%v)", tag, p.Strings(tag), theirs, err)
			}
		} else if e.typ != typeBin {
			theirs, err := h.GetUint64s(int(tag))
			if err == nil && !slices.Equal(theirs, p.Uint64s(tag)) {
				t.Errorf("tag %d: %v, go-rpmutils says %v", tag, p.Uint64s(tag), theirs)
			}
		}
	}
	nevra, err := h.GetNEVRA()
	if err != nil {
		t.Fatal(err)
	}
	mine := p.NEVRA()
	if nevra.Name != mine.Name || nevra.Version != mine.Version || nevra.Release != mine.Release {
		t.Errorf("NEVRA %v, go-rpmutils says %v", mine, nevra)
	}
	theirs, err := h.GetFiles()
	if err != nil && len(p.Files()) > 0 {
		t.Fatal(err)
	}
	var theirPaths, ourPaths []string
	for _, f := range theirs {
		theirPaths = append(theirPaths, f.Name())
	}
	for _, f := range p.Files() {
		ourPaths = append(ourPaths, f.Path)
	}
	if diff := cmp.Diff(theirPaths, ourPaths); diff != "" {
		t.Errorf("files (-go-rpmutils +ours)\n%s", diff)
	}
}

func compareCavaliergopher(t *testing.T, path string, p *Package) {
	theirs, err := cavaliergopher.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	pairs := []struct{ what, ours, theirs string }{
		{"name", p.NEVRA().Name, theirs.Name()},
		{"version", p.NEVRA().Version, theirs.Version()},
		{"release", p.NEVRA().Release, theirs.Release()},
		{"license", p.License(), theirs.License()},
		{"source", p.SourceRPM(), theirs.SourceRPM()},
		{"summary", p.String(TagSummary), theirs.Summary()},
	}
	for _, x := range pairs {
		if x.ours != x.theirs {
			t.Errorf("%s: %q, cavaliergopher says %q", x.what, x.ours, x.theirs)
		}
	}
	if start, end := theirs.HeaderRange(); int64(start) != p.HeaderStart || int64(end) != p.HeaderEnd {
		t.Errorf("header range %d-%d, cavaliergopher says %d-%d", p.HeaderStart, p.HeaderEnd, start, end)
	}
	lists := []struct {
		kind   DependencyKind
		theirs []cavaliergopher.Dependency
	}{
		{Provides, theirs.Provides()},
		{Requires, theirs.Requires()},
		{Conflicts, theirs.Conflicts()},
		{Obsoletes, theirs.Obsoletes()},
	}
	for _, l := range lists {
		var a, b []string
		for _, d := range p.Dependencies(l.kind) {
			a = append(a, d.Name)
		}
		for _, d := range l.theirs {
			b = append(b, d.Name())
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%s (-cavaliergopher +ours)\n%s", l.kind, diff)
		}
	}
}

func TestVerifyGood(t *testing.T) {
	for _, path := range realPackages(t) {
		if err := Verify(context.Background(), path); err != nil {
			t.Error(err)
		}
	}
}

func TestErrorNamesPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text.rpm")
	if err := os.WriteFile(path, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := ReadFile(path)
	if err == nil || !strings.HasPrefix(err.Error(), path+": not an RPM package") {
		t.Errorf("got %v", err)
	}
}
