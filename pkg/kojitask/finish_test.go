package kojitask

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
	"github.com/kojimod/kojimod/pkg/repogen"
)

var update = flag.Bool("update", false, "write the golden files anew")

func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return string(out)
}

// groveArches are those of the test module's tag.
func groveArches() []string { return []string{"x86_64", "i686", "aarch64"} }

func grovePlan(t testing.TB) (*modulebuild.Plan, []byte) {
	t.Helper()
	const file = "testdata/finish/grove.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := modulemd.Read(bytes.NewReader(text), file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := modulebuild.NewPlan(docs[0].(*modulemd.Stream), modulebuild.Options{
		Index: 7, SourceTime: time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC), Now: time.Unix(1, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Components {
		plan.Components[i].Source.Commit = strings.Repeat(fmt.Sprint(i+1), 40)
	}
	return plan, text
}

// rpmbuild builds the components of the test module as Koji's builders would, and
// gives the files by component.
func rpmbuild(t testing.TB, plan *modulebuild.Plan) map[string][]string {
	t.Helper()
	needs(t, "rpmbuild")
	top := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(plan.Identity.Time.Unix()))
	built := map[string][]string{}
	build := func(component, mode, target string) {
		out := filepath.Join(top, component)
		run(t, "rpmbuild", mode, "--quiet", "--target", target+"-linux",
			"--define", "_topdir "+top+"/top", "--define", "_rpmdir "+out, "--define", "_srcrpmdir "+out,
			"--define", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
			"--define", "dist ."+plan.Identity.DistTag, "--define", "modularitylabel "+plan.Identity.NSVC(),
			"--define", "use_source_date_epoch_as_buildtime 1", "--define", "clamp_mtime_to_source_date_epoch 1",
			"--define", "_buildhost builder.example.org", "--define", "debug_package %{nil}",
			"--define", "__os_install_post %{nil}", "--define", "_build_id_links none",
			"testdata/finish/"+component+".spec")
	}
	for _, arch := range groveArches() {
		build("larch", "-bb", arch)
	}
	build("larch", "-bs", "x86_64")
	build("fern", "-ba", "noarch")
	build("sickle", "-ba", "noarch")
	for _, component := range []string{"larch", "fern", "sickle"} {
		files, err := filepath.Glob(filepath.Join(top, component, "*.rpm"))
		if err != nil || len(files) == 0 {
			t.Fatalf("rpmbuild has made nothing of %s: %v", component, err)
		}
		built[component] = files
	}
	return built
}

// groveInput builds the test module, and reads it back from a tree like Koji's.
func groveInput(t testing.TB) (finishInput, *kojiTree) {
	t.Helper()
	plan, text := grovePlan(t)
	files := rpmbuild(t, plan)
	tree := newKojiTree(t)
	var builds []koji.Build
	for i, c := range plan.Components {
		for _, file := range files[c.Name] {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			build, _ := tree.add(t, int64(i+1), data)
			if len(builds) == i {
				builds = append(builds, build)
			}
		}
	}
	log := filepath.Join(t.TempDir(), "module.log")
	if err := os.WriteFile(log, []byte("it was built\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	in := finishInput{
		Plan: plan, Arches: groveArches(), TaskID: 17, BuildID: 99, Tag: "module-grove-1-x-1-c0ffee", Owner: "packager",
		Started: time.Unix(1736942500, 0), Ended: time.Unix(1736942900, 0),
		Source: "git+https://git.example.org/modules/grove?#c0ffee", Commit: "c0ffee", SourceText: text, BuildLog: log, Version: "1.2.3",
		Requires: map[string]requiredModule{"platform": {Stream: "el9", Version: "1", Context: "00000000", Tag: "el9-build"}},
	}
	r := &rpmReader{hub: tree.hub, topdir: tree.topdir}
	for i, c := range plan.Components {
		built, err := r.readBuild(t.Context(), c.Name, builds[i])
		if err != nil {
			t.Fatal(err)
		}
		o := modulebuild.Outcome{Component: c.Name, State: modulebuild.Built}
		for _, rpm := range built {
			o.Packages = append(o.Packages, rpm.Package)
		}
		in.Outcomes = append(in.Outcomes, o)
		in.RPMs = append(in.RPMs, built...)
	}
	return in, tree
}

func finish(t testing.TB, in finishInput) *finishedModule {
	t.Helper()
	in.Dir = t.TempDir()
	f, err := finishModule(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// readAll gives the files of a directory that is uploaded.
func readAll(t testing.TB, dir uploadDir) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range dir.Files {
		data, err := os.ReadFile(filepath.Join(dir.Path, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	return files
}

// TestFinishModule looks at all that is made of a module of three architectures.
func TestFinishModule(t *testing.T) {
	in, tree := groveInput(t)
	f := finish(t, in)
	if diff := cmp.Diff([]string{"profile default names fern, which is built for other architectures only (on i686, aarch64)"}, f.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	for _, rpm := range in.RPMs {
		p := rpm.Package
		got, want := fmt.Sprint(p.ExcludeArch, p.ExclusiveArch), "[] []"
		switch p.NEVRA.Name + "." + p.NEVRA.Arch {
		case "larch.src":
			want = "[ppc64 s390x] []"
		case "fern.src":
			want = "[] [x86_64 s390x]"
		}
		if got != want {
			t.Errorf("%s is not for, and only for, %s, want %s", p.NEVRA, got, want)
		}
	}
	files := readAll(t, *f.Import)
	if files["modulemd.src.txt"] != string(in.SourceText) {
		t.Error("modulemd.src.txt is not the document as it was read")
	}
	t.Run("documents", func(t *testing.T) {
		for _, name := range []string{"modulemd.txt", "modulemd.x86_64.txt", "modulemd.i686.txt", "modulemd.aarch64.txt"} {
			golden(t, filepath.Join("testdata/finish", name), files[name])
		}
	})
	t.Run("metadata", func(t *testing.T) { checkMetadata(t, in, f, files) })
	t.Run("repositories", func(t *testing.T) { checkRepositories(t, f, files, tree) })
	t.Run("libmodulemd", func(t *testing.T) { checkLibmodulemd(t, in, f, files) })
	t.Run("dnf", func(t *testing.T) { checkDNF(t, f, tree) })
	t.Run("createrepo_c", func(t *testing.T) { checkCreaterepo(t, in, f, tree) })
	t.Run("the same again, in another order", func(t *testing.T) {
		again := in
		again.RPMs = slices.Clone(in.RPMs)
		slices.Reverse(again.RPMs)
		again.Outcomes = slices.Clone(in.Outcomes)
		for i := range again.Outcomes {
			again.Outcomes[i].Packages = slices.Clone(again.Outcomes[i].Packages)
			slices.Reverse(again.Outcomes[i].Packages)
		}
		g := finish(t, again)
		for arch := range f.Repodata {
			if diff := cmp.Diff(readAll(t, f.Repodata[arch]), readAll(t, g.Repodata[arch])); diff != "" {
				t.Errorf("repodata of %s (-once +again):\n%s", arch, diff)
			}
		}
		if diff := cmp.Diff(files, readAll(t, *g.Import)); diff != "" {
			t.Errorf("import (-once +again):\n%s", diff)
		}
	})
	t.Run("scratch", func(t *testing.T) {
		scratch := in
		scratch.Scratch = true
		if g := finish(t, scratch); g.Import != nil || len(g.Repodata) != len(f.Repodata) {
			t.Errorf("a scratch build has the import %v and %d repositories", g.Import, len(g.Repodata))
		}
	})
	t.Run("from an upload", func(t *testing.T) {
		upload := in
		upload.Source, upload.Commit, upload.SourceText, upload.Owner = "cli-build/1/grove.yaml", "", nil, ""
		files := readAll(t, *finish(t, upload).Import)
		if _, ok := files["modulemd.src.txt"]; ok || strings.Contains(files["modulemd.txt"], "scmurl") {
			t.Errorf("a document that is from nowhere has a source:\n%s", files["modulemd.txt"])
		}
	})
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// checkMetadata compares metadata.json with the golden file, and what is of this
// run in it with the files.
func checkMetadata(t *testing.T, in finishInput, f *finishedModule, files map[string]string) {
	var meta cgMetadata
	if err := json.Unmarshal([]byte(files["metadata.json"]), &meta); err != nil {
		t.Fatal(err)
	}
	if meta.Build.Extra.TypeInfo.Module.Document != files["modulemd.txt"] {
		t.Error("modulemd_str is not modulemd.txt")
	}
	if len(meta.Output) != len(files)-1 {
		t.Errorf("%d outputs of %d files", len(meta.Output), len(files)-1)
	}
	all := map[string]string{}
	for _, rpm := range in.RPMs {
		all[rpm.Package.NEVRA.String()] = rpm.RPM.PayloadHash
	}
	for _, o := range meta.Output {
		data, ok := files[o.Filename]
		if !ok || o.ChecksumType != "md5" {
			t.Errorf("output %s with %s: not among the files", o.Filename, o.ChecksumType)
		}
		if sum := md5.Sum([]byte(data)); o.Size != int64(len(data)) || o.Checksum != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has %d bytes and the checksum %x, and metadata says %d and %s", o.Filename, len(data), sum, o.Size, o.Checksum)
		}
		if o.Type == "log" {
			continue
		}
		got := map[string]string{}
		for _, c := range *o.Components {
			n := modulemd.NEVRA{Name: c.Name, Version: c.Version, Release: c.Release, Arch: c.Arch}
			if c.Epoch != nil {
				n.Epoch = uint64(*c.Epoch)
			}
			got[n.String()] = c.SigMD5
		}
		want := all
		if s := f.Streams[o.Arch]; s != nil {
			want = map[string]string{}
			for _, a := range s.Artifacts.RPMs {
				want[a.String()] = all[a.String()]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("components of %s (-want +got):\n%s", o.Filename, diff)
		}
	}
	text := files["metadata.json"]
	for pattern, with := range map[string]string{
		`"(checksum|sigmd5)": "[0-9a-f]{32}"`: `"$1": "…"`,
		`"filesize": [0-9]+`:                  `"filesize": 1`,
		`"modulemd_str": ".*"`:                `"modulemd_str": "…"`,
		`("os": |"arch": )"[^"]*"(\n      },\n      "(?:content_generator|tools)")`: `$1"…"$2`,
		`"os": "[^"]*"`: `"os": "…"`,
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	golden(t, "testdata/finish/metadata.json", text)
}

// repodata reads one metadata file of a repository.
func repodata(t testing.TB, dir, record string) string {
	t.Helper()
	repomd, err := repogen.ReadRepomd(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := repomd.Record(record)
	if !ok {
		t.Fatalf("%s has no record %s", dir, record)
	}
	f, err := os.Open(filepath.Join(dir, r.Location))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// kojiRepo puts repodata where Koji has it: beside the link to all its files.
func kojiRepo(t testing.TB, tree *kojiTree, arch string, from uploadDir) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), repoArch(arch))
	if err := os.MkdirAll(filepath.Join(dir, "repodata"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range readAll(t, from) {
		if err := os.WriteFile(filepath.Join(dir, "repodata", name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(tree.topdir, filepath.Join(dir, "toplink")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// checkRepositories looks for exactly the module's packages, at their places.
func checkRepositories(t *testing.T, f *finishedModule, files map[string]string, tree *kojiTree) {
	hrefs := regexp.MustCompile(`<location href="([^"]*)"/>`)
	for arch, dir := range f.Repodata {
		repo := kojiRepo(t, tree, arch, dir)
		var got, want []string
		for _, m := range hrefs.FindAllStringSubmatch(repodata(t, repo, "primary"), -1) {
			p, err := rpmfile.ReadFile(filepath.Join(repo, m[1]))
			if err != nil {
				t.Errorf("%s: %v", arch, err)
				continue
			}
			if !strings.HasPrefix(m[1], "toplink/packages/") {
				t.Errorf("%s: location %s", arch, m[1])
			}
			got = append(got, p.NEVRA().String())
		}
		for _, a := range f.Streams[arch].Artifacts.RPMs {
			want = append(want, a.String())
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("packages of %s (-artifacts +repository):\n%s", arch, diff)
		}
		modules := repodata(t, repo, "modules")
		if !strings.HasPrefix(modules, "---\ndocument: modulemd-defaults\n") || !strings.HasSuffix(modules, files["modulemd."+arch+".txt"]) {
			t.Errorf("modules of %s are not the defaults and modulemd.%s.txt:\n%s", arch, arch, modules)
		}
		if dir.Files[len(dir.Files)-1] != "repomd.xml" || len(dir.Files) != 5 {
			t.Errorf("files to upload for %s: %q", arch, dir.Files)
		}
	}
}

// checkLibmodulemd has the reference read what is published.
func checkLibmodulemd(t *testing.T, in finishInput, f *finishedModule, files map[string]string) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", `import gi; gi.require_version("Modulemd", "2.0")`).Run() != nil {
		t.Skip("libmodulemd for Python is not installed")
	}
	const script = `
import json, sys
import gi
gi.require_version("Modulemd", "2.0")
from gi.repository import Modulemd
s = Modulemd.ModuleStream.read_file(sys.argv[1], True)
s.validate()
print(json.dumps([s.get_NSVCA(), s.get_rpm_artifacts(), s.get_content_licenses(), s.get_rpm_filters(), sorted(s.get_xmd() or {})]))
`
	licenses := map[string][]string{
		"x86_64": {"CC-BY-4.0", "MIT AND Zlib", "Zlib"}, "i686": {"CC-BY-4.0", "MIT AND Zlib"}, "aarch64": {"CC-BY-4.0", "MIT AND Zlib"}, "": {},
	}
	for name, text := range files {
		arch, ok := strings.CutPrefix(strings.TrimSuffix(name, ".txt"), "modulemd")
		arch = strings.TrimPrefix(arch, ".")
		if !ok || arch == "src" {
			continue
		}
		path := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		var got []any
		if err := json.Unmarshal([]byte(run(t, python, "-c", script, path)), &got); err != nil {
			t.Fatal(err)
		}
		nsvca, artifacts, xmd := in.Plan.Identity.NSVC(), []string{}, []string{"mbs"}
		if arch != "" {
			nsvca += ":" + arch
			xmd = []string{}
			for _, a := range f.Streams[arch].Artifacts.RPMs {
				artifacts = append(artifacts, a.String())
			}
		}
		want, err := json.Marshal([]any{nsvca, artifacts, licenses[arch], []string{"larch-tests", "sickle"}, xmd})
		if err != nil {
			t.Fatal(err)
		}
		var wanted []any
		if err := json.Unmarshal(want, &wanted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +libmodulemd):\n%s", name, diff)
		}
	}
}

// checkDNF has dnf look at the repositories.
func checkDNF(t *testing.T, f *finishedModule, tree *kojiTree) {
	check, err := filepath.Abs("../../../shared/checks/dnf-modular-check")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(check); err != nil {
		t.Skip("the check with dnf is not at hand")
	}
	needs(t, "dnf")
	for _, arch := range []string{"x86_64", "aarch64"} {
		dir := kojiRepo(t, tree, arch, f.Repodata[arch])
		run(t, check, "--strict", "--arch", arch, dir)
	}
}

// checkCreaterepo compares with what createrepo_c says of the same packages.
func checkCreaterepo(t *testing.T, in finishInput, f *finishedModule, tree *kojiTree) {
	needs(t, "createrepo_c")
	for arch, dir := range f.Repodata {
		repo := kojiRepo(t, tree, arch, dir)
		var list []string
		for _, rpm := range in.RPMs {
			n := rpm.Package.NEVRA
			if slices.Contains(f.Streams[arch].Artifacts.RPMs, n) {
				list = append(list, rpm.Repo.Location)
			}
		}
		pkglist := filepath.Join(t.TempDir(), "pkglist")
		if err := os.WriteFile(pkglist, []byte(strings.Join(list, "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		out := t.TempDir()
		run(t, "createrepo_c", "-q", "--no-database", "--general-compress-type=gz", "--workers=1", "-i", pkglist, "-o", out, repo)
		for _, record := range []string{"primary", "filelists", "other"} {
			if diff := cmp.Diff(repodata(t, out, record), repodata(t, repo, record)); diff != "" {
				t.Errorf("%s of %s (-createrepo_c +ours):\n%s", record, arch, diff)
			}
		}
	}
}

// TestFinishModuleRefuses has input that must not become a module.
func TestFinishModuleRefuses(t *testing.T) {
	plan, text := grovePlan(t)
	base := finishInput{Plan: plan, Arches: []string{"x86_64"}, SourceText: text, Outcomes: make([]modulebuild.Outcome, len(plan.Components))}
	pkg := modulebuild.Package{Component: "larch", NEVRA: modulemd.NEVRA{Name: "larch", Version: "1", Release: "1", Arch: "x86_64"}, SourceRPM: "larch-1-1.src.rpm"}
	for _, tt := range []struct {
		name   string
		change func(in *finishInput)
		want   string
	}{
		{"no architectures", func(in *finishInput) { in.Arches = nil }, "no architectures"},
		{"an architecture that is a path", func(in *finishInput) { in.Arches = []string{"../x"} }, "no such thing"},
		{"src", func(in *finishInput) { in.Arches = []string{"src"} }, "no such thing"},
		{"two that are one in Koji", func(in *finishInput) { in.Arches = []string{"i686", "i386"} }, "one repository"},
		{"the same twice", func(in *finishInput) { in.Arches = []string{"x86_64", "x86_64"} }, "one repository"},
		{"a package that no build has", func(in *finishInput) {
			in.Outcomes[slices.IndexFunc(in.Plan.Components, func(c modulebuild.Component) bool { return c.Name == "larch" })] =
				modulebuild.Outcome{Component: "larch", Packages: []modulebuild.Package{pkg}}
		}, "no build in its tag has it"},
		{"a package that two builds have", func(in *finishInput) {
			in.RPMs = []builtRPM{{Package: pkg, Build: koji.Build{NVR: "a-1-1"}}, {Package: pkg, Build: koji.Build{NVR: "b-1-1"}}}
		}, "the builds a-1-1 and b-1-1 both"},
		{"a directory that was used before", func(in *finishInput) {
			if err := os.Mkdir(filepath.Join(in.Dir, "import"), 0o777); err != nil {
				t.Fatal(err)
			}
		}, "exists"},
		{"a log that is not there", func(in *finishInput) { in.BuildLog = "/nowhere/module.log" }, "/nowhere/module.log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := base
			in.Dir = t.TempDir()
			in.Outcomes = slices.Clone(base.Outcomes)
			tt.change(&in)
			if _, err := finishModule(t.Context(), in); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	t.Run("nothing for an architecture", func(t *testing.T) {
		in := base
		in.Scratch = true
		f := finish(t, in)
		if !slices.Contains(f.Warnings, "the module has no packages") {
			t.Errorf("warnings %q", f.Warnings)
		}
	})
}

func TestMergeWarnings(t *testing.T) {
	arches := []string{"x86_64", "aarch64", "s390x"}
	got := mergeWarnings(arches, [][]string{{"all", "first", "all"}, {"two", "all"}, {"all", "two"}})
	if diff := cmp.Diff([]string{"all", "first (on x86_64)", "two (on aarch64, s390x)"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRepoArch(t *testing.T) {
	for arch, want := range map[string]string{
		"x86_64": "x86_64", "ia32e": "x86_64", "i686": "i386", "i386": "i386", "athlon": "i386", "aarch64": "aarch64",
		"ppc64le": "ppc64le", "ppc64p7": "ppc64", "ppc64": "ppc64", "s390x": "s390x", "armv7hl": "armhfp", "armv5tel": "arm",
		"sparc64v": "sparc64", "sparcv9": "sparc", "alphaev6": "alpha", "riscv64": "riscv64",
	} {
		if got := repoArch(arch); got != want {
			t.Errorf("%s is in %s, want %s", arch, got, want)
		}
	}
}

// BenchmarkFinishModule has a hundred packages on three architectures.
func BenchmarkFinishModule(b *testing.B) {
	in, _ := groveInput(b)
	i := slices.IndexFunc(in.Plan.Components, func(c modulebuild.Component) bool { return c.Name == "larch" })
	larch := slices.Clone(in.Outcomes[i].Packages)
	for _, rpm := range slices.Clone(in.RPMs) {
		if rpm.Package.Component != "larch" || rpm.Package.SourceRPM == "" {
			continue
		}
		for n := range 100/len(larch) + 1 {
			more := rpm
			more.Package.NEVRA.Name += fmt.Sprint("-", n)
			more.Repo.Location += fmt.Sprint("-", n)
			in.RPMs = append(in.RPMs, more)
			in.Outcomes[i].Packages = append(in.Outcomes[i].Packages, more.Package)
		}
	}
	b.Logf("%d RPMs", len(in.RPMs))
	for b.Loop() {
		finish(b, in)
	}
}
