package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No exported name of pkg/* has a type of an internal or outside package in it:
// users could not name the one, and would be tied to our choice of the other.
func TestExportedTypesOfThisModule(t *testing.T) {
	m, err := readModule("../..")
	if err != nil {
		t.Fatal(err)
	}
	packages := loadPublic(t, m)
	if len(packages) == 0 {
		t.Fatal("no package found below pkg/")
	}
	for _, p := range packages {
		for _, v := range exposed(p, m.path) {
			t.Error(v)
		}
	}
}

// loadPublic loads the packages below pkg/ from what the go command compiles:
// quicker than checking the sources of all that they import.
func loadPublic(t *testing.T, m module) []*types.Package {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Name", "./pkg/...")
	cmd.Dir = m.root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	files := map[string]string{} // of export data, by import path
	var paths []string
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export, Name string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		files[p.ImportPath] = p.Export
		if within(p.ImportPath, []string{m.path + "/pkg"}) && p.Name != "main" && !isInternal(p.ImportPath) {
			paths = append(paths, p.ImportPath)
		}
	}
	lookup := func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(files[path])
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", lookup)
	var packages []*types.Package
	for _, path := range paths {
		p, err := imp.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

// exposed returns a sentence for each exported name of p through which a user
// gets at a type that is neither the standard library's nor of a public package
// of this module.
func exposed(p *types.Package, modulePath string) []string {
	e := exposure{own: p, module: modulePath, seen: map[types.Type]bool{}}
	scope := p.Scope()
	for _, name := range scope.Names() {
		if obj := scope.Lookup(name); obj.Exported() {
			e.object(obj)
		}
	}
	slices.Sort(e.found)
	return slices.Compact(e.found)
}

type exposure struct {
	own    *types.Package
	module string
	seen   map[types.Type]bool
	found  []string
}

// object looks at an exported object of the package's own.
func (e *exposure) object(obj types.Object) {
	where := e.own.Path() + "." + obj.Name()
	if name, ok := obj.(*types.TypeName); ok && name.IsAlias() {
		// Looked at from the right-hand side on: the name itself is our own.
		if alias, ok := name.Type().(*types.Alias); ok {
			e.visit(where, alias.Rhs())
			return
		}
	}
	e.visit(where, obj.Type())
}

// visit goes through all that can be reached from a type by exported names.
func (e *exposure) visit(where string, t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		if e.allowed(where, t.Obj()) && t.Obj().Pkg() == e.own {
			e.visit(where, t.Rhs())
		}
		e.list(where, t.TypeArgs())
	case *types.Named:
		e.list(where, t.TypeArgs())
		// Others' types are looked at where they are declared.
		if e.allowed(where, t.Obj()) && t.Obj().Pkg() == e.own && !e.seen[t.Origin()] {
			e.seen[t.Origin()] = true
			e.named(e.own.Path()+"."+t.Obj().Name(), t.Origin())
		}
	case *types.TypeParam:
		if !e.seen[t] {
			e.seen[t] = true
			e.visit(where, t.Constraint())
		}
	case *types.Pointer:
		e.visit(where, t.Elem())
	case *types.Slice:
		e.visit(where, t.Elem())
	case *types.Array:
		e.visit(where, t.Elem())
	case *types.Chan:
		e.visit(where, t.Elem())
	case *types.Map:
		e.visit(where, t.Key())
		e.visit(where, t.Elem())
	case *types.Signature:
		e.signature(where, t)
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() { // an embedded type lends its methods
				e.visit(where+"."+f.Name(), f.Type())
			}
		}
	case *types.Interface:
		for i := range t.NumEmbeddeds() {
			e.visit(where, t.EmbeddedType(i))
		}
		for f := range t.ExplicitMethods() {
			if f.Exported() {
				e.visit(where+"."+f.Name(), f.Type())
			}
		}
	case *types.Union:
		for term := range t.Terms() {
			e.visit(where, term.Type())
		}
	}
}

func (e *exposure) named(where string, t *types.Named) {
	for p := range t.TypeParams().TypeParams() {
		e.visit(where, p)
	}
	e.visit(where, t.Underlying())
	for f := range t.Methods() {
		if f.Exported() {
			e.visit(where+"."+f.Name(), f.Type())
		}
	}
}

func (e *exposure) signature(where string, s *types.Signature) {
	for p := range s.TypeParams().TypeParams() {
		e.visit(where, p)
	}
	for _, tuple := range []*types.Tuple{s.Params(), s.Results()} {
		for v := range tuple.Variables() {
			e.visit(where, v.Type())
		}
	}
}

func (e *exposure) list(where string, args *types.TypeList) {
	for t := range args.Types() {
		e.visit(where, t)
	}
}

// allowed says whether users of the package may meet this type, and notes it
// where not.
func (e *exposure) allowed(where string, name *types.TypeName) bool {
	if name.Pkg() == nil || name.Pkg() == e.own { // error, any; our own
		return true
	}
	path := name.Pkg().Path()
	kind := ""
	switch {
	case isInternal(path):
		kind = "an internal type"
	case !within(path, []string{e.module}) && strings.Contains(strings.SplitN(path, "/", 2)[0], "."):
		kind = "an outside type" // standard packages have no dot in their first element
	default:
		return true
	}
	e.found = append(e.found, fmt.Sprintf("%s exposes %s.%s, %s", where, path, name.Name(), kind))
	return false
}

func isInternal(path string) bool {
	return slices.Contains(strings.Split(path, "/"), "internal")
}

func TestExposed(t *testing.T) {
	outside := map[string]string{
		"example.org/m/internal/in": "package in\ntype T struct{}\nfunc (T) M() {}\ntype G[X any] struct{ V X }\ntype I interface{ M() }",
		"gopkg.example.org/yaml":    "package yaml\ntype Node struct{}\ntype A = Node",
		"example.org/m/pkg/other":   "package other\nimport \"example.org/m/internal/in\"\ntype T struct{ Bad in.T }",
	}
	const in, other, yaml = `import "example.org/m/internal/in"; `, `import "example.org/m/pkg/other"; `, `import "gopkg.example.org/yaml"; `
	inT := func(where string) []string {
		return []string{"example.org/m/pkg/p." + where + " exposes example.org/m/internal/in.T, an internal type"}
	}
	node := func(where string) []string {
		return []string{"example.org/m/pkg/p." + where + " exposes gopkg.example.org/yaml.Node, an outside type"}
	}
	tests := []struct {
		name, source string
		want         []string
	}{
		{"own and basic types", `type T struct{ A []int; B map[string]*T; C error; D any }; func F(T) (chan T, error) { return nil, nil }`, nil},
		{"a type of another public package, bad as it is", other + `func F() other.T { panic(0) }`, nil},
		{"behind an unexported field", in + `type T struct{ a in.T; b *in.T }`, nil},
		{"in an unexported function", in + `func f() in.T { panic(0) }; var v in.T`, nil},
		{"by an unexported method", in + `type T int; func (T) m() in.T { panic(0) }`, nil},
		{"inside a function", in + `func F() { var v in.T; _ = v }`, nil},
		{"result", in + `func F() (int, *in.T) { panic(0) }`, inT("F")},
		{"parameter in a callback", yaml + `func F(f func(...yaml.Node)) {}`, node("F")},
		{"variable", yaml + `var V map[string][]yaml.Node`, node("V")},
		{"field", yaml + `type T struct{ A struct{ N [2]chan *yaml.Node } }`, node("T.A.N")},
		{"embedded field", in + `type T struct{ *in.T }`, inT("T.T")},
		{"method of a pointer", in + `type T int; func (*T) M(in.T) {}`, inT("T.M")},
		{"method of an interface", in + `type T interface{ M() in.T }`, inT("T.M")},
		{"embedded interface", in + `type T interface{ in.I }`, []string{"example.org/m/pkg/p.T exposes example.org/m/internal/in.I, an internal type"}},
		{"declared as", in + `type T []in.T`, inT("T")},
		{"alias", in + `type A = in.T`, inT("A")},
		{"alias of an outside alias", yaml + `type A = yaml.A`, []string{"example.org/m/pkg/p.A exposes gopkg.example.org/yaml.A, an outside type"}},
		{"by an unexported type that is given out", in + `type t struct{ A in.T }; func F() t { panic(0) }`, inT("t.A")},
		{"type argument", in + `type G[X any] struct{ V X }; var V G[in.T]`, inT("V")},
		{"generic type", in + `var V in.G[int]`, []string{"example.org/m/pkg/p.V exposes example.org/m/internal/in.G, an internal type"}},
		{"constraint", in + `func F[X interface{ ~int | in.T }](X) {}`, inT("F")},
		{"recursive types end", `type T struct{ Next *T; G *G[T] }; type G[X any] struct{ Self *G[X]; V X }`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			imp := sources(outside)
			p, err := imp.check("example.org/m/pkg/p", "package p; "+tt.source)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, exposed(p, "example.org/m")); diff != "" {
				t.Errorf("exposed (-want +got):\n%s", diff)
			}
		})
	}
}

// sources is an importer of packages that are given as source, by import path.
type sources map[string]string

func (s sources) Import(path string) (*types.Package, error) {
	text, ok := s[path]
	if !ok {
		return nil, fmt.Errorf("no package %s", path)
	}
	return s.check(path, text)
}

func (s sources) check(path, text string) (*types.Package, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "x.go", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	conf := types.Config{Importer: s}
	return conf.Check(path, fset, []*ast.File{file}, nil)
}
