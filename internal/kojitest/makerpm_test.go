package kojitest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/kojitest"
	"github.com/kojimod/kojimod/internal/rpmfile"
)

// What is made reads back, its checksums are right, and rpm agrees.
func TestRPM(t *testing.T) {
	tests := []struct {
		name string
		rpm  kojitest.RPM
		want string // what rpm says
	}{
		{"binary", kojitest.RPM{Name: "hello", Version: "1", Release: "2.el9", Arch: "x86_64", Label: "m:1:2:c"}, "hello|(none)|1|2.el9|x86_64|hello-1-2.el9.src.rpm|m:1:2:c"},
		{"epoch", kojitest.RPM{Name: "hello", Version: "1", Release: "2", Arch: "noarch", Epoch: 3, SourceRPM: "a-1-1.src.rpm"}, "hello|3|1|2|noarch|a-1-1.src.rpm|(none)"},
		{"source", kojitest.RPM{Name: "hello", Version: "1", Release: "2", Arch: "src", ExclusiveArch: []string{"x86_64", "s390x"}}, "hello|(none)|1|2|noarch|(none)|(none)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tt.rpm.FileName())
			if err := os.WriteFile(path, tt.rpm.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := rpmfile.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.NEVRA(); got.Name != tt.rpm.Name || got.Version != tt.rpm.Version || got.Release != tt.rpm.Release || got.Arch != tt.rpm.Arch {
				t.Errorf("reads back as %v", got)
			}
			if err := rpmfile.Verify(t.Context(), path); err != nil {
				t.Error(err)
			}
			if _, err := exec.LookPath("rpm"); err != nil {
				t.Skip("rpm is not installed: ", err)
			}
			query := "%{NAME}|%{EPOCH}|%{VERSION}|%{RELEASE}|%{ARCH}|%{SOURCERPM}|%{MODULARITYLABEL}"
			out, err := exec.Command("rpm", "-qp", "--qf", query, path).CombinedOutput()
			if diff := cmp.Diff(tt.want, string(out)); diff != "" || err != nil {
				t.Errorf("rpm -qp: %v (-want +got):\n%s", err, diff)
			}
			if out, err := exec.Command("rpm", "-K", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "digests OK") {
				t.Errorf("rpm -K: %v: %s", err, out)
			}
		})
	}
}
