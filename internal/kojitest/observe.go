package kojitest

import "maps"

// A Kind says what an Event is about.
type Kind string

// The kinds of events.
const (
	CallMade       Kind = "call"    // Method has been acted on; Fault says whether it failed
	TaskChanged    Kind = "task"    // Task has got State
	TagMade        Kind = "tag"     // Name is the tag's
	BuildTagged    Kind = "tagged"  // Name is the build's NVR, Tag the tag
	BuildChanged   Kind = "build"   // Name is the NVR, State the build's
	RepoChanged    Kind = "repo"    // Tag's repository ID has got State
	UploadReceived Kind = "upload"  // Name is the path below work/
	ModuleFinished Kind = "module"  // Name is the NVR of the module that Task has finished
	SessionChanged Kind = "session" // State is "made", "renewed" or "closed"
)

// An Event is something that the hub has done. Fields that mean nothing for its
// kind are zero.
type Event struct {
	Kind   Kind
	Method string // of the call or the task
	Fault  int    // code, 0 for success
	ID     int64  // of task, tag, build, repository or session
	Parent int64  // of the task
	Label  string // of the task
	Name   string
	Tag    string
	State  string // Koji's name, for example "OPEN"
	User   string // who asked
}

// Observe has f called after each event, one at a time and in order. The request
// that caused it, and each after it, is answered when f has returned. f may call the
// Hub's methods, and must not wait for an answer of the hub to a client.
func (h *Hub) Observe(f func(Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hooks = append(h.hooks[:len(h.hooks):len(h.hooks)], f)
}

// Count returns how often a method was called, faults included; "" for all calls.
// The calls within a multiCall count, and it as one more.
func (h *Hub) Count(method string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if method != "" {
		return h.counts[method]
	}
	n := 0
	for _, k := range h.counts {
		n += k
	}
	return n
}

// Counts returns how often each method was called.
func (h *Hub) Counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.counts)
}

// note keeps an event for the hooks. The hub is locked.
func (h *Hub) note(e Event) {
	if len(h.hooks) > 0 {
		h.events = append(h.events, e)
	}
}
