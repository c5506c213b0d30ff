package kojitask

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/rpmfile"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// TestLiveFinish has a real hub tell about RPMs and import the build record that is
// made of them. It needs a hub for testing, to which RPMs are imported:
//
//	KOJI_TEST_HUB, KOJI_TEST_USER, KOJI_TEST_PASSWORD   of an administrator
//	KOJI_TEST_FILES                                     the topurl
//	KOJI_TEST_TOPDIR                                    the topdir, where it is on this machine
func TestLiveFinish(t *testing.T) {
	address, topurl := os.Getenv("KOJI_TEST_HUB"), os.Getenv("KOJI_TEST_FILES")
	user, password := os.Getenv("KOJI_TEST_USER"), os.Getenv("KOJI_TEST_PASSWORD")
	if address == "" || topurl == "" || user == "" || password == "" {
		t.Skip("KOJI_TEST_HUB, KOJI_TEST_FILES, KOJI_TEST_USER and KOJI_TEST_PASSWORD do not name a Koji to test against")
	}
	client, err := koji.New(address, koji.Options{RetryFor: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Logout(t.Context()) })
	l := &liveHub{t: t, Session: session}

	plan, text := grovePlan(t)
	// Another version each time: Koji takes no build twice.
	plan.Identity.Version = modulebuild.TimeVersion("el9", time.Now())
	plan.Identity.DistTag, err = modulebuild.DistTag("el9", 7, plan.Identity.Name, plan.Identity.Stream, plan.Identity.Version, plan.Identity.Context)
	if err != nil {
		t.Fatal(err)
	}
	files := rpmbuild(t, plan)
	in := finishInput{
		Plan: plan, Arches: groveArches(), Tag: "module-grove", Owner: user, Started: time.Now().Add(-time.Hour), Ended: time.Now(),
		Source: "git+https://git.example.org/modules/grove?#c0ffee", Commit: "c0ffee", SourceText: text,
		BuildLog: "testdata/finish/grove.yaml",
	}
	remote := &rpmReader{hub: &hub{Session: session}, topurl: topurl}
	for _, c := range plan.Components {
		build := l.importRPMs(files[c.Name])
		began := time.Now()
		built, err := remote.readBuild(t.Context(), c.Name, build)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d RPMs of %s read over HTTP in %v", len(built), build.NVR, time.Since(began))
		if topdir := os.Getenv("KOJI_TEST_TOPDIR"); topdir != "" {
			local, err := (&rpmReader{hub: &hub{Session: session}, topdir: topdir}).readBuild(t.Context(), c.Name, build)
			if err != nil {
				t.Fatal(err)
			}
			for i := range local {
				local[i].Package.Path = built[i].Package.Path
			}
			if diff := cmp.Diff(local, built); diff != "" {
				t.Errorf("RPMs of %s (-from topdir +from topurl)\n%s", build.NVR, diff)
			}
		}
		for _, rpm := range built {
			i := slices.IndexFunc(files[c.Name], func(f string) bool { return filepath.Base(f) == filepath.Base(rpm.Repo.Location) })
			want, err := repogen.ReadPackage(t.Context(), files[c.Name][i], rpm.Repo.Location)
			if err != nil {
				t.Fatal(err)
			}
			want.Time = rpm.Repo.Time // that of the file
			if diff := cmp.Diff(want, rpm.Repo); diff != "" {
				t.Errorf("(-file that was imported +ours)\n%s", diff)
			}
		}
		o := modulebuild.Outcome{Component: c.Name, State: modulebuild.Built}
		for _, rpm := range built {
			o.Packages = append(o.Packages, rpm.Package)
		}
		in.Outcomes, in.RPMs = append(in.Outcomes, o), append(in.RPMs, built...)
	}
	l.importModule(in)
}

// A liveHub is a session with a real hub.
type liveHub struct {
	t *testing.T
	*koji.Session
}

func (l *liveHub) must(method string, result any, args ...any) {
	l.t.Helper()
	if err := l.Call(l.t.Context(), method, result, args...); err != nil {
		l.t.Fatal(err)
	}
}

func (l *liveHub) upload(dir, path string) {
	l.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.Upload(l.t.Context(), dir, filepath.Base(path), bytes.NewReader(data), int64(len(data)), koji.UploadOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

func uploadName(t *testing.T) string {
	return fmt.Sprintf("cli-build/%d.%s", time.Now().UnixNano(), strings.ToLower(filepath.Base(t.Name())))
}

// importRPMs makes a build of RPMs, the source package first.
func (l *liveHub) importRPMs(files []string) koji.Build {
	l.t.Helper()
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b string) int {
		return strings.Compare(strings.Replace(filepath.Base(a), ".src.rpm", "", 1), strings.Replace(filepath.Base(b), ".src.rpm", "", 1))
	})
	source := slices.IndexFunc(files, func(f string) bool { return strings.HasSuffix(f, ".src.rpm") })
	files[0], files[source] = files[source], files[0]
	dir := uploadName(l.t)
	for _, file := range files {
		l.upload(dir, file)
		l.must("importRPM", nil, dir, filepath.Base(file))
	}
	p, err := rpmfile.ReadFile(files[0])
	if err != nil {
		l.t.Fatal(err)
	}
	n := p.NEVRA()
	build, err := l.Build(l.t.Context(), n.Name+"-"+n.Version+"-"+n.Release)
	if err != nil {
		l.t.Fatal(err)
	}
	return build
}

// importModule reserves a build, as the plugin of the hub does, and imports it.
func (l *liveHub) importModule(in finishInput) {
	t := l.t
	t.Helper()
	var types []struct {
		Name string `xmlrpc:"name"`
	}
	l.must("listBTypes", &types)
	if !slices.ContainsFunc(types, func(b struct {
		Name string `xmlrpc:"name"`
	}) bool {
		return b.Name == "module"
	}) {
		l.must("addBType", nil, "module")
	}
	err := l.Call(t.Context(), "grantCGAccess", nil, in.Owner, defaultGenerator, koji.Named{"create": true})
	if err != nil && !strings.Contains(err.Error(), "already has access") {
		t.Fatal(err)
	}
	l.must("makeTask", &in.TaskID, "sleep", []any{int64(1)})
	id := in.Plan.Identity
	var reserved struct {
		BuildID int64  `xmlrpc:"build_id"`
		Token   string `xmlrpc:"token"`
	}
	l.must("CGInitBuild", &reserved, defaultGenerator, map[string]any{
		"name": id.Name, "version": strings.ReplaceAll(id.Stream, "-", "_"),
		"release": fmt.Sprintf("%d.%s", id.Version, id.Context), "epoch": nil, "task_id": in.TaskID,
	})
	in.BuildID = reserved.BuildID
	began := time.Now()
	f := finish(t, in)
	t.Logf("finished in %v", time.Since(began))
	dir := uploadName(t)
	for _, name := range f.Import.Files {
		l.upload(dir, filepath.Join(f.Import.Path, name))
	}
	t.Logf("uploaded after %v", time.Since(began))
	l.must("CGImport", nil, "metadata.json", dir, reserved.Token)
	t.Logf("imported after %v", time.Since(began))

	build, err := l.BuildByID(t.Context(), reserved.BuildID)
	if err != nil {
		t.Fatal(err)
	}
	if build.State != koji.BuildComplete || build.TaskID == nil || *build.TaskID != in.TaskID || build.OwnerName != in.Owner {
		t.Errorf("the imported build is %+v", build)
	}
	module, _ := build.Extra["typeinfo"].(map[string]any)["module"].(map[string]any)
	want := map[string]any{"content_koji_tag": in.Tag, "name": id.Name, "stream": id.Stream, "version": fmt.Sprint(id.Version),
		"context": string(id.Context), "modulemd_str": readAll(t, *f.Import)["modulemd.txt"]}
	if diff := cmp.Diff(want, module); diff != "" {
		t.Errorf("typeinfo of the build (-want +got):\n%s", diff)
	}
	var archives []struct {
		ID       int64  `xmlrpc:"id"`
		Filename string `xmlrpc:"filename"`
		Type     string `xmlrpc:"btype"`
	}
	l.must("listArchives", &archives, koji.Named{"buildID": reserved.BuildID})
	if len(archives) != len(in.Arches)+2 {
		t.Errorf("archives %v, want a document for each of %v, modulemd.txt and modulemd.src.txt", archives, in.Arches)
	}
	for _, a := range archives {
		var rpms []koji.RPM
		l.must("listRPMs", &rpms, koji.Named{"imageID": a.ID})
		want := len(in.RPMs)
		if s := f.Streams[strings.TrimSuffix(strings.TrimPrefix(a.Filename, "modulemd."), ".txt")]; s != nil {
			want = len(s.Artifacts.RPMs)
		}
		if len(rpms) != want || a.Type != "module" {
			t.Errorf("%s is of type %q and has %d components, want %d", a.Filename, a.Type, len(rpms), want)
		}
	}
}
