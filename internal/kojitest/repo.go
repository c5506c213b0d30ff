package kojitest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// States of a repository (koji.REPO_STATES).
const (
	repoInit = iota
	repoReady
	repoExpired
	repoDeleted
	repoProblem
)

var repoStates = [...]string{"INIT", "READY", "EXPIRED", "DELETED", "PROBLEM"}

type repo struct {
	id, event, taskID int64
	tag               *tag
	state             int
	made, changed     time.Time
	opts, custom      map[string]any
}

// changes returns the last event before one (0 for now) that changed a tag or what
// it inherits from, and the first event after one.
func (t *tag) changes(before, after int64) (last, first int64) {
	tags := []*tag{t}
	for _, a := range t.ancestors(0) {
		tags = append(tags, a.parent)
	}
	for _, t := range tags {
		for _, s := range t.spans() {
			for _, e := range []int64{s.from, s.to} {
				if e > 0 && (before == 0 || e < before) {
					last = max(last, e)
				}
				if e > after && (first == 0 || e < first) {
					first = e
				}
			}
		}
	}
	return last, first
}

// initRepo makes a repository of a tag (repo_init), for the task that will finish
// it. Its lists of packages are not written.
func (c *call) initRepo(t *tag, task *task) (*repo, error) {
	r := &repo{id: c.h.state.next("repo"), event: c.h.state.event(), taskID: task.id, tag: t, made: now(), changed: now(), custom: map[string]any{}}
	r.opts = map[string]any{"src": false, "debuginfo": false, "separate_src": false, "maven": false}
	if own, ok := t.extra(0)["repo.opts"].(map[string]any); ok {
		for k, v := range own {
			if _, ok := r.opts[k]; ok {
				r.opts[k] = v
			}
		}
	}
	c.write()
	for _, arch := range c.repoArches(t) {
		if err := os.MkdirAll(filepath.Join(c.h.repoDir(r), arch), 0o755); err != nil {
			return nil, unspecified("%v", err)
		}
	}
	info, err := json.MarshalIndent(map[string]any{"id": r.id, "tag": t.name, "tag_id": t.id, "task_id": task.id, "event_id": r.event,
		"opts": r.opts, "custom_opts": r.custom}, "", "  ")
	if err == nil {
		err = os.MkdirAll(c.h.repoDir(r), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.h.repoDir(r), "repo.json"), info, 0o644)
	}
	if err != nil {
		return nil, unspecified("%v", err)
	}
	c.h.state.repos = append(c.h.state.repos, r)
	c.noteRepo(r)
	return r, nil
}

func (h *Hub) repoDir(r *repo) string {
	return filepath.Join(h.Topdir, "repos", r.tag.name, strconv.FormatInt(r.id, 10))
}

func (c *call) noteRepo(r *repo) {
	c.h.note(Event{Kind: RepoChanged, ID: r.id, Tag: r.tag.name, State: repoStates[r.state]})
}

func (c *call) arches(t *tag) []string {
	if conf, ok := at(t.configs, 0); ok && conf.arches != nil {
		return strings.Fields(*conf.arches)
	}
	return nil
}

// A repoFile is an uploaded file that belongs into a repository.
type repoFile struct{ from, to string }

// repoFiles checks what a repository is to be finished with: lists of files below
// directories of uploads, by architecture.
func (c *call) repoFiles(r *repo, data map[string]any) ([]repoFile, error) {
	var moves []repoFile
	for arch, v := range data {
		pair, _ := v.([]any)
		if len(pair) != 2 {
			return nil, fault(errParameter, "the files of %s are a directory and a list", arch)
		}
		dir, isText := pair[0].(string)
		names, isList := pair[1].([]any)
		archdir := filepath.Join(c.h.repoDir(r), filepath.Base(arch))
		if _, err := os.Stat(archdir); err != nil || !isText || !isList || !filepath.IsLocal(dir) {
			return nil, fault(errGeneric, "Repo arch directory missing: %s", archdir)
		}
		for _, n := range names {
			name, _ := n.(string)
			from := filepath.Join(c.h.Topdir, "work", dir, filepath.Base(name))
			if _, err := os.Stat(from); err != nil {
				return nil, fault(errGeneric, "uploaded file missing: %s", from)
			}
			to := filepath.Join(archdir, "repodata", filepath.Base(name))
			if strings.HasSuffix(name, "pkglist") {
				to = filepath.Join(archdir, filepath.Base(name))
			}
			moves = append(moves, repoFile{from, to})
		}
	}
	return moves, nil
}

// readyRepo puts files into a repository and publishes it.
func (c *call) readyRepo(r *repo, moves []repoFile) error {
	for _, m := range moves {
		if err := os.MkdirAll(filepath.Dir(m.to), 0o755); err != nil {
			return unspecified("%v", err)
		}
		if err := os.Rename(m.from, m.to); err != nil {
			return unspecified("%v", err)
		}
	}
	r.state, r.changed = repoReady, now()
	c.write()
	latest := filepath.Join(filepath.Dir(c.h.repoDir(r)), "latest")
	_ = os.Remove(latest) // need not be there
	if err := os.Symlink(strconv.FormatInt(r.id, 10), latest); err != nil {
		return unspecified("%v", err)
	}
	c.noteRepo(r)
	return nil
}

// newRepo does what a newRepo task does.
func (h *Hub) newRepo(t Task) (result any, err error) {
	h.locked(func() {
		c := &call{h: h, method: "newRepo", callnum: -1}
		if len(t.Request) == 0 {
			err = fault(errParameter, "newRepo needs a tag")
			return
		}
		var tg *tag
		if tg, err = c.needTag(t.Request[0], 0); err != nil {
			return
		}
		var r *repo
		if r, err = c.initRepo(tg, h.state.tasks[t.ID]); err != nil {
			return
		}
		err = c.readyRepo(r, nil)
		c.unwait(t.ID) // it has waited for the children that a real one has
		result = []any{r.id, r.event}
	})
	return result, err
}

func repoMethods() map[string]method {
	return map[string]method{
		"repoInfo": handle(1, (*call).repoInfo),
		"getRepo":  handle(1, (*call).getRepo),
	}
}

func (c *call) repoMap(r *repo) map[string]any {
	begin, _ := r.tag.changes(r.event, r.event)
	_, end := r.tag.changes(0, r.event)
	at := func(event int64) any {
		if event == 0 {
			return nil
		}
		return ts(c.h.state.stamps[event-1])
	}
	m := map[string]any{
		"id": r.id, "tag_id": r.tag.id, "tag_name": r.tag.name, "state": r.state, "dist": false, "opts": r.opts, "custom_opts": r.custom,
		"creation_time": stamp(r.made), "creation_ts": ts(r.made), "state_time": stamp(r.changed), "state_ts": ts(r.changed),
		"create_event": r.event, "create_ts": at(r.event), "begin_event": begin, "begin_ts": at(begin), "end_event": orNil(end), "end_ts": at(end),
		"task_id": r.taskID, "task_state": nil,
	}
	if t := c.h.state.tasks[r.taskID]; t != nil {
		m["task_state"] = t.state
	}
	return m
}

func (s *state) repo(id int64) *repo {
	if id < 1 || id > int64(len(s.repos)) {
		return nil
	}
	return s.repos[id-1]
}

type repoParams struct {
	ID     int64 `xmlrpc:"repo_id"`
	Strict bool  `xmlrpc:"strict"`
}

func (c *call) repoInfo(p repoParams) (any, error) {
	if r := c.h.state.repo(p.ID); r != nil {
		return c.repoMap(r), nil
	}
	if p.Strict {
		return nil, fault(errGeneric, "query returned no rows")
	}
	return nil, nil
}

type getRepoParams struct {
	Tag      any    `xmlrpc:"tag"`
	State    *int   `xmlrpc:"state"`
	Event    *int64 `xmlrpc:"event"`
	Dist     bool   `xmlrpc:"dist"`
	MinEvent *int64 `xmlrpc:"min_event"`
}

// getRepo returns the newest repository of a tag, a READY one unless asked
// otherwise.
func (c *call) getRepo(p getRepoParams) (any, error) {
	t, err := c.needTagID(p.Tag)
	if err != nil {
		return nil, err
	}
	for i := len(c.h.state.repos) - 1; i >= 0 && !p.Dist; i-- {
		r := c.h.state.repos[i]
		state := repoReady
		if p.State != nil {
			state = *p.State
		}
		if r.tag != t || p.Event != nil && r.event > *p.Event || p.Event == nil && r.state != state || p.MinEvent != nil && r.event < *p.MinEvent {
			continue
		}
		return c.repoMap(r), nil
	}
	return nil, nil
}

// A Repo is a repository of a tag.
type Repo struct {
	ID    int64
	Tag   string
	State string // Koji's name, for example "READY"
	Task  int64  // that made it
	Dir   string
}

// RepoList returns the repositories of a tag; "" for those of all tags.
func (h *Hub) RepoList(tagName string) (list []Repo) {
	h.locked(func() {
		for _, r := range h.state.repos {
			if tagName == "" || r.tag.name == tagName {
				list = append(list, Repo{r.id, r.tag.name, repoStates[r.state], r.taskID, h.repoDir(r)})
			}
		}
	})
	return list
}

// ExpireRepo lets a repository expire, as kojira does some time after its tag has
// changed.
func (h *Hub) ExpireRepo(id int64) {
	h.setUp(func(c *call) error {
		r := h.state.repo(id)
		if r == nil {
			return fmt.Errorf("there is no repository %d", id)
		}
		r.state, r.changed = repoExpired, now()
		c.noteRepo(r)
		return nil
	})
}
