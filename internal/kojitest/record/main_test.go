package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kojimod/kojimod/internal/kojitest"
	"github.com/kojimod/kojimod/internal/kojitest/scenario"
)

// passwords writes the files with passwords and returns the arguments that name them.
func passwords(t *testing.T) []string {
	t.Helper()
	var args []string
	for who, password := range map[string]string{"admin": "adminpw", "user": "packagerpw", "host": "recorderpw"} {
		file := filepath.Join(t.TempDir(), who)
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+who+"-password-file", file)
	}
	return args
}

func TestRecord(t *testing.T) {
	h := kojitest.New(t, kojitest.Options{})
	h.AddHost("recorder", "recorderpw")
	rpm := kojitest.RPM{Name: "hello", Version: "1", Release: "1", Arch: "src"}
	h.Builds(func(_ context.Context, b kojitest.Build) ([][]byte, error) {
		if !strings.HasSuffix(b.Source, "/hello.src.rpm") {
			return nil, &kojitest.Failure{Code: 1, Message: "not there"}
		}
		bin := rpm
		bin.Arch = "noarch"
		return [][]byte{rpm.Bytes(), bin.Bytes()}, nil
	})
	dir := t.TempDir()
	srpm, out := filepath.Join(dir, "hello.src.rpm"), filepath.Join(dir, "out.json")
	if err := os.WriteFile(srpm, rpm.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(passwords(t), "--server", h.URL, "--user", "packager", "--host", "recorder", "--srpm", srpm, "--failing-srpm", srpm, "--out", out)
	var stderr bytes.Buffer
	if err := run(t.Context(), args, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var got scenario.Recording
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if last := got.Exchanges[len(got.Exchanges)-1]; got.Expired || got.Version != "1.35.3" || last.Step != "the end" {
		t.Errorf("version %q, expired %v, the last step is %q", got.Version, got.Expired, last.Step)
	}
	if bytes.Contains(data, []byte("pw\"")) {
		t.Error("a password is in the recording")
	}
}

func TestRecordRefuses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.json")
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "are needed"},
		{"no password", []string{"--server", "http://127.0.0.1:9", "--user", "u", "--host", "h", "--srpm", "main.go", "--failing-srpm", "main.go", "--out", out}, "reading a password"},
		{"no hub", append(passwords(t), "--server", "http://127.0.0.1:9", "--user", "u", "--host", "h", "--srpm", "main.go", "--failing-srpm", "main.go", "--out", out), "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a recording that is not whole was written")
			}
		})
	}
}
