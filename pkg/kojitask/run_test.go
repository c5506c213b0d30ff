package kojitask

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/kojitest"
	"github.com/kojimod/kojimod/pkg/koji"
)

// A world is a hub with a target, a module's document, and a builder's daemon.
type world struct {
	t   testing.TB
	hub *kojitest.Hub
	doc string // path of the document

	mu    sync.Mutex
	fails map[string]bool // components that cannot be built
	drops map[string]int  // how often builders are lost while they build a component
	built []string        // components that were, in order
}

const uploadedDoc = "cli-build/1/hedge.yaml"

// newWorld makes a module of components a, b … in groups of the build order.
func newWorld(t testing.TB, groups ...[]string) *world {
	t.Helper()
	w := &world{t: t, fails: map[string]bool{}, drops: map[string]int{}}
	w.hub = kojitest.New(t, kojitest.Options{ModulePolicy: func(user, _, _ string) bool { return user == "packager" }})
	w.hub.AddTag(kojitest.Tag{Name: "f40-build", Arches: "x86_64 aarch64", Extra: map[string]any{platformKey: "platform:f40"}})
	w.hub.AddTag(kojitest.Tag{Name: "f40-modules"})
	w.hub.AddTarget("f40", "f40-build", "f40-modules")
	w.hub.Builds(w.build)
	var components strings.Builder
	for i, group := range groups {
		for _, name := range group {
			fmt.Fprintf(&components, "      %s: {rationale: r, buildorder: %d}\n", name, i)
		}
	}
	w.write("document: modulemd\nversion: 2\ndata:\n  name: hedge\n  stream: \"1\"\n  summary: s\n  description: d\n" +
		"  license: {module: [MIT]}\n  dependencies:\n  - {buildrequires: {platform: [f40]}, requires: {platform: [f40]}}\n" +
		"  components:\n    rpms:\n" + components.String())
	return w
}

func (w *world) write(doc string) {
	w.doc = filepath.Join(w.t.TempDir(), "hedge.yaml")
	if err := os.WriteFile(w.doc, []byte(doc), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// build is what a builder does with a component.
func (w *world) build(ctx context.Context, b kojitest.Build) ([][]byte, error) {
	name := strings.TrimSuffix(filepath.Base(b.Source), "-1-1.src.rpm")
	client, err := koji.New(w.hub.URL, koji.Options{})
	if err != nil {
		return nil, err
	}
	tag, err := client.Anonymous().Tag(ctx, b.Tag, 0)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.drops[name] > 0 {
		w.drops[name]--
		return nil, &kojitest.Failure{Code: int(koji.ErrServerOffline), Message: "the hub is away"}
	}
	if w.fails[name] {
		b.Logs["build.log"] = "compiling\nerror: no such thing as " + name + "\n"
		return nil, errors.New("error building package")
	}
	w.built = append(w.built, name)
	rpm := kojitest.RPM{Name: name, Version: "1", Release: "1" + fmt.Sprint(tag.Extra["rpm.macro.dist"]),
		Label: fmt.Sprint(tag.Extra["rpm.macro.modularitylabel"])}
	var files [][]byte
	for _, arch := range []string{"src", "x86_64", "aarch64"} {
		rpm.Arch = arch
		files = append(files, rpm.Bytes())
	}
	return files, nil
}

// submit makes the task, whose components all come from uploaded source packages.
func (w *world) submit(opts map[string]any, components ...string) int64 {
	srpms := map[string]any{}
	for _, name := range components {
		srpms[name] = "cli-build/1/" + name + "-1-1.src.rpm"
	}
	if opts == nil {
		opts = map[string]any{}
	}
	opts["srpms"] = srpms
	return w.hub.MakeTask("packager", methodBuild, map[string]any{
		"__method__": methodBuild, "source": uploadedDoc, "target": "f40", "opts": opts,
	})
}

// handler is the builder's plugin: it takes the task on a host and runs the engine.
func (w *world) handler(ctx context.Context, id int64, host string) (Reply, error) {
	w.t.Helper()
	return w.engine(ctx, id, w.hub.Lend(host))
}

func (w *world) engine(ctx context.Context, id int64, lent kojitest.Lent) (Reply, error) {
	task := w.hub.Task(id)
	req := Request{
		Protocol: Protocol, TaskID: id, Method: task.Method, Hub: w.hub.URL,
		Session: Session{ID: lent.ID, Key: lent.Key, Callnum: lent.Callnum},
		TopDir:  w.hub.Topdir, TopURL: w.hub.FilesURL, WorkDir: w.t.TempDir(),
		Source: Source{Path: w.doc, Pinned: uploadedDoc}, MaxJobs: 10,
	}
	if err := decodeInto(task.Request[0], &req.Parameters); err != nil {
		w.t.Fatal(err)
	}
	return Run(ctx, req, Options{Version: "test", poll: 5 * time.Millisecond, retry: 2 * time.Millisecond})
}

// run carries a task out from its start, and closes it.
func (w *world) run(id int64) Reply {
	w.t.Helper()
	w.hub.Open(id, "builder1")
	reply, err := w.handler(w.t.Context(), id, "builder1")
	if err != nil {
		w.t.Fatal(err)
	}
	w.end(id, reply)
	return reply
}

func (w *world) end(id int64, reply Reply) {
	if reply.Fault != nil {
		w.hub.Close(id, nil, &kojitest.Failure{Code: reply.Fault.Code, Message: reply.Fault.Message})
		return
	}
	w.hub.Close(id, reply.Result, nil)
}

// labels are the children of a task by label, with their states.
func (w *world) labels(parent int64) map[string]string {
	found := map[string]string{}
	for _, task := range w.hub.Tasks() {
		if task.Parent != parent {
			continue
		}
		if _, twice := found[task.Label]; twice {
			w.t.Errorf("two children of task %d are labelled %s", parent, task.Label)
		}
		found[task.Label] = task.State
	}
	return found
}

// checkPublished looks at all that a finished module leaves.
func (w *world) checkPublished(id int64, reply Reply, components ...string) {
	w.t.Helper()
	if reply.Fault != nil {
		w.t.Fatalf("fault %d: %s", reply.Fault.Code, reply.Fault.Message)
	}
	w.mu.Lock()
	built := slices.Sorted(slices.Values(w.built))
	w.mu.Unlock()
	if diff := cmp.Diff(components, built); diff != "" {
		w.t.Errorf("components that were built (-want +got):\n%s", diff)
	}
	tag, _ := reply.Result["tag"].(string)
	var ready, modules int
	for _, repo := range w.hub.RepoList(tag) {
		if repo.State == "READY" {
			ready++
		}
	}
	for _, build := range w.hub.Records() {
		if build.Type == "module" && build.State == "COMPLETE" {
			modules++
		}
	}
	if ready != 1 || modules != 1 {
		w.t.Errorf("%d repositories of %s are ready, %d module builds are complete; want one of each", ready, tag, modules)
	}
	if got := w.hub.Tagged("f40-modules"); len(got) != 1 || got[0] != reply.Result["nvr"] {
		w.t.Errorf("in the destination tag: %q, want %v", got, reply.Result["nvr"])
	}
	if got := len(w.hub.Tagged(tag)); got != len(components) {
		w.t.Errorf("%d builds are in the module's tag, want %d", got, len(components))
	}
	for _, name := range []string{storyName, reportName} {
		if _, err := os.Stat(filepath.Join(w.hub.TaskDir(id), name)); err != nil {
			w.t.Errorf("the task has no %s: %v", name, err)
		}
	}
}

func TestModule(t *testing.T) {
	w := newWorld(t, []string{"ash", "beech"}, []string{"cedar"}, []string{"dogwood", "elm"})
	id := w.submit(nil, "ash", "beech", "cedar", "dogwood", "elm")
	reply := w.run(id)
	w.checkPublished(id, reply, "ash", "beech", "cedar", "dogwood", "elm")
	if last := w.built[2]; last != "cedar" {
		t.Errorf("built in the order %q", w.built)
	}
	want := map[string]string{"repo:1": "CLOSED", "repo:2": "CLOSED", "repo:3": "CLOSED"}
	for _, name := range w.built {
		want[buildLabel+name] = "CLOSED"
	}
	if diff := cmp.Diff(want, w.labels(id)); diff != "" {
		t.Errorf("subtasks (-want +got):\n%s", diff)
	}
	// What the hub is asked while nothing else can be done is a matter of time, and
	// of how long builds take: host.taskWait and getTaskInfo, which are one request.
	// The calls within other multiCalls count, and those as one more.
	if calls := w.hub.Count("") - 3*w.hub.Count("host.taskWait"); calls > 20*len(w.built) {
		t.Errorf("%d calls for %d components: %v", calls, len(w.built), w.hub.Counts())
	}
	for _, task := range w.hub.Tasks() {
		if task.Method == "build" && (task.Channel != componentChannel || task.Owner != "packager") {
			t.Errorf("task %d is %s's, in channel %s", task.ID, task.Owner, task.Channel)
		}
	}
	log, err := os.ReadFile(filepath.Join(w.hub.TaskDir(id), storyName))
	if err != nil || !strings.Contains(string(log), "published hedge-1-") || !strings.Contains(string(log), "cedar      built") {
		t.Errorf("the log does not tell the story: %v\n%s", err, log)
	}
}

func TestNextVersion(t *testing.T) {
	w := newWorld(t, []string{"ash"})
	first := w.run(w.submit(nil, "ash"))
	second := w.run(w.submit(nil, "ash"))
	if first.Fault != nil || second.Fault != nil {
		t.Fatal(first.Fault, second.Fault)
	}
	if first.Result["nvr"] == second.Result["nvr"] {
		t.Errorf("both builds are %v", first.Result["nvr"])
	}
	nsvc := strings.Split(first.Result["module"].(string), ":")
	third := w.run(w.submit(map[string]any{"version": nsvc[2]}, "ash"))
	if third.Fault == nil || !strings.Contains(third.Fault.Message, "--version "+nsvc[2]) {
		t.Errorf("a version that is taken: %v", third)
	}
}

func TestComponentFails(t *testing.T) {
	for _, tc := range []struct {
		name  string
		keep  bool
		built []string // besides ash, which is ready at the same time
	}{
		{name: "stops", built: []string{}},
		{name: "keeps going", keep: true, built: []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, []string{"ash", "beech"}, []string{"cedar"})
			w.fails["beech"] = true
			opts := map[string]any{}
			if tc.keep {
				opts["keep_going"] = true
			}
			id := w.submit(opts, "ash", "beech", "cedar")
			reply := w.run(id)
			if reply.Fault == nil || reply.Fault.Code != int(koji.ErrBuild) || !strings.Contains(reply.Fault.Message, "building beech") ||
				!strings.Contains(reply.Fault.Message, "no such thing as beech") {
				t.Fatalf("%+v", reply.Fault)
			}
			if _, started := w.labels(id)["build:cedar"]; started {
				t.Error("cedar was started")
			}
			for _, build := range w.hub.Records() {
				if build.Type == "module" && build.State != "FAILED" {
					t.Errorf("the module's build is %s", build.State)
				}
			}
			// Once it is mended, only what is missing is built.
			delete(w.fails, "beech")
			next := w.submit(map[string]any{"resume": id}, "ash", "beech", "cedar")
			w.checkPublished(next, w.run(next), "ash", "beech", "cedar")
			if _, again := w.labels(next)["build:ash"]; again {
				t.Error("ash was built again")
			}
		})
	}
}

// TestBuilderIsLost has builds fail for reasons that are not the component's.
func TestBuilderIsLost(t *testing.T) {
	w := newWorld(t, []string{"ash"}, []string{"beech"})
	w.drops["ash"] = buildAttempts - 1
	id := w.submit(nil, "ash", "beech")
	w.checkPublished(id, w.run(id), "ash", "beech")
	labels := w.labels(id)
	if labels["build:ash"] != "FAILED" || labels["build:ash#2"] != "FAILED" || labels["build:ash#3"] != "CLOSED" {
		t.Errorf("subtasks: %v", labels)
	}
	w.drops["ash"] = buildAttempts
	if reply := w.run(w.submit(nil, "ash", "beech")); reply.Fault == nil || !strings.Contains(reply.Fault.Message, "the hub is away") {
		t.Errorf("after %d attempts: %+v", buildAttempts, reply)
	}
}

// TestStartsOver ends the engine after each number of calls that a build makes, as a
// kill does, and starts it over.
func TestStartsOver(t *testing.T) {
	step := 3 // all would take a minute
	if testing.Short() {
		step = 7
	}
	for n := 1; ; n += step {
		w := newWorld(t, []string{"ash"}, []string{"beech"})
		ctx, kill := context.WithCancelCause(t.Context())
		calls := 0
		w.hub.Observe(func(e kojitest.Event) {
			if e.Kind == kojitest.CallMade {
				if calls++; calls == n {
					kill(errors.New("killed"))
				}
			}
		})
		id := w.submit(nil, "ash", "beech")
		w.hub.Open(id, "builder1")
		reply, err := w.handler(ctx, id, "builder1")
		killed := ctx.Err() != nil
		if killed {
			w.hub.Free(id)
			reply = w.run(id)
		} else if err != nil {
			t.Fatal(err)
		} else {
			w.end(id, reply)
		}
		w.checkPublished(id, reply, "ash", "beech")
		if t.Failed() {
			t.Fatalf("after the engine was killed at call %d", n)
		}
		kill(nil)
		if !killed {
			t.Logf("killed after each of %d calls", n-1)
			return
		}
	}
}

func TestTrouble(t *testing.T) {
	for _, kind := range []kojitest.Trouble{kojitest.Refuse, kojitest.ResetBefore, kojitest.ResetAfter, kojitest.BadGateway, kojitest.ServerOffline} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			w := newWorld(t, []string{"ash", "beech"}, []string{"cedar"})
			id := w.submit(nil, "ash", "beech", "cedar")
			w.hub.Open(id, "builder1")
			lent := w.hub.Lend("builder1")
			w.hub.Fault(kojitest.Fault{Kind: kind, Rate: 0.3, Delay: time.Millisecond})
			reply, err := w.engine(t.Context(), id, lent)
			w.hub.ClearFaults()
			if err != nil {
				t.Fatal(err)
			}
			w.end(id, reply)
			w.checkPublished(id, reply, "ash", "beech", "cedar")
		})
	}
}

func TestSessionExpires(t *testing.T) {
	w := newWorld(t, []string{"ash"}, []string{"beech"})
	id := w.submit(nil, "ash", "beech")
	w.hub.Open(id, "builder1")
	var once sync.Once
	w.hub.Observe(func(e kojitest.Event) {
		if e.Kind == kojitest.CallMade && e.Method == "host.moduleTagBuild" {
			once.Do(func() { w.hub.ExpireSessions() })
		}
	})
	if _, err := w.handler(t.Context(), id, "builder1"); !errors.Is(err, ErrSessionExpired) {
		t.Fatalf("got %v", err)
	}
	reply, err := w.handler(t.Context(), id, "builder1")
	if err != nil {
		t.Fatal(err)
	}
	w.end(id, reply)
	w.checkPublished(id, reply, "ash", "beech")
}

func TestScratch(t *testing.T) {
	w := newWorld(t, []string{"ash"}, []string{"beech"})
	reply := w.run(w.submit(map[string]any{"scratch": true}, "ash", "beech"))
	if reply.Fault != nil {
		t.Fatal(reply.Fault)
	}
	if _, has := reply.Result["build_id"]; has {
		t.Error("a scratch build has a build record")
	}
	for _, build := range w.hub.Records() {
		if build.Type == "module" || !strings.Contains(build.NVR, ".scrmod+f40+") {
			t.Errorf("there is the build %s", build.NVR)
		}
	}
	if tags := w.hub.TagNames(); len(tags) != 2 {
		t.Errorf("tags are left over: %q", tags)
	}
}

// contexts makes the module one of two contexts, and hosts that build them.
func (w *world) contexts() (wait func()) {
	w.write("document: modulemd-packager\nversion: 3\ndata:\n  name: hedge\n  stream: \"1\"\n  summary: s\n  description: d\n  license: [MIT]\n" +
		"  configurations:\n  - {context: one, platform: f40}\n  - {context: two, platform: f40}\n" +
		"  components:\n    rpms:\n      ash: {rationale: r}\n      beech: {rationale: r, buildorder: 1}\n")
	hosts := make(chan string, 4)
	for _, name := range []string{"builder2", "builder3", "builder4", "builder5"} {
		w.hub.AddHost(name, "pw")
		hosts <- name
	}
	var wg sync.WaitGroup
	w.hub.Observe(func(e kojitest.Event) {
		if e.Kind != kojitest.TaskChanged || e.Method != methodContext || e.State != "FREE" {
			return
		}
		wg.Go(func() {
			host := <-hosts
			defer func() { hosts <- host }()
			ctx, cancel := context.WithCancel(w.t.Context())
			defer cancel()
			w.hub.Open(e.ID, host)
			lent := w.hub.Lend(host)
			go func() { // a daemon ends the handlers of tasks that are cancelled
				for w.hub.Task(e.ID).State == "OPEN" && ctx.Err() == nil {
					time.Sleep(5 * time.Millisecond)
				}
				cancel()
			}()
			reply, err := w.engine(ctx, e.ID, lent)
			if w.hub.Task(e.ID).State != "OPEN" {
				return
			}
			if err != nil {
				w.t.Error(err)
			}
			w.end(e.ID, reply)
		})
	})
	return wg.Wait
}

// versions are those of the contexts in a reply, by context.
func versions(t *testing.T, reply Reply) map[string]string {
	t.Helper()
	if reply.Fault != nil {
		t.Fatalf("fault %d: %s", reply.Fault.Code, reply.Fault.Message)
	}
	found := map[string]string{}
	for _, m := range reply.Result["modules"].([]any) {
		nsvc := strings.Split(m.(map[string]any)["module"].(string), ":")
		found[nsvc[3]] = nsvc[2]
	}
	if len(found) != 2 || found["one"] != found["two"] || found["one"] == "" {
		t.Errorf("contexts with their versions: %v", found)
	}
	return found
}

func TestContexts(t *testing.T) {
	w := newWorld(t)
	wait := w.contexts()
	first := w.run(w.submit(map[string]any{"version": "7"}, "ash", "beech"))
	wait()
	if got := versions(t, first); got["one"] != "7" {
		t.Errorf("version %s, want 7", got["one"])
	}
	if got := w.hub.Tagged("f40-modules"); len(got) != 2 {
		t.Errorf("in the destination tag: %q", got)
	}
	again := w.run(w.submit(map[string]any{"version": "7"}, "ash", "beech"))
	wait()
	if again.Fault == nil || !strings.Contains(again.Fault.Message, "it is taken") {
		t.Errorf("a version that is taken: %+v", again)
	}
}

// TestContextsNextVersion builds two contexts of a document with a version of its
// own again and again.
func TestContextsNextVersion(t *testing.T) {
	w := newWorld(t)
	wait := w.contexts()
	// Both uploads are as old as their tasks, which are made in the same second.
	seen := map[string]bool{}
	for range 3 {
		reply := w.run(w.submit(nil, "ash", "beech"))
		wait()
		version := versions(t, reply)["one"]
		if seen[version] {
			t.Errorf("version %s was built twice", version)
		}
		seen[version] = true
	}
	if got := len(w.hub.Tagged("f40-modules")); got != 6 {
		t.Errorf("%d builds are in the destination tag, want 6", got)
	}
}

func TestContextsResume(t *testing.T) {
	w := newWorld(t)
	wait := w.contexts()
	w.fails["beech"] = true
	first := w.submit(nil, "ash", "beech")
	reply := w.run(first)
	wait()
	if reply.Fault == nil || !strings.Contains(reply.Fault.Message, "no such thing as beech") {
		t.Fatalf("got %+v", reply)
	}
	delete(w.fails, "beech")
	time.Sleep(1100 * time.Millisecond) // another second, and so another version, if anything were settled anew
	second := w.submit(map[string]any{"resume": first}, "ash", "beech")
	reply = w.run(second)
	wait()
	versions(t, reply)
	w.mu.Lock()
	defer w.mu.Unlock()
	if diff := cmp.Diff([]string{"ash", "ash", "beech", "beech"}, slices.Sorted(slices.Values(w.built))); diff != "" {
		t.Errorf("components that were built (-want +got):\n%s", diff)
	}
}
