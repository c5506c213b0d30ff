package kojitest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/kojitest"
	"github.com/kojimod/kojimod/pkg/koji"
)

// A flow is a module build up to its last step.
type flow struct {
	h      *kojitest.Hub
	s      *koji.Session
	task   int64
	finish map[string]any
	nvr    string
	tag    string
	target string // tag that the module goes to
}

func newFlow(t *testing.T, opts map[string]any) *flow {
	t.Helper()
	h := newHub(t)
	h.Builds(func(_ context.Context, b kojitest.Build) ([][]byte, error) {
		name := strings.TrimPrefix(b.Label, "build:")
		r := kojitest.RPM{Name: name, Version: "1", Release: "1.module", Arch: "src"}
		files := [][]byte{r.Bytes()}
		r.Arch = "x86_64"
		return append(files, r.Bytes()), nil
	})
	f := &flow{h: h, target: "el9-modules"}
	f.task = h.MakeTask("packager", "moduleBuild", map[string]any{"__method__": "moduleBuild", "source": "git+https://git.example.org/m#abc",
		"target": "el9", "opts": opts})
	h.Open(f.task, "builder1")
	f.s = host(t, h)
	return f
}

func (f *flow) call(t *testing.T, result any, method string, args ...any) {
	t.Helper()
	if err := f.s.Call(t.Context(), method, result, append([]any{f.task}, args...)...); err != nil {
		t.Fatal(err)
	}
}

// prepare does all but the last step.
func (f *flow) prepare(t *testing.T, components ...string) {
	t.Helper()
	ctx := t.Context()
	var reserved struct {
		NVR     string `xmlrpc:"nvr"`
		BuildID int64  `xmlrpc:"build_id"`
		Tag     string `xmlrpc:"tag"`
	}
	f.call(t, &reserved, "host.moduleReserve", map[string]any{"name": "m", "stream": "1", "version": "20240101000000", "context": "c0ffee00"}, map[string]any{"time": 1})
	f.nvr, f.tag = reserved.NVR, reserved.Tag
	var tags struct {
		Build string `xmlrpc:"build_tag"`
	}
	f.call(t, &tags, "host.moduleTags", map[string]any{"packages": components, "macros": map[string]string{"dist": ".module"}})
	for _, name := range components {
		var id int64
		err := f.s.Call(ctx, "host.subtask", &id, "build", []any{"https://x/" + name + "#1", nil, map[string]any{}}, f.task, koji.Named{"label": "build:" + name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.s.WatchTask(ctx, id, koji.WatchOptions{Min: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		var builds []koji.Build
		var built struct {
			ID int64 `xmlrpc:"build_id"`
		}
		if err := f.s.Call(ctx, "listBuilds", &builds, koji.Named{"taskID": id}); err != nil || len(builds) != 1 {
			t.Fatal(builds, err)
		}
		f.call(t, &built, "host.moduleTagBuild", builds[0].NVR)
	}
	var repo struct {
		ID int64 `xmlrpc:"repo_id"`
	}
	f.call(t, &repo, "host.moduleRepo")
	dir := koji.TaskDir(f.task)
	md := map[string]any{"metadata_version": 0, "output": []any{map[string]any{"filename": "modulemd.txt", "type": "file", "filesize": 3}},
		"build": map[string]any{"name": "m", "version": "1", "release": "20240101000000.c0ffee00", "build_id": reserved.BuildID, "task_id": f.task,
			"extra": map[string]any{"typeinfo": map[string]any{"module": map[string]any{"content_koji_tag": f.tag}}}}}
	text, err := json.Marshal(md)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{"repodata/repomd.xml": "<repomd/>", "import/metadata.json": string(text), "import/modulemd.txt": "abc"} {
		sub, name, _ := strings.Cut(path, "/")
		if _, err := f.s.Upload(ctx, dir+"/"+sub, name, strings.NewReader(content), int64(len(content)), koji.UploadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	f.finish = map[string]any{"repo_id": repo.ID, "repodata": map[string]any{"x86_64": []any{dir + "/repodata", []string{"repomd.xml"}}}, "directory": dir + "/import"}
}

// published is what there is to see of the module.
func (f *flow) published() []string {
	var out []string
	for _, r := range f.h.RepoList(f.tag) {
		out = append(out, "repo "+r.State)
	}
	for _, r := range f.h.Records() {
		if r.NVR == f.nvr {
			out = append(out, "build "+r.State)
		}
	}
	if slices.Contains(f.h.Tagged(f.target), f.nvr) {
		out = append(out, "tagged")
	}
	return out
}

func TestModule(t *testing.T) {
	f := newFlow(t, map[string]any{})
	f.prepare(t, "a", "b")
	if diff := cmp.Diff([]string{"repo INIT", "build BUILDING"}, f.published()); diff != "" {
		t.Errorf("before the end (-want +got):\n%s", diff)
	}
	f.h.Fault(kojitest.Fault{Kind: kojitest.ResetAfter, Method: "host.moduleFinish", Nth: 1})
	finish := func() (nvr string, err error) {
		var r struct {
			NVR string `xmlrpc:"nvr"`
		}
		err = f.s.Call(t.Context(), "host.moduleFinish", &r, f.task, f.finish)
		return r.NVR, err
	}
	if _, err := finish(); !errors.Is(err, koji.ErrReplyLost) {
		t.Errorf("the lost reply is %v", err)
	}
	if nvr, err := finish(); err != nil || nvr != f.nvr {
		t.Errorf("asked again: %q, %v", nvr, err)
	}
	if diff := cmp.Diff([]string{"repo READY", "build COMPLETE", "tagged"}, f.published()); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a-1-1.module", "b-1-1.module"}, f.h.Tagged(f.tag)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}

// What ends before its last step leaves nothing that is published.
func TestModuleEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(f *flow)
		want []string
	}{
		{"cancelled", func(f *flow) { f.h.Cancel(f.task) }, []string{"repo INIT", "build CANCELED"}},
		{"failed", func(f *flow) { f.h.Close(f.task, nil, &kojitest.Failure{Code: 1005, Message: "no"}) }, []string{"repo INIT", "build FAILED"}},
		{"freed", func(f *flow) { f.h.Free(f.task) }, []string{"repo INIT", "build BUILDING"}},
		{"lent again", func(f *flow) { f.h.Lend("builder1") }, []string{"repo INIT", "build BUILDING"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlow(t, map[string]any{})
			f.prepare(t, "a")
			tt.end(f)
			if err := f.s.Call(t.Context(), "host.moduleFinish", nil, f.task, f.finish); err == nil {
				t.Error("it was finished")
			}
			if diff := cmp.Diff(tt.want, f.published()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A component that another task has built is not taken.
func TestForeignBuild(t *testing.T) {
	f := newFlow(t, map[string]any{})
	f.prepare(t, "a")
	r := kojitest.RPM{Name: "a", Version: "2", Release: "1", Arch: "src"}
	id := f.h.ImportBuild([][]byte{r.Bytes()})
	if err := f.s.Call(t.Context(), "host.moduleTagBuild", nil, f.task, id); !errors.Is(err, koji.ErrActionNotAllowed) {
		t.Errorf("got %v", err)
	}
	if err := login(t, f.h, "packager", "packagerpw").Call(t.Context(), "untagBuild", nil, f.tag, "a-1-1.module"); !errors.Is(err, koji.ErrActionNotAllowed) {
		t.Errorf("untagging: %v", err)
	}
}

// A scratch build leaves its repository and no tags.
func TestScratch(t *testing.T) {
	f := newFlow(t, map[string]any{"scratch": true})
	f.prepare(t, "a")
	delete(f.finish, "directory")
	f.call(t, nil, "host.moduleFinish", f.finish)
	f.call(t, nil, "host.moduleFinish", f.finish)
	if diff := cmp.Diff([]string{"repo READY"}, f.published()); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
	for _, name := range f.h.TagNames() {
		if strings.Contains(name, fmt.Sprint("+", f.task)) {
			t.Errorf("the tag %s is left", name)
		}
	}
}
