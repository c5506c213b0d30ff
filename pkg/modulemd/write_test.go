package modulemd

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameDocument compares documents as the format does: lists that are sets in
// any order, positions aside, nothing the same as empty.
var sameDocument = cmp.Options{
	cmpopts.IgnoreTypes(Position{}),
	cmpopts.EquateEmpty(),
	cmpopts.SortSlices(func(a, b string) bool { return a < b }),
	cmpopts.SortSlices(func(a, b NEVRA) bool { return a.String() < b.String() }),
	cmp.Comparer(func(a, b *Node) bool { return sameNode(a, b) }),
}

func sameNode(a, b *Node) bool {
	if a.Kind() != b.Kind() || a.Text() != b.Text() || len(a.Items()) != len(b.Items()) || len(a.Keys()) != len(b.Keys()) {
		return false
	}
	for i := range a.Items() {
		if !sameNode(a.Items()[i], b.Items()[i]) {
			return false
		}
	}
	for _, key := range a.Keys() {
		if !slices.Contains(b.Keys(), key) || !sameNode(a.Get(key), b.Get(key)) {
			return false
		}
	}
	return true
}

// fixtures are the documents of testdata, and of libmodulemd's tests where
// they are there.
func fixtures(t testing.TB) map[string][]byte {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no fixtures: ", err)
	}
	more, err := filepath.Glob("../../../shared/conformance/modulemd/documents/spec/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, path := range append(paths, more...) {
		if all[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestRoundTrip reads what was written, and writes it once more.
func TestRoundTrip(t *testing.T) {
	for name, text := range fixtures(t) {
		t.Run(name, func(t *testing.T) { roundTrip(t, text) })
	}
}

func roundTrip(t *testing.T, text []byte) {
	docs, _ := Read(bytes.NewReader(text), "in")
	var first, second bytes.Buffer
	if err := Write(&first, docs...); err != nil {
		t.Fatal(err)
	}
	again, err := Read(bytes.NewReader(first.Bytes()), "out")
	if err != nil {
		t.Fatalf("%v in\n%s", err, &first)
	}
	if diff := cmp.Diff(docs, again, sameDocument); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
	if err := Write(&second, again...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.String(), second.String()); diff != "" {
		t.Errorf("bytes (-first +second)\n%s", diff)
	}
}

// TestGolden holds the bytes that are written for testdata.
func TestGolden(t *testing.T) {
	for _, name := range []string{"packager-v2", "packager-v3", "built"} {
		t.Run(name, func(t *testing.T) {
			docs, err := ReadFile("testdata/" + name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, "testdata/"+name+".golden", docs...)
		})
	}
}

// TestToStream turns a packager's document into those of its configurations.
func TestToStream(t *testing.T) {
	docs, err := ReadFile("testdata/packager-v3.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := docs[0].(*PackagerV3)
	for _, context := range []string{"A1", "B2"} {
		stream, defaults, err := p.ToStream(context)
		if err != nil {
			t.Fatal(err)
		}
		checkGolden(t, "testdata/packager-v3-"+context+".golden", defaults, stream)
	}
	for name, tt := range map[string]struct {
		spoil func(p *PackagerV3)
		text  string
		want  string
	}{
		"which":       {func(*PackagerV3) {}, "", "testdata/packager-v3.yaml:2:1: the document has several configurations; choose a context: A1, B2"},
		"unknown":     {func(*PackagerV3) {}, "C", `testdata/packager-v3.yaml:2:1: the document has no configuration with the context "C"; it has A1, B2`},
		"none":        {func(p *PackagerV3) { p.Configurations = nil }, "", "testdata/packager-v3.yaml:2:1: data.configurations is missing: write at least one, with context and platform"},
		"description": {func(p *PackagerV3) { p.Description = "" }, "A1", "testdata/packager-v3.yaml:2:1: data.description: is missing; write what the module is for"},
	} {
		t.Run(name, func(t *testing.T) {
			q := *p
			tt.spoil(&q)
			if _, _, err := q.ToStream(tt.text); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	q := *p
	q.Configurations, q.License, q.Profiles = p.Configurations[1:], nil, nil
	stream, defaults, err := q.ToStream("")
	if err != nil || defaults != nil {
		t.Fatalf("the only configuration: %v, defaults %v", err, defaults)
	}
	if diff := cmp.Diff([]string{"MIT"}, stream.License.Module); diff != "" {
		t.Errorf("licence (-want +got)\n%s", diff)
	}
}

// checkGolden compares with a file; UPDATE_GOLDEN=1 writes it.
func checkGolden(t *testing.T, path string, docs ...Document) {
	t.Helper()
	var got bytes.Buffer
	if err := Write(&got, docs...); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got)\n%s", path, diff)
	}
}

// macros are texts that must come through a build and a repository unchanged.
var macros = []string{
	"%a 1", "%a 1\n", "%a 1\n%b 2\n", "%a 1\n\n\n%b 2\n\n", "%a() %{expand: \\\n  x \\\n  y\n}\n", "  %a 1\n%b\n", "\n%a\n", "%a 1 \n%b 2\n", "%a\t1\n\t%b\n",
	"%a " + strings.Repeat("word ", 40) + "\n%b\n", "# c\n%a 1\n", "%a 1\r\n%b\r\n", "%a \u00e9\n", " " + strings.Repeat("x y ", 40) + "\n",
	"%a %{lua: print(\"x: y\")}\n", "---\n...\n", "%a\n " + strings.Repeat("word ", 40) + "\nb\n", "\n", "\n\n", " ", "%a\n \n%b\n",
}

func TestMacrosAreKept(t *testing.T) {
	for _, text := range macros {
		s := hardStream()
		s.BuildOpts.RPMs.Macros = text
		var out bytes.Buffer
		if err := Write(&out, s); err != nil {
			t.Fatal(err)
		}
		docs, err := Read(&out, "out")
		if err != nil {
			t.Fatal(err)
		}
		if got := docs[0].(*Stream).BuildOpts.RPMs.Macros; got != text {
			t.Errorf("macros %q became %q", text, got)
		}
	}
}

// hardStream has in every place what readers of YAML take for something else.
func hardStream() *Stream {
	return &Stream{
		Name: "010", Stream: "1.10", Version: 1, Context: "12e45678", Arch: "x86_64", Summary: "yes", Description: "null",
		License:      License{Module: []string{"no"}, Content: []string{"0x1F", "1_000"}},
		XMD:          NewMap().Set("on", NewText("off")).Set("n", NewBool(true)).Set("1.5", NewList(NewText("2020-01-01"), NewMap(), NewList(NewText("~")))),
		Dependencies: []Dependencies{{BuildRequires: map[string][]string{"platform": {"12:30"}, "y": {"-1.20", "-8"}}, Requires: map[string][]string{"platform": {}}}},
		Profiles:     map[string]Profile{"no": {Description: "true", RPMs: []string{"1e5", "null"}}},
		API:          []string{"=", "<<", "010"},
		Components:   Components{RPMs: map[string]*ComponentRPM{"true": {Rationale: "1.0", Ref: "1234567e1", BuildAfter: []string{"0o17"}}, "0o17": {Ref: "+1", Arches: []string{"off"}}}},
		Artifacts:    Artifacts{RPMs: []NEVRA{{Name: "a", Version: "1", Release: "1", Arch: "src"}}, RPMMap: map[string]map[string]NEVRA{"sha256": {"00": {Name: "no", Version: "1.10", Release: "2", Arch: "noarch"}}}},
	}
}

func TestHardStreamRoundTrips(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, hardStream()); err != nil {
		t.Fatal(err)
	}
	docs, err := Read(bytes.NewReader(out.Bytes()), "out")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Document{hardStream()}, docs, sameDocument); diff != "" {
		t.Errorf("(-written +read)\n%s\n%s", diff, &out)
	}
}

// libmodulemd runs a Python program with libmodulemd's bindings, with text on
// its standard input.
func libmodulemd(t *testing.T, program string, text []byte) string {
	t.Helper()
	const load = "import gi\ngi.require_version('Modulemd', '2.0')\nfrom gi.repository import Modulemd\nimport sys\ntext = sys.stdin.buffer.read().decode()\n"
	if err := exec.Command("/usr/bin/python3", "-c", load).Run(); err != nil {
		t.Skip("libmodulemd's Python bindings are not installed:", err)
	}
	cmd := exec.Command("/usr/bin/python3", "-c", load+program)
	cmd.Stdin = bytes.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("libmodulemd: %v\n%s\n%s", err, &stderr, text)
	}
	return string(out)
}

const strictIndex = `
index = Modulemd.ModuleIndex.new()
ok, failures = index.update_from_string(text, True)
for f in failures:
    print("failed:", f.get_gerror().message)
`

// TestLibmodulemdAccepts lets the format's own library read what is written,
// strictly, and compares what it finds.
func TestLibmodulemdAccepts(t *testing.T) {
	docs, err := ReadFile("testdata/built.yaml")
	if err != nil {
		t.Fatal(err)
	}
	v3, err := ReadFile("testdata/packager-v3.yaml")
	if err != nil {
		t.Fatal(err)
	}
	stream, defaults, err := v3[0].(*PackagerV3).ToStream("B2")
	if err != nil {
		t.Fatal(err)
	}
	for name, docs := range map[string][]Document{
		"built": docs, "converted": {stream, defaults}, "hard": {hardStream()},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Write(&out, docs...); err != nil {
				t.Fatal(err)
			}
			if got := libmodulemd(t, strictIndex, out.Bytes()); got != "" {
				t.Errorf("%s\n%s", got, &out)
			}
		})
	}
}

// TestLibmodulemdReadsMacros compares the macros that libmodulemd finds.
func TestLibmodulemdReadsMacros(t *testing.T) {
	var texts []string
	for _, text := range macros {
		s := hardStream()
		s.BuildOpts.RPMs.Macros = text
		var out strings.Builder
		if err := Write(&out, s); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, out.String())
	}
	input, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	result := libmodulemd(t, `
import json
found = []
for one in json.loads(text):
    index = Modulemd.ModuleIndex.new()
    ok, failures = index.update_from_string(one, True)
    if not ok:
        sys.exit(failures[0].get_gerror().message)
    found.append(index.get_module("010").get_all_streams()[0].get_buildopts().get_rpm_macros())
json.dump(found, sys.stdout)
`, input)
	var got []string
	if err := json.Unmarshal([]byte(result), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(macros, got); diff != "" {
		t.Errorf("macros (-written +read)\n%s", diff)
	}
}

// TestLibmodulemdAcceptsPackager does the same for packagers' documents.
func TestLibmodulemdAcceptsPackager(t *testing.T) {
	for _, name := range []string{"packager-v2", "packager-v3"} {
		docs, err := ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := Write(&out, docs...); err != nil {
			t.Fatal(err)
		}
		if got := libmodulemd(t, "print(Modulemd.read_packager_string(text, None, None) is not None)", out.Bytes()); got != "True\n" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// FuzzRead reads anything, and writes and reads again what is good in it.
func FuzzRead(f *testing.F) {
	for _, text := range fixtures(f) {
		f.Add(text)
	}
	for _, text := range macros {
		s := hardStream()
		s.BuildOpts.RPMs.Macros = text
		var out bytes.Buffer
		if err := Write(&out, s); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) < 1<<16 {
			roundTrip(t, text)
		}
	})
}

// FuzzText puts any text in the places where text is free.
func FuzzText(f *testing.F) {
	for _, text := range macros {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := hardStream()
		s.Summary, s.Description, s.BuildOpts.RPMs.Macros = text, text, text
		s.Components.RPMs["a"] = &ComponentRPM{Rationale: text}
		s.XMD.Set("text", NewText(text)).Set("list", NewList(NewText(text)))
		var out bytes.Buffer
		if Write(&out, s) != nil {
			return
		}
		docs, err := Read(bytes.NewReader(out.Bytes()), "out")
		if err != nil {
			t.Fatalf("%v in\n%s", err, &out)
		}
		if diff := cmp.Diff([]Document{s}, docs, sameDocument); diff != "" {
			t.Errorf("(-written +read)\n%s\n%s", diff, &out)
		}
	})
}
