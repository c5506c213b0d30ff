package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kojimod/kojimod/internal/doctor"
	"github.com/kojimod/kojimod/internal/kojitest"
)

// The hub for tests has no such build target, and no policies: doctor says so, ends
// with 1, and leaves no session behind.
func TestDoctorLogin(t *testing.T) {
	hub := kojitest.New(t, kojitest.Options{})
	hub.AddUser("doc", "a pass word")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("a pass word\r\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"doctor", "--server", hub.URL, "--user", "doc", "--password-file", file, "--target", "nope"}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, 0o022, &stdout, &stderr); code != exitFailed || stderr.Len() > 0 {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
	if want := "\nFAIL target: there is no build target nope: koji add-target"; !strings.Contains(stdout.String(), want) {
		t.Errorf("not said: %s\n%s", want, &stdout)
	}
	if n := hub.OpenSessions("doc"); hub.Count("login") != 1 || n != 0 {
		t.Errorf("%d logins, %d sessions left open", hub.Count("login"), n)
	}

	stdout.Reset()
	code := run(t.Context(), append(args, "--json"), 0o022, &stdout, &stderr)
	var findings []doctor.Finding
	if err := json.Unmarshal(stdout.Bytes(), &findings); err != nil || code != exitFailed || len(findings) < 5 {
		t.Errorf("exit code %d, %v:\n%s", code, err, &stdout)
	}

	if err := os.WriteFile(file, []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout.Reset()
	code = run(t.Context(), args, 0o022, &stdout, &stderr)
	if code != exitFailed || !strings.HasPrefix(stdout.String(), "FAIL login: ") || strings.Contains(stdout.String(), "another") {
		t.Errorf("exit code %d:\n%s", code, &stdout)
	}
}
