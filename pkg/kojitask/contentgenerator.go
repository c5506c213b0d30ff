package kojitask

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kojimod/kojimod/internal/regularfile"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// What follows is the metadata that Koji imports builds with, as
// docs/content_generator_metadata.rst in Koji's source has it, and as the Module
// Build Service fills it in for modules (builder/KojiContentGenerator.py).

type cgMetadata struct {
	Version    int           `json:"metadata_version"`
	Buildroots []cgBuildroot `json:"buildroots"`
	Build      cgBuild       `json:"build"`
	Output     []cgOutput    `json:"output"`
}

type cgBuildroot struct {
	ID        int           `json:"id"`
	Host      cgHost        `json:"host"`
	Generator cgTool        `json:"content_generator"`
	Container cgContainer   `json:"container"`
	Tools     []cgTool      `json:"tools"`
	Contents  []cgComponent `json:"components"`
}

type cgHost struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
}

type cgTool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type cgContainer struct {
	Type string `json:"type"`
	Arch string `json:"arch"`
}

type cgBuild struct {
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Release string  `json:"release"`
	BuildID int64   `json:"build_id"`
	TaskID  int64   `json:"task_id"`
	Source  *string `json:"source"` // null for an uploaded document
	Start   int64   `json:"start_time"`
	End     int64   `json:"end_time"`
	Owner   string  `json:"owner,omitempty"`
	Extra   cgExtra `json:"extra"`
}

type cgExtra struct {
	TypeInfo struct {
		Module cgModule `json:"module"`
	} `json:"typeinfo"`
}

// A cgModule is what consumers of modules look for in a build. koji-web makes a
// link to a Module Build Service of module_build_service_id, which there is none
// of: it is left out.
type cgModule struct {
	ContentTag string `json:"content_koji_tag"`
	Document   string `json:"modulemd_str"`
	Name       string `json:"name"`
	Stream     string `json:"stream"`
	Version    string `json:"version"`
	Context    string `json:"context"`
}

type cgOutput struct {
	Buildroot    int             `json:"buildroot_id"`
	Type         string          `json:"type"`
	Arch         string          `json:"arch"`
	Filename     string          `json:"filename"`
	Size         int64           `json:"filesize"`
	ChecksumType string          `json:"checksum_type"`
	Checksum     string          `json:"checksum"`
	Extra        json.RawMessage `json:"extra,omitempty"`
	Components   *[]cgComponent  `json:"components,omitempty"`
}

type cgComponent struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Release string `json:"release"`
	Epoch   *int64 `json:"epoch"`
	Arch    string `json:"arch"`
	SigMD5  string `json:"sigmd5"`
}

// buildroot is the number of the one buildroot: the machine that this runs on.
const buildroot = 1

// defaultGenerator is what the hub's plugin calls the content generator if its
// configuration does not say otherwise.
const defaultGenerator = "module-builder"

// An importWriter writes the directory that the hub imports the module's build
// from.
type importWriter struct {
	in    *finishInput
	files []string
	meta  cgMetadata
	all   []cgComponent // all RPMs in the module's tag
}

// writeImport writes it into the new directory dir.
func writeImport(dir string, in *finishInput, finished map[string]*modulebuild.Finished, rpms map[modulemd.NEVRA]*builtRPM) (uploadDir, error) {
	fail := func(err error) (uploadDir, error) {
		return uploadDir{}, fmt.Errorf("writing the build record: %w", err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return fail(err)
	}
	w := &importWriter{in: in}
	for _, rpm := range in.RPMs {
		w.all = append(w.all, componentOf(&rpm))
	}
	sortComponents(w.all)
	for _, arch := range in.Arches {
		if err := w.arch(dir, arch, finished[arch], rpms); err != nil {
			return fail(err)
		}
	}
	var text bytes.Buffer
	if err := modulemd.Write(&text, in.Plan.Expanded(in.Outcomes, in.options())); err != nil {
		return fail(err)
	}
	if err := w.document(dir, "noarch", "modulemd.txt", text.Bytes(), w.all); err != nil {
		return fail(err)
	}
	if len(in.SourceText) > 0 {
		if err := w.document(dir, "src", "modulemd.src.txt", in.SourceText, w.all); err != nil {
			return fail(err)
		}
	}
	if in.BuildLog != "" {
		if err := w.log(dir); err != nil {
			return fail(err)
		}
	}
	w.meta.Buildroots = []cgBuildroot{w.buildroot()}
	w.meta.Build = w.build(text.String())
	if err := w.metadata(dir); err != nil {
		return fail(err)
	}
	return uploadDir{Path: dir, Files: w.files}, nil
}

// arch writes the finished document of one architecture.
func (w *importWriter) arch(dir, arch string, f *modulebuild.Finished, rpms map[modulemd.NEVRA]*builtRPM) error {
	var text bytes.Buffer
	if err := modulemd.Write(&text, f.Stream); err != nil {
		return err
	}
	components := []cgComponent{}
	for _, pkg := range f.Packages {
		components = append(components, componentOf(rpms[pkg.NEVRA]))
	}
	sortComponents(components)
	return w.document(dir, arch, "modulemd."+arch+".txt", text.Bytes(), components)
}

// document writes one file of the build and notes it.
func (w *importWriter) document(dir, arch, name string, text []byte, components []cgComponent) error {
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
		return err
	}
	sum := md5.Sum(text) // as Koji keeps it of all module builds
	w.files = append(w.files, name)
	w.meta.Output = append(w.meta.Output, cgOutput{
		Buildroot: buildroot, Type: "file", Arch: arch, Filename: name, Size: int64(len(text)),
		ChecksumType: "md5", Checksum: hex.EncodeToString(sum[:]),
		Extra: json.RawMessage(`{"typeinfo":{"module":{}}}`), Components: &components,
	})
	return nil
}

// log takes a copy of the log as it is now: it may go on growing.
func (w *importWriter) log(dir string) error {
	const name = "build.log"
	src, err := regularfile.Open(w.in.BuildLog)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer dst.Close()
	sum := md5.New()
	size, err := io.Copy(io.MultiWriter(dst, sum), src)
	if err != nil {
		return err
	}
	w.files = append(w.files, name)
	w.meta.Output = append(w.meta.Output, cgOutput{
		Buildroot: buildroot, Type: "log", Arch: "noarch", Filename: name, Size: size,
		ChecksumType: "md5", Checksum: hex.EncodeToString(sum.Sum(nil)),
	})
	return dst.Close()
}

func (w *importWriter) build(document string) cgBuild {
	id := w.in.Plan.Identity
	version := strconv.FormatUint(id.Version, 10)
	b := cgBuild{
		Name: id.Name, Version: strings.ReplaceAll(id.Stream, "-", "_"), Release: version + "." + string(id.Context),
		BuildID: w.in.BuildID, TaskID: w.in.TaskID, Owner: w.in.Owner,
		Start: w.in.Started.Unix(), End: w.in.Ended.Unix(),
	}
	if w.in.Source != "" {
		b.Source = &w.in.Source
	}
	b.Extra.TypeInfo.Module = cgModule{
		ContentTag: w.in.Tag, Document: document,
		Name: id.Name, Stream: id.Stream, Version: version, Context: string(id.Context),
	}
	return b
}

// buildroot tells where the documents were made. Nothing of that machine is in
// them, and so its packages are not listed: what made them is this program.
func (w *importWriter) buildroot() cgBuildroot {
	host := thisHost()
	version := cmp.Or(w.in.Version, toolVersion())
	return cgBuildroot{
		ID: buildroot, Host: host,
		Generator: cgTool{Name: cmp.Or(w.in.Generator, defaultGenerator), Version: version},
		Container: cgContainer{Type: "none", Arch: host.Arch},
		Tools:     []cgTool{{Name: "kojimod", Version: version}},
		Contents:  []cgComponent{},
	}
}

func (w *importWriter) metadata(dir string) error {
	const name = "metadata.json"
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // people read it: Koji keeps it beside the build
	enc.SetIndent("", "  ")
	if err := enc.Encode(w.meta); err != nil {
		return err
	}
	w.files = append(w.files, name)
	return os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o666)
}

func componentOf(rpm *builtRPM) cgComponent {
	r := rpm.RPM
	return cgComponent{Type: "rpm", Name: r.Name, Version: r.Version, Release: r.Release, Epoch: r.Epoch, Arch: r.Arch, SigMD5: r.PayloadHash}
}

func sortComponents(list []cgComponent) {
	slices.SortFunc(list, func(a, b cgComponent) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Release, b.Release), cmp.Compare(a.Arch, b.Arch))
	})
}

// thisHost names this machine's architecture and distribution.
func thisHost() cgHost {
	host := cgHost{OS: "Linux", Arch: "unknown"}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		host.Arch = unix.ByteSliceToString(u.Machine[:])
	}
	const limit = 64 << 10
	text, err := regularfile.ReadFile("/etc/os-release", limit)
	if err != nil {
		return host
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = strings.Trim(value, `"'`)
	}
	if name := strings.TrimSpace(values["NAME"] + " " + values["VERSION_ID"]); name != "" {
		host.OS = strings.ToValidUTF8(name, "?")
	}
	return host
}

// toolVersion is that of this program.
func toolVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
