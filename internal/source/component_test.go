package source

import (
	"bytes"
	"crypto/md5"
	"crypto/sha512"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// resolveFetch does both steps and gives the pin and what lies in the tree.
func resolveFetch(t *testing.T, f *Finder, r Request) (Pinned, Tree, map[string]string) {
	t.Helper()
	p, err := f.Resolve(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "dst")
	tree, err := f.Fetch(t.Context(), p, dst)
	if err != nil {
		t.Fatal(err)
	}
	return p, tree, read(t, dst)
}

func TestGitComponent(t *testing.T) {
	files := map[string]string{
		"pkg.spec": "Name: pkg\n", "fix.patch": "lf\n$Id$ $Format:%H$\n", "tool*": "#!/bin/sh\n", "sub/x": "x", "link": "-> sub/x",
		// None of these may have an effect.
		".gitattributes": "* text eol=crlf ident export-subst\nfix.patch export-ignore\n*.patch filter=lfs\n",
	}
	repo, first := makeRepo(t, files)
	runGit(t, repo, "tag", "-a", "-m", "x", "v1")
	runGit(t, repo, "branch", "old")
	second := commitFiles(t, repo, map[string]string{"pkg.spec": "Name: pkg\nVersion: 2\n"})
	daemon := startDaemon(t, repo)
	bare := filepath.Join(t.TempDir(), "bare.git")
	runGit(t, t.TempDir(), "clone", "-q", "--bare", repo, bare)

	f := &Finder{WorkDir: t.TempDir()}
	for _, tt := range []struct{ name, repository, ref, commit string }{
		{"daemon, HEAD", daemon, "", second},
		{"daemon, branch", daemon, "old", first},
		{"daemon, annotated tag", daemon, "v1", first},
		{"daemon, full ref", daemon, "refs/tags/v1", first},
		{"daemon, old commit", daemon, first, first},
		{"daemon, short commit", daemon, first[:10], first},
		{"URL with ref", daemon + "?#old", "", first},
		{"bare path", bare, "main", second},
		{"work tree path", repo, "v1", first},
		{"file URL", GitURL{Scheme: "file", Remote: repo}.String(), "old", first},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, tree, got := resolveFetch(t, f, Request{Component: "pkg", Repository: tt.repository, Ref: tt.ref})
			want := maps.Clone(files)
			if tt.commit == second {
				want["pkg.spec"] = "Name: pkg\nVersion: 2\n"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("tree (-committed +ours)\n%s", diff)
			}
			if p.Commit != tt.commit || p.Kind != Git || p.Digest != "git:"+runGit(t, repo, "rev-parse", tt.commit+"^{tree}") {
				t.Errorf("pinned %+v", p)
			}
			if filepath.Base(tree.Spec) != "pkg.spec" || tree.SRPM != "" {
				t.Errorf("tree %+v", tree)
			}
		})
	}
}

func TestGitSubdirectory(t *testing.T) {
	repo, _ := makeRepo(t, map[string]string{"rpms/pkg/pkg.spec": "x", "rpms/other/other.spec": "y"})
	u := GitURL{Scheme: "file", Remote: repo}.String()
	f := &Finder{WorkDir: t.TempDir()}
	p, _, got := resolveFetch(t, f, Request{Component: "pkg", Repository: u + "?rpms/pkg#main"})
	if diff := cmp.Diff(map[string]string{"pkg.spec": "x"}, got); diff != "" {
		t.Error(diff)
	}
	commitFiles(t, repo, map[string]string{"rpms/other/other.spec": "z"})
	again, err := f.Resolve(t.Context(), Request{Component: "pkg", Repository: u + "?rpms/pkg#main"})
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != p.Digest || again.Commit == p.Commit {
		t.Errorf("digest %s, %s; commit %s, %s", p.Digest, again.Digest, p.Commit, again.Commit)
	}
	_, err = f.Resolve(t.Context(), Request{Component: "pkg", Repository: u + "?rpms/none#main"})
	wantError(t, err, BadInput, "rpms/none")
}

func TestGitRefuses(t *testing.T) {
	sum := strings.Repeat("a", 128)
	tests := map[string]struct {
		files map[string]string
		ref   string
		says  []string
	}{
		"no such ref":       {map[string]string{"pkg.spec": "x"}, "nowhere", []string{"m.yaml:7", "component pkg", "nowhere", "file:///"}},
		"no such commit":    {map[string]string{"pkg.spec": "x"}, strings.Repeat("d", 40), []string{"m.yaml:7", "dddd"}},
		"no such short":     {map[string]string{"pkg.spec": "x"}, "ddddddd", []string{"m.yaml:7", "ddddddd"}},
		"ref is an option":  {map[string]string{"pkg.spec": "x"}, "--upload-pack=x", []string{"m.yaml:7", "ref"}},
		"no spec":           {map[string]string{"x": "x"}, "main", []string{"no spec file"}},
		"two specs":         {map[string]string{"a.spec": "x", "b.spec": "x"}, "main", []string{"a.spec, b.spec"}},
		"link out":          {map[string]string{"pkg.spec": "x", "l": "-> ../../etc/passwd"}, "main", []string{"symbolic link l", "etc/passwd"}},
		"absolute link":     {map[string]string{"pkg.spec": "x", "l": "-> /etc/passwd"}, "main", []string{"symbolic link l"}},
		"link by a link":    {map[string]string{"pkg.spec": "x", "p/d": "-> ..", "p/q/l": "-> ../d/../x"}, "main", []string{"symbolic link p/q/l"}},
		"link to itself":    {map[string]string{"pkg.spec": "x", "l": "-> l"}, "main", []string{"symbolic link l"}},
		"spec is link out":  {map[string]string{"pkg.spec": "-> /etc/passwd"}, "main", []string{"pkg.spec"}},
		"links in a ring":   {map[string]string{"pkg.spec": "x", "a": "-> b/c", "b": "-> a"}, "main", []string{"symbolic link a"}},
		"bad sources":       {map[string]string{"pkg.spec": "x", "sources": "SHA512 (../x) = " + sum}, "main", []string{"sources", "line 1", "../x"}},
		"sources is a link": {map[string]string{"pkg.spec": "x", "y": "", "sources": "-> y"}, "main", []string{"sources"}},
		"no lookaside":      {map[string]string{"pkg.spec": "x", "sources": "SHA512 (x.tar) = " + sum}, "main", []string{"x.tar", "--lookaside"}},
		"escape in a name":  {map[string]string{"pkg.spec": "x", "a\x1b[2Jb": "x"}, "main", []string{"control characters"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			repo, _ := makeRepo(t, tt.files)
			f := &Finder{WorkDir: t.TempDir()}
			r := Request{Component: "pkg", Where: "m.yaml:7", Ref: tt.ref, Repository: GitURL{Scheme: "file", Remote: repo}.String()}
			_, err := f.Resolve(t.Context(), r)
			wantError(t, err, BadInput, append(tt.says, "m.yaml:7", "component pkg")...)
			if strings.ContainsRune(err.Error(), 0x1b) {
				t.Error("the error has an escape sequence")
			}
		})
	}
}

func TestGitUnreachable(t *testing.T) {
	needGit(t)
	f := &Finder{WorkDir: t.TempDir()}
	_, err := f.Resolve(t.Context(), Request{Component: "pkg", Where: "m.yaml:1", Repository: "http://u:hunter2@127.0.0.1:1/pkg"})
	wantError(t, err, Environment, "m.yaml:1", "http://127.0.0.1:1/pkg")
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error gives the password away")
	}
}

func TestLocalPaths(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, map[string]string{"pkg.spec": "x"})
	base := filepath.Join(t.TempDir(), "mod")
	write(t, base, map[string]string{"in/pkg.spec": "x", "out": "-> " + outside, "rpms/linked": "-> " + outside})
	tests := map[string]struct {
		component, repository string
		remote                bool
		says                  string // empty: taken
	}{
		"relative":                    {"pkg", "in", false, ""},
		"relative, remote":            {"pkg", "./in", true, ""},
		"absolute":                    {"pkg", outside, false, ""},
		"absolute, remote":            {"pkg", outside, true, "may not name"},
		"file URL":                    {"pkg", "file://" + outside, false, ""},
		"file URL, remote":            {"pkg", "file://" + outside, true, "may not name"},
		"climbs":                      {"pkg", "../x", false, "leaves the directory"},
		"climbs in the middle":        {"pkg", "in/../../x", false, "leaves the directory"},
		"link":                        {"pkg", "out", false, ""},
		"link, remote":                {"pkg", "out", true, "symbolic link"},
		"nothing there":               {"pkg", "nowhere", false, "no such"},
		"a file":                      {"pkg", "in/pkg.spec", false, "not a directory"},
		"control":                     {"pkg", "in\n", false, "control"},
		"command":                     {"pkg", "ext::sh -c x", false, "white space"},
		"linked beside, remote":       {"linked", "", true, "no source"},
		"linked beside":               {"linked", "", false, ""},
		"a name that climbs":          {"../" + filepath.Base(outside), "", false, "no source"},
		"plain directory with a #ref": {"pkg", "file://" + outside + "?#main", false, "not a git repository"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &Finder{WorkDir: t.TempDir()}
			p, err := f.Resolve(t.Context(), Request{Component: tt.component, Names: []string{tt.component}, Where: "m.yaml:3",
				Repository: tt.repository, BaseDir: base, Remote: tt.remote})
			if tt.says != "" {
				wantError(t, err, BadInput, tt.says, "m.yaml:3")
				return
			}
			if err != nil || p.Kind != Dir {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestDirDigest(t *testing.T) {
	digest := func(files map[string]string, prepare ...func(dir string)) string {
		t.Helper()
		dir := t.TempDir()
		write(t, dir, files)
		for _, p := range prepare {
			p(dir)
		}
		f := &Finder{WorkDir: t.TempDir(), Ignore: []string{filepath.Join(dir, "out")}}
		p, _, got := resolveFetch(t, f, Request{Component: "pkg", Override: dir})
		if diff := cmp.Diff(files, got); diff != "" && len(prepare) == 0 {
			t.Errorf("copy (-original +copy)\n%s", diff)
		}
		return p.Digest
	}
	base := digest(map[string]string{"pkg.spec": "x", "a/b": "1", "l": "-> a/b"})
	same := digest(map[string]string{"pkg.spec": "x", "a/b": "1", "l": "-> a/b"}, func(dir string) {
		write(t, dir, map[string]string{".git/x": "x", "out/y": "y"})
		if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	if same != base {
		t.Error("the digest depends on .git, the output or an empty directory")
	}
	seen := map[string]string{base: "base"}
	for name, files := range map[string]map[string]string{
		"content": {"pkg.spec": "x", "a/b": "2", "l": "-> a/b"},
		"name":    {"pkg.spec": "x", "a/c": "1", "l": "-> a/b"},
		"mode":    {"pkg.spec": "x", "a/b*": "1", "l": "-> a/b"},
		"target":  {"pkg.spec": "x", "a/b": "1", "l": "-> a"},
		"kind":    {"pkg.spec": "x", "a/b": "1", "l": "a/b"},
		"less":    {"pkg.spec": "x", "a/b": "1"},
		"moved":   {"pkg.spec": "x", "a": "b1", "l": "-> a/b"},
	} {
		if name == "moved" {
			files["l"] = "-> a"
		}
		d := digest(files)
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
}

func TestDirRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(dir string) error
		says    string
	}{
		"pipe":     {func(d string) error { return exec.Command("mkfifo", filepath.Join(d, "p")).Run() }, "p is neither"},
		"link out": {func(d string) error { return os.Symlink("../x", filepath.Join(d, "l")) }, "symbolic link l"},
		"control":  {func(d string) error { return os.WriteFile(filepath.Join(d, "a\nb"), nil, 0o644) }, "control"},
		"checksum": {func(d string) error {
			write(t, d, map[string]string{"sources": strings.Repeat("a", 32) + "  x", "x": "x"})
			return nil
		}, "md5 checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"pkg.spec": "x"})
			if err := tt.prepare(dir); err != nil {
				t.Fatal(err)
			}
			_, err := (&Finder{WorkDir: t.TempDir()}).Resolve(t.Context(), Request{Component: "pkg", Override: dir, Where: "m.yaml:3"})
			wantError(t, err, BadInput, tt.says, "m.yaml:3", dir)
		})
	}
}

func TestDirChangesAfterResolve(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"pkg.spec": "x"})
	f := &Finder{WorkDir: t.TempDir()}
	p, err := f.Resolve(t.Context(), Request{Component: "pkg", Override: dir})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"pkg.spec": "y"})
	_, err = f.Fetch(t.Context(), p, t.TempDir())
	wantError(t, err, BadInput, "changed")
}

// makeSRPM builds a source RPM of an empty package with rpmbuild.
func makeSRPM(t *testing.T, dir, name, version string) string {
	t.Helper()
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Skip("rpmbuild is not installed")
	}
	top := t.TempDir()
	write(t, top, map[string]string{"x.spec": fmt.Sprintf(
		"Name: %s\nVersion: %s\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%%description\nx\n%%files\n", name, version)})
	cmd := exec.Command("rpmbuild", "-bs", "--quiet", "-D", "_topdir "+top, "-D", "_srcrpmdir "+dir, filepath.Join(top, "x.spec"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
	return filepath.Join(dir, fmt.Sprintf("%s-%s-1.src.rpm", name, version))
}

func TestSRPMs(t *testing.T) {
	dir := t.TempDir()
	old := makeSRPM(t, dir, "pkg", "1.9")
	newest := makeSRPM(t, dir, "pkg", "1.10")
	renamed := filepath.Join(dir, "misnamed-1-1.src.rpm")
	if err := os.Rename(makeSRPM(t, dir, "real", "1"), renamed); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	flipped := append(bytes.Clone(whole[:len(whole)-8]), "xxxxxxxx"...)
	for name, data := range map[string][]byte{
		"cut-1.src.rpm": whole[:len(whole)-5], "head-1.src.rpm": whole[:150], "text-1.src.rpm": []byte("hello"), "flipped-1.src.rpm": flipped,
	} {
		if err := os.WriteFile(filepath.Join(broken, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, map[string]string{"plain/plain.spec": "x"})
	base := t.TempDir()
	write(t, base, map[string]string{"pkg/pkg.spec": "beside"})

	tests := map[string]struct {
		r     Request
		srpms string
		path  string // of the SRPM taken
		says  []string
	}{
		"highest version wins":        {Request{Component: "pkg"}, dir, newest, nil},
		"before the document's":       {Request{Component: "pkg", Repository: "pkg"}, dir, newest, nil},
		"named file wins":             {Request{Component: "pkg", Override: old}, dir, old, nil},
		"by header, not by file name": {Request{Component: "real"}, dir, renamed, nil},
		"second name":                 {Request{Component: "c", Alias: "real"}, dir, renamed, nil},
		"a name it may have, of another's source": {Request{Component: "c", Names: []string{"c", "real"}}, dir, "",
			[]string{"--srpm c=PATH"}},
		"not by file name": {Request{Component: "misnamed"}, dir, "",
			[]string{"--srpms DIR", "--srpm misnamed=PATH", "repository:", "rpms/misnamed/misnamed.spec", `misnamed-1-1.src.rpm is the source of "real"`}},
		"another package":    {Request{Component: "c", Override: old}, "", "", []string{`"pkg"`, `"c"`, old}},
		"truncated":          {Request{Component: "pkg", Override: filepath.Join(broken, "cut-1.src.rpm")}, "", "", []string{"cut-1.src.rpm", "truncated"}},
		"truncated header":   {Request{Component: "pkg", Override: filepath.Join(broken, "head-1.src.rpm")}, "", "", []string{"truncated"}},
		"payload changed":    {Request{Component: "pkg", Override: filepath.Join(broken, "flipped-1.src.rpm")}, "", "", []string{"digest"}},
		"text":               {Request{Component: "pkg", Override: filepath.Join(broken, "text-1.src.rpm")}, "", "", []string{"not an RPM"}},
		"broken in the dir":  {Request{Component: "head"}, broken, "", []string{"head-1.src.rpm", "truncated"}},
		"nothing there":      {Request{Component: "pkg", Override: "/nonexistent"}, "", "", []string{"--srpm"}},
		"no such directory":  {Request{Component: "pkg"}, "/nonexistent", "", []string{"--srpms"}},
		"no source anywhere": {Request{Component: "none"}, "", "", []string{"no source"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.r.Where, tt.r.BaseDir = "m.yaml:9", base
			f := &Finder{SRPMDir: tt.srpms, WorkDir: t.TempDir()}
			if tt.says != nil {
				_, err := f.Resolve(t.Context(), tt.r)
				wantError(t, err, BadInput, append(tt.says, "m.yaml:9", "component "+tt.r.Component)...)
				return
			}
			p, tree, _ := resolveFetch(t, f, tt.r)
			if p.Kind != SRPM || p.Location != tt.path {
				t.Errorf("pinned %+v, want %s", p, tt.path)
			}
			want, _ := os.ReadFile(tt.path)
			got, _ := os.ReadFile(tree.SRPM)
			if !bytes.Equal(want, got) || len(want) == 0 {
				t.Errorf("%s differs from %s", tree.SRPM, tt.path)
			}
		})
	}
	p, err := (&Finder{SRPMDir: dir}).Resolve(t.Context(), Request{Component: "plain"})
	if err != nil || p.Kind != Dir {
		t.Errorf("a spec directory among the source RPMs: %+v, %v", p, err)
	}
	p, err = (&Finder{}).Resolve(t.Context(), Request{Component: "pkg", BaseDir: base})
	if err != nil || p.Location != filepath.Join(base, "pkg") {
		t.Errorf("beside the modulemd: %+v, %v", p, err)
	}
}

// sourcesFor writes sources lines for files, by default of the new format.
func sourcesFor(old bool, files map[string]string) string {
	var b strings.Builder
	for name, content := range files {
		if old {
			fmt.Fprintf(&b, "%x  %s\n", md5.Sum([]byte(content)), name)
		} else {
			fmt.Fprintf(&b, "SHA512 (%s) = %x\n", name, sha512.Sum512([]byte(content)))
		}
	}
	return b.String()
}

// logger gives a Log that a test can read.
func logger() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

// A module may list names that source packages can have. They say nothing of
// where a component's source is: it may be another component's name.
func TestNamesAreNoPlaces(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{"aa", "bb"} {
		dir := filepath.Join(base, "rpms", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".spec"), []byte("Name: "+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := &Finder{WorkDir: t.TempDir()}
	p, err := f.Resolve(t.Context(), Request{Component: "bb", Names: []string{"aa", "bb", "cc"}, BaseDir: base})
	if err != nil || filepath.Base(p.Location) != "bb" {
		t.Errorf("component bb is taken from %q, %v", p.Location, err)
	}
}
