package kojitask

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/koji"
)

// These tests have a real Koji, one for testing, build modules of tiny components:
//
//	KOJI_TEST_HUB, KOJI_TEST_USER, KOJI_TEST_PASSWORD   of somebody who may build modules
//	KOJI_TEST_TARGET                                    the build target
//	KOJI_TEST_ROUNDS                                    how often to disturb a build, 4 unless set
//
// They take minutes: TESTFLAGS="-timeout 1h". Its builders must have what builds a
// noarch package with only a shell.

// liveModules are modules built in a real Koji.
type liveModules struct {
	*liveHub
	target   string
	platform string // of the target, as name and stream
	name     string // of the module; another one in each test
	rounds   int
}

func newLiveModules(t *testing.T) *liveModules {
	address, target := os.Getenv("KOJI_TEST_HUB"), os.Getenv("KOJI_TEST_TARGET")
	user, password := os.Getenv("KOJI_TEST_USER"), os.Getenv("KOJI_TEST_PASSWORD")
	if address == "" || target == "" || user == "" || password == "" {
		t.Skip("KOJI_TEST_HUB, KOJI_TEST_USER, KOJI_TEST_PASSWORD and KOJI_TEST_TARGET do not name a Koji to build modules in")
	}
	needs(t, "rpmbuild")
	client, err := koji.New(address, koji.Options{RetryFor: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	l := &liveModules{liveHub: &liveHub{t: t, Session: session}, target: target, rounds: 4}
	l.name = fmt.Sprintf("live%x", time.Now().UnixNano())
	if rounds := os.Getenv("KOJI_TEST_ROUNDS"); rounds != "" {
		if l.rounds, err = strconv.Atoi(rounds); err != nil {
			t.Fatal("KOJI_TEST_ROUNDS: ", err)
		}
	}
	p, err := (&hub{Session: session}).platform(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if l.platform = p.stream; l.platform == "" {
		t.Fatalf("the build tag of target %s says no platform", target)
	}
	return l
}

// A liveComponent is a noarch package of one file.
type liveComponent struct {
	name  string
	order int    // buildorder
	build string // shell, in %build
}

const liveSpec = `Name: %[1]s
Version: 1
Release: 1%%{?dist}
Summary: Component of a test
License: MIT-0
BuildArch: noarch
%%description
A test.
%%build
%[2]s
%%install
mkdir -p %%{buildroot}/usr/share/%[1]s
echo %%{?modularitylabel} > %%{buildroot}/usr/share/%[1]s/label
%%files
/usr/share/%[1]s
`

// prepare uploads a module and returns what moduleBuild takes: source and options.
func (l *liveModules) prepare(components ...liveComponent) (source string, opts map[string]any) {
	l.t.Helper()
	dir, top := uploadName(l.t), l.t.TempDir()
	srpms := map[string]any{}
	var doc strings.Builder
	fmt.Fprintf(&doc, `document: modulemd
version: 2
data:
  name: %s
  stream: "1"
  summary: A test
  description: A test.
  license: {module: [MIT-0]}
  dependencies:
    - buildrequires: {platform: [%[2]s]}
      requires: {platform: [%[2]s]}
  components:
    rpms:
`, l.name, l.platform)
	for _, c := range components {
		name := l.name + "-" + c.name
		spec := filepath.Join(top, name+".spec")
		if err := os.WriteFile(spec, fmt.Appendf(nil, liveSpec, name, c.build), 0o666); err != nil {
			l.t.Fatal(err)
		}
		run(l.t, "rpmbuild", "-bs", "--quiet", "--define", "_topdir "+top, "--define", "dist %{nil}", spec)
		srpm := name + "-1-1.src.rpm"
		l.upload(dir, filepath.Join(top, "SRPMS", srpm))
		srpms[name] = dir + "/" + srpm
		fmt.Fprintf(&doc, "      %s: {rationale: a test, buildorder: %d}\n", name, c.order)
	}
	file := filepath.Join(top, l.name+".yaml")
	if err := os.WriteFile(file, []byte(doc.String()), 0o666); err != nil {
		l.t.Fatal(err)
	}
	l.upload(dir, file)
	return dir + "/" + l.name + ".yaml", map[string]any{"srpms": srpms}
}

func (l *liveModules) submit(source string, opts map[string]any) int64 {
	l.t.Helper()
	var id int64
	l.must("moduleBuild", &id, source, l.target, opts)
	l.t.Logf("task %d builds %s; it resumes %v", id, l.name, opts["resume"])
	return id
}

// with is a copy of options with one more.
func with(opts map[string]any, key string, value any) map[string]any {
	more := map[string]any{key: value}
	for k, v := range opts {
		if k != key {
			more[k] = v
		}
	}
	return more
}

func (l *liveModules) wait(id int64) koji.Task {
	l.t.Helper()
	task, err := l.WatchTask(l.t.Context(), id, koji.WatchOptions{Max: 4 * time.Second})
	if err != nil {
		l.t.Fatal(err)
	}
	return task
}

// log returns the task's own log so far.
func (l *liveModules) log(id int64) string {
	var log bytes.Buffer
	if _, err := l.CopyTaskOutput(l.t.Context(), &log, id, storyName, 0); err != nil && !errors.Is(err, koji.ErrNotFound) {
		l.t.Fatal(err)
	}
	return log.String()
}

// labels are those of a task's children that build components, with their states.
func (l *liveModules) labels(id int64) []string {
	l.t.Helper()
	kids, err := l.Children(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	labels := []string{}
	for _, kid := range kids {
		if kid.Method == "build" && kid.Label != nil {
			name := strings.TrimPrefix(*kid.Label, buildLabel+l.name+"-")
			labels = append(labels, name+" "+kid.State.String())
		}
	}
	slices.Sort(labels)
	return labels
}

// A liveRepo is a row of the hub's table of repositories.
type liveRepo struct {
	ID    int64 `xmlrpc:"id"`
	State int64 `xmlrpc:"state"`
}

const repoReady = 1 // koji.REPO_STATES

func (l *liveModules) ready(tag string) []int64 {
	l.t.Helper()
	var repos []liveRepo
	l.must("repo.query", &repos, []any{[]any{"tag_name", tag}}, []string{"id", "state"})
	ready := []int64{}
	for _, r := range repos {
		if r.State == repoReady {
			ready = append(ready, r.ID)
		}
	}
	return ready
}

// A liveState is all that a module task may have left for others to see.
type liveState struct {
	Build  koji.BuildState
	Ready  int // repositories of its tag
	Tagged int // in the destination
	RPMs   int // builds in its tag
}

// state looks at a module's build and tag.
func (l *liveModules) state(nvr, tag string) liveState {
	l.t.Helper()
	build, err := l.Build(l.t.Context(), nvr)
	if err != nil {
		l.t.Fatal(err)
	}
	target, err := l.BuildTarget(l.t.Context(), l.target)
	if err != nil {
		l.t.Fatal(err)
	}
	s := liveState{Build: build.State, Ready: len(l.ready(tag))}
	tagged, err := l.ListTagged(l.t.Context(), target.DestTagName, koji.TaggedQuery{Package: l.name})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, b := range tagged {
		if b.NVR == nvr {
			s.Tagged++
		}
	}
	inside, err := l.ListTagged(l.t.Context(), tag, koji.TaggedQuery{})
	if err != nil {
		l.t.Fatal(err)
	}
	s.RPMs = len(inside)
	return s
}

// published checks that a task has succeeded and published one of each.
func (l *liveModules) published(id int64, components int) map[string]any {
	l.t.Helper()
	var result struct {
		NVR  string `xmlrpc:"nvr"`
		Tag  string `xmlrpc:"tag"`
		Repo int64  `xmlrpc:"repo_id"`
	}
	if task := l.wait(id); task.State != koji.TaskClosed {
		l.t.Fatalf("task %d is %s: %v\n%s", id, task.State, l.TaskResult(l.t.Context(), id, nil), l.log(id))
	}
	var all map[string]any
	if err := errors.Join(l.TaskResult(l.t.Context(), id, &result), l.TaskResult(l.t.Context(), id, &all)); err != nil {
		l.t.Fatal(err)
	}
	want := liveState{Build: koji.BuildComplete, Ready: 1, Tagged: 1, RPMs: components}
	if diff := cmp.Diff(want, l.state(result.NVR, result.Tag)); diff != "" {
		l.t.Errorf("%s of task %d (-want +got):\n%s", result.NVR, id, diff)
	}
	if ready := l.ready(result.Tag); !slices.Equal(ready, []int64{result.Repo}) {
		l.t.Errorf("ready repositories of %s: %v, and the task says %d", result.Tag, ready, result.Repo)
	}
	if log := l.log(id); !strings.Contains(log, "published "+result.NVR) {
		l.t.Errorf("the log of task %d does not tell that %s was published:\n%s", id, result.NVR, log)
	}
	return all
}

// TestLiveModule builds a module, and the same source again.
func TestLiveModule(t *testing.T) {
	l := newLiveModules(t)
	source, opts := l.prepare(liveComponent{name: "a"}, liveComponent{name: "b", order: 1})
	first := l.submit(source, opts)
	one := l.published(first, 2)
	if diff := cmp.Diff([]string{"a CLOSED", "b CLOSED"}, l.labels(first)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	second := l.submit(source, opts)
	two := l.published(second, 2)
	if one["nvr"] == two["nvr"] {
		t.Errorf("both builds are %v", one["nvr"])
	}
}

// TestLiveCancel cancels a build at random moments around the last step: each time
// all of the module is there or nothing. The same source builds again at once.
func TestLiveCancel(t *testing.T) {
	l := newLiveModules(t)
	source, opts := l.prepare(liveComponent{name: "a"})
	for range l.rounds {
		id := l.submit(source, opts)
		if !l.lastStep(id) {
			t.Fatalf("task %d has not come to its last step:\n%s", id, l.log(id))
		}
		time.Sleep(rand.N(3 * time.Second))
		err := l.CancelTask(t.Context(), id, true)
		if err != nil && !strings.Contains(err.Error(), "has published its module") {
			t.Fatal(err)
		}
		task := l.wait(id)
		t.Logf("task %d is %s; cancelling it: %v", id, task.State, err)
		if err != nil || task.State == koji.TaskClosed {
			l.published(id, 1)
			delete(opts, "resume")
			continue
		}
		nvr, tag := l.identity(id)
		if diff := cmp.Diff(liveState{Build: koji.BuildCanceled, RPMs: 1}, l.state(nvr, tag)); diff != "" || task.State != koji.TaskCanceled {
			t.Errorf("task %d is %s; what is there of it (-want +got):\n%s", id, task.State, diff)
		}
		opts = with(opts, "resume", id)
	}
	l.published(l.submit(source, opts), 1)
}

// lastStep waits until the task makes the module's repository.
func (l *liveModules) lastStep(id int64) bool {
	l.t.Helper()
	for {
		task, err := l.Task(l.t.Context(), id)
		if err != nil {
			l.t.Fatal(err)
		}
		var repos []liveRepo
		l.must("repo.query", &repos, []any{[]any{"task_id", id}}, []string{"id", "state"})
		if len(repos) > 0 {
			return true
		}
		if task.State.Finished() {
			return false
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// identity finds build and tag of a task that has no result.
func (l *liveModules) identity(id int64) (nvr, tag string) {
	l.t.Helper()
	var repos []struct {
		Tag string `xmlrpc:"tag_name"`
	}
	l.must("repo.query", &repos, []any{[]any{"task_id", id}}, []string{"id", "tag_name"})
	if len(repos) == 0 {
		l.t.Fatalf("task %d has made no repository", id)
	}
	tag = repos[0].Tag
	parts := strings.Split(tag, "-") // module-N-S-V-C
	if len(parts) != 5 {
		l.t.Fatalf("tag %s", tag)
	}
	return fmt.Sprintf("%s-%s-%s.%s", parts[1], parts[2], parts[3], parts[4]), tag
}

// TestLiveFailure has a component fail: what was finished is not built again by a
// task that goes on from there, and what depends on it is not started.
func TestLiveFailure(t *testing.T) {
	l := newLiveModules(t)
	source, opts := l.prepare(liveComponent{name: "a"}, liveComponent{name: "bad", order: 1, build: "echo this is wrong; exit 7"},
		liveComponent{name: "sibling", order: 1, build: "sleep 5"}, liveComponent{name: "late", order: 2})
	first := l.submit(source, opts)
	l.failed(first, "bad", []string{"a CLOSED", "bad FAILED", "sibling CLOSED"})
	resumed := l.submit(source, with(opts, "resume", first))
	l.failed(resumed, "bad", []string{"bad FAILED"})
	// What comes after a component that failed is never built.
	going := l.submit(source, with(opts, "keep_going", true))
	l.failed(going, "bad", []string{"a CLOSED", "bad FAILED", "sibling CLOSED"})
}

// failed checks that a task has failed because of a component.
func (l *liveModules) failed(id int64, component string, want []string) {
	l.t.Helper()
	if task := l.wait(id); task.State != koji.TaskFailed {
		l.t.Fatalf("task %d is %s", id, task.State)
	}
	err := l.TaskResult(l.t.Context(), id, nil)
	for _, s := range []string{l.name + "-" + component, "this is wrong", "build.log"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			l.t.Errorf("task %d does not name %q: %v", id, s, err)
		}
	}
	if diff := cmp.Diff(want, l.labels(id)); diff != "" {
		l.t.Errorf("components of task %d (-want +got):\n%s", id, diff)
	}
	kids, err := l.Children(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, kid := range kids {
		if !kid.State.Finished() {
			l.t.Errorf("child %d of task %d is %s", kid.ID, id, kid.State)
		}
	}
}

// TestLiveRestart has an administrator free the task again and again, so that
// another handler starts over: nothing is built twice.
func TestLiveRestart(t *testing.T) {
	l := newLiveModules(t)
	var perms []string
	l.must("getPerms", &perms)
	if !slices.Contains(perms, "admin") {
		t.Skip("KOJI_TEST_USER is no administrator, who could free a task")
	}
	source, opts := l.prepare(liveComponent{name: "a"}, liveComponent{name: "b", order: 1})
	id := l.submit(source, opts)
	for range l.rounds {
		time.Sleep(5*time.Second + rand.N(15*time.Second))
		task, err := l.Task(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if task.State != koji.TaskOpen {
			continue
		}
		if err := l.Call(t.Context(), "freeTask", nil, id); err != nil {
			t.Logf("freeing task %d: %v", id, err) // it may have ended
		}
	}
	l.published(id, 2)
	if diff := cmp.Diff([]string{"a CLOSED", "b CLOSED"}, l.labels(id)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}
