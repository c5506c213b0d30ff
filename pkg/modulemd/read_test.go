package modulemd

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Beginnings of documents for the tables below, six lines or so each.
const (
	streamHead   = "document: modulemd\nversion: 2\ndata:\n  name: m\n  stream: s\n  summary: x\n  description: y\n  license: {module: [MIT]}\n"
	v2Head       = "document: modulemd-packager\nversion: 2\ndata:\n  summary: x\n  description: y\n  license: {module: [MIT]}\n"
	v3Head       = "document: modulemd-packager\nversion: 3\ndata:\n  name: m\n  stream: s\n"
	defaultsHead = "document: modulemd-defaults\nversion: 1\ndata:\n  module: m\n"
)

func TestBadInput(t *testing.T) {
	rpms := "  components:\n    rpms:\n"
	tests := []struct {
		name string
		text string
		want string // lines of the error
	}{
		{"YAML that does not parse", "document: [a\n", `f:1: document 1: expected ',' or ']' in this [list]; found "document: [a"`},
		{"empty document", "---\n...\n", `f:1: document 1: the document is empty; write document, version and data, or remove the "---"`},
		{"text", "hello\n", "f:1:1: document 1: expected a mapping, found text"},
		{"no type", "version: 2\ndata: {}\n", `f:1:1: document 1: document: is missing; write for example "document: modulemd-packager"`},
		{"no version", "document: modulemd\ndata: {}\n", `f:1:1: document 1: version: is missing; write for example "version: 3"`},
		{"no data", "document: modulemd\nversion: 2\n", `f:1:1: document 1: data: is missing`},
		{"unknown root key", "document: modulemd\nversion: 2\ndate: {}\n", `f:3:1: document 1: date: unknown key; did you mean "data"?`},
		{"version that is no number", "document: modulemd\nversion: 2.0\ndata: {}\n", `f:2:10: document 1: version: expected a whole number from 0 to 18446744073709551615, found "2.0"`},
		{"wrong type", "document: modulemd-translations\nversion: 1\ndata: {}\n",
			`f:1:11: document 1: "modulemd-translations" version 1 is not read by this version of the program; it reads modulemd 2, modulemd-packager 2 and 3, and modulemd-defaults 1`},
		{"wrong version", "document: modulemd\nversion: 3\ndata: {}\n",
			`f:1:11: document 1: "modulemd" version 3 is not read by this version of the program; it reads modulemd 2, modulemd-packager 2 and 3, and modulemd-defaults 1`},

		{"mandatory fields", "document: modulemd\nversion: 2\ndata:\n  name: m\n", `f:3:1: document 1: data.summary: is missing; write a line that says what the module is
f:3:1: document 1: data.description: is missing; write what the module is for
f:3:1: document 1: data.license.module: is missing; write the licence of the module's metadata, for example [MIT]`},
		{"empty field", strings.Replace(v2Head, "summary: x", "summary:", 1), "f:4:3: document 1: data.summary: is missing; write a line that says what the module is"},
		{"all problems of a document", v3Head + "  sumary: x\n  xmd: []\n  colour: red\n", `f:6:3: document 1: data.sumary: unknown key; did you mean "summary"?
f:7:8: document 1: data.xmd: expected a mapping, found a list
f:8:3: document 1: data.colour: unknown key; remove it`},
		{"key of a built module", v2Head + "  arch: m\n", `f:7:9: document 1: data.arch: is not a key of modulemd-packager version 2; use "document: modulemd", or modulemd-packager version 3, to set it`},
		{"list where text belongs", streamHead + "  arch: [x86_64]\n", "f:9:9: document 1: data.arch: expected text, found a list"},
		{"nothing where a mapping belongs", streamHead + "  api:\n", "f:9:7: document 1: data.api: expected a mapping, found nothing"},
		{"boolean", streamHead + "  static_context: True\n", `f:9:19: document 1: data.static_context: expected true or false, found "True"`},
		{"negative version", streamHead + "  version: -1\n", `f:9:12: document 1: data.version: expected a whole number from 0 to 18446744073709551615, found "-1"`},
		{"octal buildorder", streamHead + rpms + "      a: {buildorder: 0x10}\n", `f:11:23: document 1: data.components.rpms.a.buildorder: expected a whole number of 64 bits, found "0x10"`},
		{"static context", streamHead + "  static_context: true\n  context: a-b\n", `f:10:12: document 1: data.context: "a-b" is not a static context; use 1 to 13 letters, digits and '_'`},
		{"module name", strings.Replace(streamHead, "name: m", "name: ../m", 1), `f:4:9: document 1: data.name: "../m" has a '/' in it; use letters, digits, '-', '_', '.' and '+'`},
		{"stream name", strings.Replace(streamHead, "stream: s", "stream: a b", 1), `f:5:11: document 1: data.stream: "a b" has a blank in it; remove it`},
		{"profile name", streamHead + "  profiles: {\"a\\tb\": {}}\n", `f:9:14: document 1: data.profiles."a\tb": "a\tb" has a control character in it; remove it`},
		{"service level", streamHead + "  servicelevels: {x: {eol: 2020-13-01}}\n", `f:9:28: document 1: data.servicelevels.x.eol: "2020-13-01" is not a day; write it as 2077-10-23`},
		{"mixed streams", streamHead + "  dependencies:\n  - requires: {platform: [f1, -f2]}\n", "f:10:16: document 1: data.dependencies.0.requires.platform: has streams with and without '-'; list either the streams to use or those to leave out"},
		{"artifact", streamHead + "  artifacts:\n    rpms: [a-1-1.noarch]\n", `f:10:12: document 1: data.artifacts.rpms.0: "a-1-1.noarch" is not a package in the form N-E:V-R.A: no ':' between epoch and version`},
		{"rpm-map", streamHead + "  artifacts:\n    rpm-map:\n      sha256:\n        ab: {name: a, epoch: 0, version: 1, release: 1, arch: noarch, nevra: b-0:1-1.noarch}\n",
			`f:12:78: document 1: data.artifacts.rpm-map.sha256.ab.nevra: "b-0:1-1.noarch" is not what the other keys say, "a-0:1-1.noarch"`},
		{"rpm-map without a version", streamHead + "  artifacts:\n    rpm-map:\n      sha256:\n        ab: {name: a, epoch: 0, release: 1, arch: noarch}\n",
			`f:12:9: document 1: data.artifacts.rpm-map.sha256.ab.version: is missing
f:12:9: document 1: data.artifacts.rpm-map.sha256.ab.nevra: is missing`},

		{"two components of one name", streamHead + rpms + "      a: {}\n      b: {}\n      a: {}\n", `f:13:7: document 1: key "a" stands here a second time, first on line 11; remove one of them`},
		{"component outside", streamHead + rpms + "      ../x: {}\n", `f:11:7: document 1: data.components.rpms."../x": "../x" has a '/' in it; use letters, digits, '-', '_', '.' and '+'`},
		{"component ..", streamHead + rpms + "      ..: {}\n", `f:11:7: document 1: data.components.rpms."..": ".." begins with '.'; begin with a letter or digit`},
		{"component like an option", streamHead + rpms + "      -x: {}\n", `f:11:7: document 1: data.components.rpms.-x: "-x" begins with '-'; begin with a letter or digit`},
		{"component without a name", streamHead + rpms + "      \"\": {}\n", `f:11:7: document 1: data.components.rpms."": "" is empty; give a name`},
		{"real name outside", v3Head + rpms + "      a: {name: /etc/x}\n", `f:8:17: document 1: data.components.rpms.a.name: "/etc/x" has a '/' in it; use letters, digits, '-', '_', '.' and '+'`},
		{"control character in a ref", v3Head + rpms + "      a:\n        ref: \"x\\ny\"\n", `f:9:14: document 1: data.components.rpms.a.ref: "x\ny" has a control character in it; remove it`},
		{"module component outside", v3Head + "  components: {modules: {a/b: {}}}\n", `f:6:26: document 1: data.components.modules.a/b: "a/b" has a '/' in it; use letters, digits, '-', '_', '.' and '+'`},
		{"buildafter unknown", v3Head + rpms + "      perl: {}\n      b: {buildafter: [pearl]}\n", `f:9:24: document 1: data.components.rpms.b.buildafter.0: "pearl" is not a component of this module; did you mean "perl"?`},
		{"buildafter and buildorder", v3Head + rpms + "      a: {buildorder: 1}\n      b: {buildafter: [a]}\n", `f:9:11: document 1: data.components.rpms.b.buildafter: components use buildafter ("b") and buildorder ("a"); use one of them in the whole module`},
		{"circle", v3Head + rpms + "      a: {buildafter: [b]}\n      b: {buildafter: [c]}\n      c: {buildafter: [b]}\n",
			"f:9:11: document 1: data.components.rpms.b.buildafter: components wait for each other: b after c after b; remove one of these"},
		{"after itself", v3Head + rpms + "      a: {buildafter: a}\n", "f:8:23: document 1: data.components.rpms.a.buildafter: components wait for each other: a after a; remove one of these"},
		{"arches beyond the module's", streamHead + "  buildopts: {arches: [x86_64]}\n" + rpms + "      a: {arches: [i686]}\n",
			`f:12:20: document 1: data.components.rpms.a.arches.0: "i686" is not among the module's own arches (x86_64); add it to data.buildopts.arches or remove it here`},

		{"configuration without a context", v3Head + "  configurations:\n  - platform: f1\n", "f:7:5: document 1: data.configurations.0.context: is missing; write 1 to 10 letters and digits that name this configuration"},
		{"configuration without a platform", v3Head + "  configurations:\n  - context: A\n", "f:7:5: document 1: data.configurations.0.platform: is missing; write the platform to build for, for example f40"},
		{"contexts", v3Head + "  configurations:\n  - {context: A, platform: f1}\n  - {context: A_, platform: f1}\n  - {context: A, platform: f2}\n",
			`f:8:15: document 1: data.configurations.1.context: "A_" is not a context; use 1 to 10 letters and digits
f:9:15: document 1: data.configurations.2.context: "A" is also the context of configuration 1; each needs its own`},
		{"configuration with two streams", v3Head + "  configurations:\n  - {context: A, platform: f1, requires: {b: [c, d]}}\n", "f:7:43: document 1: data.configurations.0.requires.b: has 2 streams; a configuration takes exactly one"},

		{"defaults without a module", "document: modulemd-defaults\nversion: 1\ndata: {}\n", "f:3:1: document 1: data.module: is missing; write the name of the module"},
		{"defaults of another day", defaultsHead + "  modified: 2020-01-01\n", `f:5:13: document 1: data.modified: expected a whole number from 0 to 18446744073709551615, found "2020-01-01"`},
		{"bad documents among good ones", defaultsHead + "---\n" + defaultsHead + "  x: y\n---\n" + defaultsHead + "...\n---\na: [\n",
			"f:10:3: document 2: data.x: unknown key; remove it\nf:18: document 4: expected a value; found \"a: [\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			docs, err := Read(strings.NewReader(tt.text), "f")
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got error %v and %d documents, want Problems", err, len(docs))
			}
			if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestGoodOnesAreReturned reads on after bad documents of every kind.
func TestGoodOnesAreReturned(t *testing.T) {
	text := streamHead + "---\na: [\n---\n" + v2Head + "---\ndocument: x\nversion: 1\ndata: {}\n---\n" + v3Head + "---\n- \x00\n---\n" + defaultsHead
	docs, err := Read(strings.NewReader(text), "f")
	var got []Position
	for _, d := range docs {
		got = append(got, d.Position())
	}
	want := []Position{{"f", 1, 1}, {"f", 12, 1}, {"f", 23, 1}, {"f", 31, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-want +got)\n%s", diff)
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Errorf("got %v, want three problems", err)
	}
	if !errors.Is(err, ErrUnsupported) {
		t.Errorf("%v does not say that a type is not supported", err)
	}
}

// TestTooManyProblems makes sure that a file of nothing but mistakes ends.
func TestTooManyProblems(t *testing.T) {
	_, err := Read(strings.NewReader(strings.Repeat("---\n", 1<<20)), "f")
	if err == nil || !strings.HasSuffix(err.Error(), "f: gave up at document 100: at most 100 problems and 100000 documents are read from one file") {
		t.Errorf("got %.200v", err)
	}
}

// TestSameMessageFromAPI breaks a document in memory as in a file: but for the
// place the messages are the same, and nothing is written.
func TestSameMessageFromAPI(t *testing.T) {
	base := func() *Stream {
		return &Stream{Name: "m", Stream: "s", Summary: "x", Description: "y", License: License{Module: []string{"MIT"}}}
	}
	tests := []struct {
		name  string
		text  string
		spoil func(*Stream)
	}{
		{"no summary", strings.Replace(streamHead, "  summary: x\n", "", 1), func(s *Stream) { s.Summary = "" }},
		{"name", strings.Replace(streamHead, "name: m", "name: a/b", 1), func(s *Stream) { s.Name = "a/b" }},
		{"component", streamHead + "  components: {rpms: {../a: {}}}\n", func(s *Stream) { s.Components.RPMs = map[string]*ComponentRPM{"../a": {}} }},
		{"circle", streamHead + "  components: {rpms: {a: {buildafter: [a]}}}\n", func(s *Stream) {
			s.Components.RPMs = map[string]*ComponentRPM{"a": {BuildAfter: []string{"a"}}}
		}},
		{"streams", streamHead + "  dependencies: [{requires: {a: [b, -c]}}]\n", func(s *Stream) {
			s.Dependencies = []Dependencies{{Requires: map[string][]string{"a": {"b", "-c"}}}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tt.text), "f")
			var read, made Problems
			if !errors.As(err, &read) {
				t.Fatalf("reading: %v", err)
			}
			s := base()
			tt.spoil(s)
			var out strings.Builder
			if err := Write(&out, s); !errors.As(err, &made) || out.Len() > 0 {
				t.Fatalf("writing: %v, %q", err, out.String())
			}
			ignore := cmpopts.IgnoreFields(Problem{}, "Pos", "Document")
			if diff := cmp.Diff(read, made, ignore, cmpopts.IgnoreUnexported(Problem{})); diff != "" {
				t.Errorf("(-read +made)\n%s", diff)
			}
		})
	}
}

func TestPositions(t *testing.T) {
	docs, err := ReadFile("testdata/packager-v3.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := docs[0].(*PackagerV3)
	at := func(line, column int) Position { return Position{"testdata/packager-v3.yaml", line, column} }
	got := map[string]Position{
		"document": p.Pos, "configuration": p.Configurations[1].Pos,
		"macros": p.Configurations[0].BuildOpts.RPMs.MacrosPos, "component": p.Components.RPMs["greeter"].Pos,
	}
	want := map[string]Position{"document": at(2, 1), "configuration": at(30, 5), "macros": at(23, 17), "component": at(48, 7)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Keys that the format lacks but packagers write are read, written again, and
// told.
func TestForeignKeys(t *testing.T) {
	text := v2Head + "  name: m\n  stream: 1.10\n  buildopts: {rpms: {macros: '%a 1'}}\n"
	docs, err := Read(strings.NewReader(text), "f")
	if err != nil {
		t.Fatal(err)
	}
	p := docs[0].(*PackagerV2)
	s := p.ToStream()
	if s.Name != "m" || s.Stream != "1.10" || s.BuildOpts.RPMs.Macros != "%a 1" {
		t.Errorf("name %q, stream %q, macros %q", s.Name, s.Stream, s.BuildOpts.RPMs.Macros)
	}
	if len(p.Foreign) != 3 || p.Foreign[1].Field != "data.stream" || p.Foreign[1].Pos.Line != 8 {
		t.Errorf("foreign: %v", p.Foreign)
	}
	var out bytes.Buffer
	if err := Write(&out, p); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\n  stream: \"1.10\"\n") {
		t.Errorf("written without its stream:\n%s", out.String())
	}
}
