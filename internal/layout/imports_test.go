package layout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// layers are the packages along which a module build flows. A package may know
// those of earlier layers and none of its own or a later one.
var layers = []layer{
	{"pkg/modulemd"},
	{"pkg/repogen"},
	{"pkg/modulebuild"},
	{"pkg/kojitask", "internal/hostbuild", "internal/mockbuild"},
	{"internal/localbuild"},
	{"cmd"},
}

// bans are what the order of the layers does not say.
var bans = []ban{
	{
		from: []string{"pkg/modulemd"},
		to:   []string{"internal/rpmfile", "pkg/koji", "internal/xmlrpc", "internal/kojitest"},
		why:  "module metadata knows no RPM file and no Koji",
	},
	{
		from: []string{"pkg/repogen"},
		to:   []string{"pkg/koji", "internal/xmlrpc", "internal/kojitest"},
		why:  "repositories are made without knowing Koji",
	},
	{
		from: []string{"pkg/modulebuild"},
		to:   []string{"pkg/koji", "internal/xmlrpc", "internal/kojitest", "internal/sandbox"},
		why:  "the engine knows no particular Builder",
	},
	{
		from: []string{"pkg/koji"},
		to: []string{
			"pkg/modulemd", "pkg/repogen", "pkg/modulebuild", "pkg/kojitask",
			"internal/hostbuild", "internal/mockbuild", "internal/localbuild", "internal/sandbox", "cmd",
		},
		why: "the Koji client stands alone and knows nothing of modules",
	},
	{
		from: []string{"internal/hostbuild", "internal/mockbuild", "internal/localbuild"},
		to:   []string{"pkg/koji", "pkg/kojitask"},
		why:  "a build on one machine knows no Koji",
	},
}

// libraries are the packages from elsewhere that not everybody may import.
var libraries = []library{
	{
		paths:    []string{"gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "go.yaml.in/yaml", "sigs.k8s.io/yaml", "github.com/goccy/go-yaml"},
		importer: "internal/yamlx",
		why:      "limits on hostile YAML are in one place, and the parser can be replaced there",
	},
	{
		paths:    []string{"github.com/kolo/xmlrpc"},
		importer: "internal/xmlrpc",
		why:      "the XML-RPC library can be replaced there",
	},
	{
		paths:    []string{"modernc.org/sqlite", "zombiezen.com/go/sqlite", "github.com/mattn/go-sqlite3"},
		importer: anyOne,
		why:      "SQLite can be replaced in one place",
	},
	{
		paths:    []string{"github.com/rabbitmq/amqp091-go"},
		importer: anyOne,
		why:      "AMQP can be replaced in one place",
	},
	{
		paths:    []string{"github.com/sassoftware/go-rpmutils", "github.com/cavaliergopher/rpm"},
		importer: nobody,
		why:      "what reads hostile RPM files is internal/rpmfile; these are second opinions in tests",
	},
	{
		paths:    []string{"log"},
		exact:    true, // log/slog is another matter
		importer: nobody,
		why:      "a *slog.Logger is passed in",
	},
}

func TestImportsOfThisModule(t *testing.T) {
	m, err := readModule("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.imports) < 3 {
		t.Fatalf("only %d packages found in %s: is the tree read from its root?", len(m.imports), m.root)
	}
	for _, v := range m.violations(layers, bans, libraries) {
		t.Error(v)
	}
}

// The rules themselves: each case is a module that keeps them but for what it says.
func TestViolations(t *testing.T) {
	tests := []struct {
		name    string
		imports map[string][]string // in short: "m/" stands for this module
		want    []string
	}{
		{
			name: "all is well",
			imports: map[string][]string{
				"pkg/modulemd":               {"m/internal/yamlx", "context"},
				"internal/yamlx":             {"gopkg.in/yaml.v3"},
				"pkg/repogen":                {"m/pkg/modulemd", "m/internal/rpmfile"},
				"internal/rpmfile":           {"io"},
				"pkg/modulebuild":            {"m/pkg/repogen", "m/pkg/modulemd"},
				"pkg/koji":                   {"m/internal/xmlrpc", "m/pkg/koji/kerberos"},
				"pkg/koji/kerberos":          {"github.com/jcmturner/gokrb5/v8/client"},
				"internal/xmlrpc":            {"github.com/kolo/xmlrpc"},
				"pkg/kojitask":               {"m/pkg/koji", "m/pkg/modulebuild"},
				"internal/hostbuild":         {"m/pkg/modulebuild", "m/internal/sandbox"},
				"internal/sandbox":           {"golang.org/x/sys/unix", "log/slog"},
				"internal/localbuild":        {"m/internal/hostbuild"},
				"cmd/module-builder-task":    {"m/internal/localbuild", "m/pkg/kojitask", "m/cmd/module-builder-task/x"},
				"cmd/module-builder-task/x":  nil,
				"internal/one":               {"modernc.org/sqlite"},
				"internal/modulebuildreport": {"m/pkg/modulebuild"},
			},
		},
		{
			name: "a lower layer imports a higher one",
			imports: map[string][]string{
				"pkg/modulemd": {"m/pkg/repogen"},
			},
			want: []string{"pkg/modulemd knows pkg/repogen, which is in a layer above it"},
		},
		{
			name: "through others",
			imports: map[string][]string{
				"pkg/repogen":     {"m/internal/a"},
				"internal/a":      {"m/internal/b"},
				"internal/b":      {"m/pkg/modulebuild"},
				"pkg/modulebuild": nil,
			},
			want: []string{"pkg/repogen knows pkg/modulebuild, which is in a layer above it (pkg/repogen → internal/a → internal/b → pkg/modulebuild)"},
		},
		{
			name: "a package below another counts as it",
			imports: map[string][]string{
				"pkg/modulebuild/journal": {"m/internal/hostbuild/rpmdb"},
			},
			want: []string{"pkg/modulebuild/journal knows internal/hostbuild/rpmdb, which is in a layer above it"},
		},
		{
			name: "one Builder knows another",
			imports: map[string][]string{
				"internal/mockbuild": {"m/internal/hostbuild"},
			},
			want: []string{"internal/mockbuild knows internal/hostbuild, which is in its own layer"},
		},
		{
			name: "a command is imported",
			imports: map[string][]string{
				"pkg/modulebuild": {"m/cmd/module-builder-task/flags"},
			},
			want: []string{"pkg/modulebuild knows cmd/module-builder-task/flags, which is in a layer above it"},
		},
		{
			name: "metadata reads RPM files",
			imports: map[string][]string{
				"pkg/modulemd": {"m/internal/rpmfile"},
			},
			want: []string{"pkg/modulemd knows internal/rpmfile: module metadata knows no RPM file and no Koji"},
		},
		{
			name: "the engine knows a sandbox",
			imports: map[string][]string{
				"pkg/modulebuild": {"m/internal/sandbox"},
			},
			want: []string{"pkg/modulebuild knows internal/sandbox: the engine knows no particular Builder"},
		},
		{
			name: "the Koji client knows modules",
			imports: map[string][]string{
				"pkg/koji":     {"m/pkg/modulemd"},
				"pkg/modulemd": nil,
			},
			want: []string{"pkg/koji knows pkg/modulemd: the Koji client stands alone and knows nothing of modules"},
		},
		{
			name: "YAML in a second place, by a subpackage",
			imports: map[string][]string{
				"pkg/modulemd": {"go.yaml.in/yaml/v4/ast"},
			},
			want: []string{"pkg/modulemd imports go.yaml.in/yaml/v4/ast, which only internal/yamlx may: limits on hostile YAML are in one place, and the parser can be replaced there"},
		},
		{
			name: "two that import SQLite",
			imports: map[string][]string{
				"pkg/repogen":  {"modernc.org/sqlite"},
				"internal/one": {"github.com/mattn/go-sqlite3"},
			},
			want: []string{"internal/one, pkg/repogen all import modernc.org/sqlite or the like, and one package alone may: SQLite can be replaced in one place"},
		},
		{
			name: "what is for tests only",
			imports: map[string][]string{
				"internal/rpmfile": {"github.com/cavaliergopher/rpm"},
			},
			want: []string{"internal/rpmfile imports github.com/cavaliergopher/rpm, which only tests may: what reads hostile RPM files is internal/rpmfile; these are second opinions in tests"},
		},
		{
			name: "the log package, and not one that is called alike",
			imports: map[string][]string{
				"internal/a": {"log/slog", "logger.example.org/log"},
				"internal/b": {"log"},
			},
			want: []string{"internal/b imports log, which only tests may: a *slog.Logger is passed in"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := module{path: "example.org/m", imports: map[string][]string{}}
			for from, to := range tt.imports {
				for _, path := range to {
					if rest, ok := strings.CutPrefix(path, "m/"); ok {
						path = m.path + "/" + rest
					}
					m.imports[from] = append(m.imports[from], path)
				}
			}
			got := m.violations(layers, bans, libraries)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// A layer is packages of this module, each with what is below it.
type layer []string

// A ban forbids packages to know others, directly or through others.
type ban struct {
	from, to []string
	why      string
}

// A library is packages, each with what is below it (where not exact), and the
// one package of this module that may import them.
type library struct {
	paths    []string
	exact    bool
	importer string // or anyOne, or nobody
	why      string
}

const (
	anyOne = "*"
	nobody = ""
)

// violations returns a sentence for each way in which the module breaks the
// rules, sorted.
func (m module) violations(layers []layer, bans []ban, libraries []library) []string {
	var found []string
	for from := range m.imports {
		chains := m.chains(from)
		for to, chain := range chains {
			found = append(found, brokenLayers(layers, from, to, chain)...)
			for _, b := range bans {
				if within(from, b.from) && within(to, b.to) && !within(from, b.to) {
					found = append(found, fmt.Sprintf("%s knows %s: %s%s", from, to, b.why, through(chain)))
				}
			}
		}
	}
	for _, l := range libraries {
		found = append(found, m.wrongImporters(l)...)
	}
	slices.Sort(found)
	return found
}

func brokenLayers(layers []layer, from, to string, chain []string) []string {
	a, aRoot := layerOf(layers, from)
	b, bRoot := layerOf(layers, to)
	switch {
	case a < 0 || b < a || aRoot == bRoot:
		return nil
	case a == b && layers[a][0] == "cmd":
		return nil // a command's own packages
	case a == b:
		return []string{fmt.Sprintf("%s knows %s, which is in its own layer%s", from, to, through(chain))}
	default:
		return []string{fmt.Sprintf("%s knows %s, which is in a layer above it%s", from, to, through(chain))}
	}
}

func (m module) wrongImporters(l library) []string {
	var found, importers []string
	for from, paths := range m.imports {
		for _, path := range paths {
			if !within(path, l.paths) || l.exact && !slices.Contains(l.paths, path) {
				continue
			}
			importers = append(importers, from)
			switch l.importer {
			case anyOne, from:
			case nobody:
				found = append(found, fmt.Sprintf("%s imports %s, which only tests may: %s", from, path, l.why))
			default:
				found = append(found, fmt.Sprintf("%s imports %s, which only %s may: %s", from, path, l.importer, l.why))
			}
		}
	}
	slices.Sort(importers)
	importers = slices.Compact(importers)
	if l.importer == anyOne && len(importers) > 1 {
		found = append(found, fmt.Sprintf("%s all import %s or the like, and one package alone may: %s",
			strings.Join(importers, ", "), l.paths[0], l.why))
	}
	return found
}

// layerOf returns the number of the layer that a package is in, or -1, and the
// entry of the layer that it falls under.
func layerOf(layers []layer, pkg string) (int, string) {
	for i, l := range layers {
		for _, root := range l {
			if within(pkg, []string{root}) {
				return i, root
			}
		}
	}
	return -1, ""
}

// within says whether path is one of roots or below one.
func within(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

// through shows the way from one package to another, where it is not direct.
func through(chain []string) string {
	if len(chain) <= 2 {
		return ""
	}
	return " (" + strings.Join(chain, " → ") + ")"
}
