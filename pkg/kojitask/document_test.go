package kojitask

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadDocument(t *testing.T) {
	const v2 = "document: modulemd\nversion: 2\ndata:\n  summary: s\n  description: d\n  license: {module: [MIT]}\n"
	const v3 = "document: modulemd-packager\nversion: 3\ndata:\n  summary: s\n  description: d\n  license: [MIT]\n  configurations:\n"
	const components = "  components:\n    rpms:\n      ash: {rationale: r}\n"
	for _, tc := range []struct {
		name, doc, platform string
		want                []string // contexts
		fails               string
	}{
		{name: "no dependencies", doc: v2 + components, platform: "f40", want: []string{""}},
		{name: "explicit", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: [f40], perl: [\"5\"]}}\n" + components, platform: "f40", want: []string{""}},
		{name: "the target says which platform", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: []}}\n" + components, platform: "f40", want: []string{""}},
		{name: "nobody says which platform", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: []}}\n" + components, fails: "the target does not say which"},
		{name: "another platform", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: [f39]}}\n" + components, platform: "f40", fails: "not for platform:f40"},
		{name: "several streams", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: [f40], perl: [\"5\", \"6\"]}}\n" + components, platform: "f40", fails: "several streams of perl"},
		{name: "all streams but one", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: [f40], perl: [\"-5\"]}}\n" + components, platform: "f40", fails: "several streams of perl"},
		{name: "blocks for two platforms", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: [f39]}}\n  - {buildrequires: {platform: [f40]}}\n" + components,
			platform: "f40", want: []string{""}},
		{name: "two blocks for one platform", doc: v2 + "  dependencies:\n  - {buildrequires: {platform: [f40], perl: [\"5\"]}}\n  - {buildrequires: {platform: [f40], perl: [\"6\"]}}\n" + components,
			platform: "f40", fails: "several blocks"},
		{name: "contexts", doc: v3 + "  - {context: A, platform: f40}\n  - {context: B, platform: f40}\n  - {context: C, platform: f39}\n" + components,
			platform: "f40", want: []string{"A", "B"}},
		{name: "contexts for platforms that nobody chooses from", doc: v3 + "  - {context: A, platform: f40}\n  - {context: C, platform: f39}\n" + components,
			fails: "several platforms"},
		{name: "defaults alone", doc: "document: modulemd-defaults\nversion: 1\ndata: {module: hedge, profiles: {}}\n", fails: "no module that could be built"},
		{name: "no YAML", doc: "document: [", fails: "hedge.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hedge.yaml")
			if err := os.WriteFile(path, []byte(tc.doc), 0o644); err != nil {
				t.Fatal(err)
			}
			d, err := readDocument(t.Context(), Source{Path: path, Pinned: "cli-build/1/hedge.yaml"}, "cli-build/1/hedge.yaml", t.TempDir(), slog.New(slog.DiscardHandler))
			if err == nil {
				err = d.forPlatform(tc.platform)
			}
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("got %v, want an error with %q", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range d.contexts {
				got = append(got, c.name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("contexts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlatform(t *testing.T) {
	for _, tc := range []struct {
		name  string
		extra any
		want  platform
		fails string
	}{
		{name: "nothing"},
		{name: "text", extra: "platform:el9", want: platform{stream: "el9"}},
		{name: "struct", extra: map[string]any{"module": "platform:el9", "disttag_marking": "el9.4", "repository": "https://git.example/rpms/"},
			want: platform{stream: "el9", marking: "el9.4", repoBase: "https://git.example/rpms/"}},
		{name: "another module", extra: "perl:5", fails: `names the module "perl:5"`},
		{name: "a number", extra: int64(9), fails: "is no text"},
		{name: "a struct without a module", extra: map[string]any{"repository": "x"}, fails: "names the module"},
		{name: "a struct with a list", extra: map[string]any{"module": []any{}}, fails: "no text in module"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p platform
			err := p.setModule(tc.extra)
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("got %v, want an error with %q", err, tc.fails)
				}
				return
			}
			if err != nil || p.stream != tc.want.stream || p.marking != tc.want.marking || p.repoBase != tc.want.repoBase {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestDocumentIsInside(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("document: modulemd\nversion: 2\nkey: s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(secret, filepath.Join(dir, "hedge.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err := readDocument(t.Context(), Source{Path: dir, Pinned: "git+https://git.example/hedge#c0ffee"}, "", t.TempDir(), slog.New(slog.DiscardHandler))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a link that leads out of the checkout: %v", err)
	}
}
