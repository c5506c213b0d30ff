package hostbuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// A host whose packages are RPMs: its database says what is installed.
func TestRPMHost(t *testing.T) {
	asUser(t)
	base := newBuilder(t, Options{})
	if base.rpmHost {
		t.Skip("this test makes a host database of its own, which needs a host that has none")
	}
	// Where the database is, is asked from rpm, which on Debian has it at home.
	homeDir := t.TempDir()
	t.Setenv("HOME", homeDir)
	tool := build(t, base, specJob(t, "host-tool", spec("host-tool", "Provides: tool = 1", "")))
	for _, p := range tool.Packages {
		if p.SourceRPM == "" {
			continue
		}
		if out, err := exec.Command("rpm", "-U", "--justdb", "--nodeps", "--nosignature", p.Path).CombinedOutput(); err != nil {
			t.Fatalf("rpm -U --justdb: %v: %s", err, out)
		}
	}
	var logged bytes.Buffer
	b := newBuilder(t, Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	if !b.rpmHost || !strings.HasPrefix(b.rpmdb, homeDir) {
		t.Skipf("rpm does not have its database at home but in %s", b.rpmdb)
	}
	before := databaseSum(t, b.rpmdb)

	lib := specJob(t, "lib", spec("lib", "BuildRequires: tool >= 1\nRequires: tool", ""))
	user := specJob(t, "user", spec("user", "BuildRequires: lib\nBuildRequires: (tool and lib)", "%build\nrpm -q lib host-tool"))
	user.After = []string{"lib"}
	if err := b.Prepare(context.Background(), []modulebuild.Job{lib, user}); err != nil {
		t.Fatal(err)
	}
	if logged.Len() != 0 {
		t.Errorf("warned: %s", logged.String())
	}
	user.Available = build(t, b, lib).Packages
	build(t, b, user)

	t.Run("missing", func(t *testing.T) {
		x := specJob(t, "x", spec("x", "BuildRequires: absent-one, tool >= 2, pkgconfig(absent)", ""))
		err := b.Prepare(context.Background(), []modulebuild.Job{x})
		var input *modulebuild.InputError
		if !errors.As(err, &input) {
			t.Fatalf("error %v, want an InputError", err)
		}
		for _, part := range []string{"absent-one (for component x)", "tool >= 2", "pkgconfig(absent)", "dnf install"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q is not in: %v", part, err)
			}
		}
	})
	t.Run("rich and unmet", func(t *testing.T) {
		x := specJob(t, "x", spec("x", "BuildRequires: (absent if tool)", ""))
		_, err := b.Build(context.Background(), x)
		var failed *modulebuild.BuildError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "(absent if tool)") {
			t.Errorf("error %v, want a BuildError that names it", err)
		}
	})
	t.Run("package that cannot be installed", func(t *testing.T) {
		needy := build(t, b, specJob(t, "needy", spec("needy", "Requires: absent", "")))
		x := specJob(t, "x", spec("x", "BuildRequires: needy", ""))
		x.Available = needy.Packages
		_, err := b.Build(context.Background(), x)
		var failed *modulebuild.BuildError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "absent is needed by needy") {
			t.Errorf("error %v, want a BuildError that says what is needed", err)
		}
	})
	if after := databaseSum(t, b.rpmdb); after != before {
		t.Errorf("the host's database has changed: %s, before: %s", after, before)
	}
}

func databaseSum(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-shm") {
			continue // touched by reading
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %x\n", e.Name(), sha256.Sum256(data))
	}
	return all.String()
}
