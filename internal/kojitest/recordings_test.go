package kojitest_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/kojitest"
	"github.com/kojimod/kojimod/internal/kojitest/scenario"
)

// TestRecordings makes the calls that were made to real hubs, and compares the
// answers.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/recordings/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if found := secret.Find(data); found != nil {
				t.Errorf("the recording has %q in it", found)
			}
			var want scenario.Recording
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			compare(t, want, asJSON(t, play(t, want)))
		})
	}
}

// secret is what a recording must not have: a session's key, or where the hub was.
var secret = regexp.MustCompile(`"\d+-[A-Za-z0-9]{19}"|pw"|/tmp|127\.0\.0\.1|Traceback \(`)

// play runs the scenario with a fake hub of the recorded one's kind.
func play(t *testing.T, want scenario.Recording) scenario.Recording {
	t.Helper()
	h := kojitest.New(t, kojitest.Options{Version: want.Version, UpTo1353: upTo1353(want)})
	h.AddHost("recorder", "recorderpw")
	h.Builds(func(_ context.Context, b kojitest.Build) ([][]byte, error) {
		if strings.HasSuffix(b.Source, "/missing.src.rpm") {
			return nil, &kojitest.Failure{Code: 1, Message: "not there"}
		}
		if strings.HasSuffix(b.Source, "/bad.src.rpm") {
			bad := kojitest.RPM{Name: "bad", Version: "1", Release: "1.module+rectest", Arch: "src"}
			files := [][]byte{bad.Bytes()}
			bad.Arch = "noarch"
			for _, name := range []string{"build", "chroot", "mock_config", "mock_output", "root", "state"} {
				b.Logs[name+".log"] = "no luck\n"
			}
			return append(files, bad.Bytes()), errors.New(
				"error building package (arch noarch), mock exited with status 1; see build.log for more information")
		}
		hello := kojitest.RPM{Name: "hello", Version: "1", Release: "1.module+rectest", Arch: "src"}
		files := [][]byte{hello.Bytes()}
		hello.Arch = "noarch"
		return append(files, hello.Bytes()), nil
	})
	conf := scenario.Config{URL: h.URL, Prefix: "rectest", Admin: scenario.Login{User: "kojiadmin", Password: "adminpw"},
		User: scenario.Login{User: "packager", Password: "packagerpw"}, Host: scenario.Login{User: "recorder", Password: "recorderpw"},
		SRPM: []byte("a source package"), FailingSRPM: []byte("a source package")}
	if want.Expired {
		conf.Expire = func(_ context.Context, id int64) error {
			h.ExpireSessions(id)
			return nil
		}
	}
	got, err := scenario.Run(t.Context(), conf)
	if err != nil {
		t.Error(err)
	}
	return got
}

// upTo1353 reports whether the recorded hub took a call twice that had its number
// under the new header name.
func upTo1353(r scenario.Recording) bool {
	for _, e := range r.Exchanges {
		if e.Header == "Koji-Session-Callnum" && e.Fault != nil && e.Fault.Code == 1009 {
			return false
		}
	}
	return true
}

// asJSON gives numbers the types that those of a file have.
func asJSON(t *testing.T, r scenario.Recording) (out scenario.Recording) {
	t.Helper()
	data, err := scenario.Marshal(r)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func compare(t *testing.T, want, got scenario.Recording) {
	t.Helper()
	for i, w := range want.Exchanges {
		if i >= len(got.Exchanges) {
			t.Fatalf("the fake was asked %d times instead of %d", len(got.Exchanges), len(want.Exchanges))
		}
		g := got.Exchanges[i]
		if w.Step != g.Step || w.Method != g.Method {
			t.Fatalf("call %d: %s (%s) instead of %s (%s)", i, g.Method, g.Step, w.Method, w.Step)
		}
		if diff := cmp.Diff(w, g); diff != "" {
			t.Errorf("call %d, %s: %s as %s (-real +fake):\n%s", i, w.Step, w.Method, w.Who, diff)
		}
	}
}
