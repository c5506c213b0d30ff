package kojitest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/kojimod/kojimod/internal/kojitest"
	"github.com/kojimod/kojimod/pkg/koji"
)

// Files are served as they lie below the topdir, in pieces too.
func TestFiles(t *testing.T) {
	h := newHub(t)
	h.AddTag(kojitest.Tag{Name: "t", Arches: "x86_64", Packages: []string{"hello"}})
	rpm := kojitest.RPM{Name: "hello", Version: "1", Release: "1", Arch: "src"}
	h.ImportBuild([][]byte{rpm.Bytes()}, "t")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.FilesURL+"/packages/hello/1/1/src/hello-1-1.src.rpm", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=10-14")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusPartialContent || string(data) != "hello" {
		t.Errorf("%s: %q, %v", resp.Status, data, err)
	}
}

// newRepo tasks make repositories, when and if the test says so.
func TestRepos(t *testing.T) {
	h := newHub(t)
	begin := make(chan error)
	h.Repos(func(context.Context, kojitest.Task) error { return <-begin })
	root := h.MakeTask("packager", "parent")
	h.Open(root, "builder1")
	s := host(t, h)
	newRepo := func() koji.Task {
		t.Helper()
		var id int64
		if err := s.Call(t.Context(), "host.subtask", &id, "newRepo", []any{"el9-build"}, root, koji.Named{"channel": "createrepo"}); err != nil {
			t.Fatal(err)
		}
		if task := h.Task(id); task.State != "OPEN" || task.Channel != "createrepo" {
			t.Errorf("before its time: %+v", task)
		}
		begin <- map[bool]error{true: errors.New("no room"), false: nil}[len(h.RepoList("")) > 0]
		done, err := s.WatchTask(t.Context(), id, koji.WatchOptions{Min: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	if got := newRepo(); got.State != koji.TaskClosed {
		t.Errorf("the task is %s", got.State)
	}
	repos := h.RepoList("el9-build")
	if len(repos) != 1 || repos[0].State != "READY" {
		t.Fatalf("repositories: %+v", repos)
	}
	if got := newRepo(); got.State != koji.TaskFailed {
		t.Errorf("the second task is %s", got.State)
	}
	var info struct {
		State int `xmlrpc:"state"`
	}
	h.ExpireRepo(repos[0].ID)
	if err := s.Call(t.Context(), "repoInfo", &info, repos[0].ID); err != nil || info.State != 2 {
		t.Errorf("an expired repository has state %d, %v", info.State, err)
	}
}
