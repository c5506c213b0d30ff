package kojitest

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Options say what kind of hub it is. The zero value works.
type Options struct {
	// Version is what the hub says it is; 1.35.3 unless set.
	Version string

	// UpTo1353 makes the hub as releases up to 1.35.3 are: it looks for call numbers
	// under their old header name only, and does not check how long an uploaded file
	// has become.
	UpTo1353 bool

	// ExpireAfter is how long after its login or renewal a session expires; never
	// unless set.
	ExpireAfter time.Duration

	// ModulePolicy decides who may build what as a module (the policy module_build).
	// Without it only administrators may.
	ModulePolicy func(user, source, target string) bool

	// Seed makes the same random faults again; 1 unless set.
	Seed uint64
}

// A Hub is a hub with its database and its files. Its methods may be called by
// several goroutines.
type Hub struct {
	// URL is the hub's address, FilesURL that of its files (topurl), Topdir the
	// directory where they are.
	URL, FilesURL, Topdir string

	t    testing.TB
	opts Options
	net  *network

	mu        sync.Mutex // guards all that follows
	state     state
	methods   map[string]method
	troubles  troubles
	counts    map[string]int
	hooks     []func(Event)
	events    []Event // that the hooks have not seen
	telling   bool    // somebody calls the hooks
	told      *sync.Cond
	running   map[int64]context.CancelFunc
	handlers  map[string]func(context.Context, Task) (any, error)
	waitGroup sync.WaitGroup
	closing   bool
}

// New starts a hub that lasts as long as the test. It has the users kojiadmin
// (password adminpw, an administrator), packager (packagerpw), the host builder1
// (builderpw), and Koji's own channels and kinds of builds.
func New(t testing.TB, opts Options) *Hub {
	t.Helper()
	if opts.Version == "" {
		opts.Version = "1.35.3"
	}
	if opts.Seed == 0 {
		opts.Seed = 1
	}
	h := &Hub{
		t: t, opts: opts, Topdir: filepath.Join(t.TempDir(), "koji"), methods: methods(), state: newState(),
		counts: map[string]int{}, running: map[int64]context.CancelFunc{},
		handlers: map[string]func(context.Context, Task) (any, error){},
	}
	h.told = sync.NewCond(&h.mu)
	h.troubles.seed(opts.Seed)
	for _, dir := range []string{"work", "packages", "repos", "scratch"} {
		if err := os.MkdirAll(filepath.Join(h.Topdir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.AddUser("kojiadmin", "adminpw", "admin")
	h.AddUser("packager", "packagerpw")
	h.AddHost("builder1", "builderpw")
	h.AddHost(simulated, "")
	mux := http.NewServeMux()
	mux.HandleFunc("/kojihub", h.serveRPC)
	mux.HandleFunc("/kojihub/", h.serveRPC)
	mux.Handle("/kojifiles/", http.StripPrefix("/kojifiles/", http.FileServer(http.Dir(h.Topdir))))
	n, err := listen(mux)
	if err != nil {
		t.Fatal(err)
	}
	h.net = n
	h.URL, h.FilesURL = "http://"+n.addr+"/kojihub", "http://"+n.addr+"/kojifiles"
	h.defaultHandlers()
	t.Cleanup(h.close)
	return h
}

// close ends the hub: the simulated builders first, which may be asking it.
func (h *Hub) close() {
	h.mu.Lock()
	h.closing = true
	for _, cancel := range h.running {
		cancel()
	}
	h.mu.Unlock()
	h.waitGroup.Wait()
	h.net.close()
}

// locked runs f with the hub to itself, then calls the hooks, unless somebody does
// already, who then goes on with these events.
func (h *Hub) locked(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	if h.telling {
		return
	}
	h.telling = true
	defer func() {
		h.telling = false
		h.told.Broadcast()
	}()
	for len(h.events) > 0 {
		h.tell()
	}
}

// tell calls the hooks for one event, with the hub free.
func (h *Hub) tell() {
	e, hooks := h.events[0], h.hooks
	h.events = h.events[1:]
	h.mu.Unlock()
	defer h.mu.Lock() // also where a hook ends the test
	for _, hook := range hooks {
		hook(e)
	}
}

// settle waits until the hooks have seen all events.
func (h *Hub) settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.telling {
		h.told.Wait()
	}
}

// state is what a hub has in its database.
type state struct {
	users    []*user
	perms    []string
	sessions map[int64]*session
	tasks    map[int64]*task
	tags     []*tag
	packages []string
	builds   []*build
	rpms     []*rpm
	targets  []*target
	repos    []*repo
	cgs      []string
	stamps   []time.Time // of events, number 1 first
	lastID   map[string]int64
}

func newState() state {
	return state{
		sessions: map[int64]*session{}, tasks: map[int64]*task{}, lastID: map[string]int64{},
		// As in Koji's schema.sql, which has more permissions.
		perms: []string{"admin", "appliance", "build-from-scm", "repo", "livecd", "tag", "target", "host", "dist-repo", "regen-repo", "module-build"},
	}
}

// next returns a new id of a kind.
func (s *state) next(kind string) int64 {
	s.lastID[kind]++
	return s.lastID[kind]
}

// event makes an event, a point in the history of tags.
func (s *state) event() int64 {
	s.stamps = append(s.stamps, now())
	return int64(len(s.stamps))
}

// now is a time as the database keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// A span is the time, in events, during which a row of a versioned table holds.
type span struct{ from, to int64 }

// at reports whether it holds at an event; 0 stands for now.
func (s span) at(event int64) bool {
	if event == 0 {
		return s.to == 0
	}
	return s.from <= event && (s.to == 0 || event < s.to)
}

// at returns the one row that holds at an event, or nil.
func at[T interface{ at(int64) bool }](rows []T, event int64) (found T, ok bool) {
	for _, r := range rows {
		if r.at(event) {
			return r, true
		}
	}
	return found, false
}

// stamp and ts show a time as the hub does: with a blank in the middle, and as
// seconds since 1970.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000-07:00")
}

func ts(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return float64(t.UnixMicro()) / 1e6
}
