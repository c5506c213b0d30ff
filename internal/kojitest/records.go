package kojitest

import "slices"

// A Task is a task as it was when looked at.
type Task struct {
	ID, Parent int64
	Label      string
	Method     string
	Arch       string
	State      string // Koji's name, for example "OPEN"
	Owner      string
	Host       string // "" until a builder has it
	Channel    string
	Priority   int
	Request    []any
}

func (t *task) snapshot() Task {
	s := Task{ID: t.id, Parent: t.parent, Method: t.method, Arch: t.arch, State: taskStates[t.state], Owner: t.owner.name,
		Channel: channels[t.channel-1], Priority: t.priority, Request: t.request}
	if t.label != nil {
		s.Label = *t.label
	}
	if t.host != nil {
		s.Host = t.host.user.name
	}
	return s
}

// Tasks returns all tasks in the order in which they were made.
func (h *Hub) Tasks() (list []Task) {
	h.locked(func() {
		for id := int64(1); id <= h.state.lastID["task"]; id++ {
			list = append(list, h.state.tasks[id].snapshot())
		}
	})
	return list
}

// Task returns a task, the zero one if there is none.
func (h *Hub) Task(id int64) (found Task) {
	h.locked(func() {
		if t := h.state.tasks[id]; t != nil {
			found = t.snapshot()
		}
	})
	return found
}

// Tagged returns the builds in a tag, by name-version-release, in order.
func (h *Hub) Tagged(tagName string) (list []string) {
	h.locked(func() {
		if t := h.state.tag(tagName, 0); t != nil {
			for _, l := range t.listing {
				if l.at(0) {
					list = append(list, l.build.nvr())
				}
			}
		}
	})
	slices.Sort(list)
	return list
}

// TagNames returns the tags that exist, sorted.
func (h *Hub) TagNames() (list []string) {
	h.locked(func() {
		for _, t := range h.state.tags {
			if h.state.tag(t.name, 0) != nil {
				list = append(list, t.name)
			}
		}
	})
	slices.Sort(list)
	return list
}

// A Record is a build as the hub knows it.
type Record struct {
	ID    int64
	NVR   string
	State string // Koji's name, for example "COMPLETE"
	Task  int64
	Type  string // "rpm" or "module"
}

// Records returns all builds in the order in which they were made.
func (h *Hub) Records() (list []Record) {
	h.locked(func() {
		for _, b := range h.state.builds {
			list = append(list, Record{b.id, b.nvr(), buildStates[b.state], b.taskID, b.btype})
		}
	})
	return list
}
