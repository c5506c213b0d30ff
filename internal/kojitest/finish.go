package kojitest

import (
	"encoding/json"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
)

type moduleTagBuildParams struct {
	Task  int64 `xmlrpc:"task_id"`
	Build any   `xmlrpc:"build"`
}

func (c *call) moduleTagBuild(p moduleTagBuildParams) (any, error) {
	m, t, err := c.heldModuleTag(p.Task)
	if err != nil {
		return nil, err
	}
	b, err := c.needBuild(p.Build)
	if err != nil {
		return nil, err
	}
	maker := c.h.state.tasks[b.taskID]
	if maker == nil || maker.method != "build" || maker.owner != m.task.owner || !c.ofChain(m, maker.parent) {
		return nil, fault(errActionNotAllowed, "%s was not built for the module of task %d", b.nvr(), m.task.id)
	}
	if !c.allows(t, b.name) {
		return nil, fault(errTag, "%s is no component in %s", b.name, t.name)
	}
	if !slices.ContainsFunc(t.listing, func(l *tagging) bool { return l.build == b && l.at(0) }) {
		if err := c.unfinished(m, t); err != nil {
			return nil, err
		}
		if err := c.tagBuild(t, b, m.task.owner, false); err != nil {
			return nil, err
		}
	}
	return map[string]any{"tag": t.name, "build_id": b.id}, nil
}

// heldModuleTag returns a task that the calling host holds, and what it has
// reserved.
func (c *call) heldModuleTag(id int64) (*moduleTask, *tag, error) {
	m, err := c.heldModule(id)
	if err != nil {
		return nil, nil, err
	}
	t := c.moduleTag(id, m.opts.Scratch)
	if t == nil {
		return nil, nil, fault(errActionNotAllowed, "task %d has reserved no module", id)
	}
	return m, t, nil
}

type moduleRepoParams struct {
	Task int64 `xmlrpc:"task_id"`
}

func (c *call) moduleRepo(p moduleRepoParams) (any, error) {
	m, t, err := c.heldModuleTag(p.Task)
	if err != nil {
		return nil, err
	}
	if err := c.unfinished(m, t); err != nil {
		return nil, err
	}
	if c.h.state.tag(t.name+"-build", 0) == nil {
		return nil, fault(errActionNotAllowed, "task %d has made no tags", p.Task)
	}
	var r *repo
	for _, old := range c.h.state.repos {
		if _, change := t.changes(0, old.event); old.tag == t && old.taskID == p.Task && old.state == repoInit && change == 0 {
			r = old
		}
	}
	if r == nil {
		if r, err = c.initRepo(t, m.task); err != nil {
			return nil, err
		}
	}
	return map[string]any{"repo_id": r.id, "event_id": r.event, "arches": plain(c.repoArches(t))}, nil
}

type moduleFinishParams struct {
	Task   int64          `xmlrpc:"task_id"`
	Finish map[string]any `xmlrpc:"finish"`
}

type finishParams struct {
	Repo      int64          `xmlrpc:"repo_id"`
	Repodata  map[string]any `xmlrpc:"repodata"`
	Directory string         `xmlrpc:"directory"`
}

// moduleFinish publishes the module: repository, import and tagging. All is checked
// before anything is changed.
func (c *call) moduleFinish(p moduleFinishParams) (any, error) {
	m, t, err := c.heldModuleTag(p.Task)
	if err != nil {
		return nil, err
	}
	answer, err := c.reservation(m, t)
	if err != nil {
		return nil, err
	}
	if done := answer.(map[string]any)["finished"]; done != nil {
		return done, nil
	}
	var f finishParams
	if err := assign(&f, p.Finish); err != nil {
		return nil, err
	}
	if (f.Directory == "") != m.opts.Scratch {
		return nil, fault(errParameter, "what is to be finished has repo_id, repodata, and directory unless it is a scratch build")
	}
	if got, want := sortedKeys(f.Repodata), c.repoArches(t); !slices.Equal(got, want) {
		return nil, fault(errParameter, "repodata must be for %v", want)
	}
	r, err := c.unpublished(m, t, f.Repo)
	if err != nil {
		return nil, err
	}
	files, err := c.repoFiles(r, f.Repodata)
	if err != nil {
		return nil, err
	}
	var b *build
	if !m.opts.Scratch {
		b = c.h.state.build(answer.(map[string]any)["build_id"])
		if err := c.importModule(m, b, f.Directory, t.name); err != nil {
			return nil, err
		}
		c.setBuildState(b, buildComplete)
		if err := c.tagBuild(m.to.dest, b, m.task.owner, false); err != nil {
			return nil, err
		}
	}
	if err := c.readyRepo(r, files); err != nil {
		return nil, err
	}
	if m.opts.Scratch {
		c.deleteModuleTags(m.task.id)
	}
	c.h.note(Event{Kind: ModuleFinished, ID: m.task.id, Name: answer.(map[string]any)["nvr"].(string), Tag: t.name})
	return c.finished(m, t, b)
}

// unpublished returns a repository that the task has begun, of its tag as it is.
func (c *call) unpublished(m *moduleTask, t *tag, id int64) (*repo, error) {
	r := c.h.state.repo(id)
	switch {
	case r == nil:
		return nil, fault(errGeneric, "query returned no rows")
	case r.tag != t || r.taskID != m.task.id:
		return nil, fault(errActionNotAllowed, "repository %d was not made by task %d for %s", id, m.task.id, t.name)
	}
	if _, change := t.changes(0, r.event); r.state != repoInit || change != 0 {
		return nil, fault(errGeneric, "repository %d is not in state INIT, or older than the last change of %s: make another", id, t.name)
	}
	return r, nil
}

// metadata is what a content generator says, as far as the hub looks at it here.
type metadata struct {
	Version int `json:"metadata_version"`
	Build   struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Release string `json:"release"`
		ID      int64  `json:"build_id"`
		Task    int64  `json:"task_id"`
		Extra   struct {
			TypeInfo struct {
				Module struct {
					Tag string `json:"content_koji_tag"`
				} `json:"module"`
			} `json:"typeinfo"`
		} `json:"extra"`
	} `json:"build"`
	Output []struct {
		Filename string `json:"filename"`
		Type     string `json:"type"`
		Size     int64  `json:"filesize"`
	} `json:"output"`
}

// importModule checks an upload for the module's build and copies its files to the
// build's directory.
func (c *call) importModule(m *moduleTask, b *build, dir, tagName string) error {
	if !uploadName.MatchString(dir) || !filepath.IsLocal(dir) {
		return fault(errParameter, "an uploaded directory cannot be %s", repr(dir))
	}
	from := filepath.Join(c.h.Topdir, "work", dir)
	text, err := os.ReadFile(filepath.Join(from, "metadata.json"))
	if err != nil {
		return fault(errGeneric, "there is no uploaded file %s/metadata.json", dir)
	}
	var md metadata
	var extra struct {
		Build struct {
			Extra map[string]any `json:"extra"`
		} `json:"build"`
	}
	if err := errors.Join(json.Unmarshal(text, &md), json.Unmarshal(text, &extra)); err != nil {
		return fault(errParameter, "metadata.json cannot be read: %v", err)
	}
	w := md.Build
	if w.Name != b.name || w.Version != b.version || w.Release != b.release || w.ID != b.id || w.Task != m.task.id ||
		w.Extra.TypeInfo.Module.Tag != tagName || md.Version != 0 {
		return fault(errParameter, "the metadata must be of build %d, %s of task %d", b.id, b.nvr(), m.task.id)
	}
	to := filepath.Join(c.h.Topdir, "packages", b.name, b.version, b.release, "files", "module")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return unspecified("%v", err)
	}
	for _, out := range md.Output {
		name := filepath.Base(out.Filename)
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return fault(errGeneric, "there is no uploaded file %s/%s", dir, name)
		}
		if int64(len(data)) != out.Size || out.Type != "file" && out.Type != "log" {
			return fault(1020, "File size %d for %s doesn't match. Corrupted upload?", len(data), name)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return unspecified("%v", err)
		}
	}
	b.extra = fromJSON(extra.Build.Extra).(map[string]any)
	return nil
}

// fromJSON turns whole numbers into integers, as they come from the database.
func fromJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = fromJSON(e)
		}
	case []any:
		for i, e := range v {
			v[i] = fromJSON(e)
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// repoArches are the directories of a tag's repositories (koji.canonArch), sorted.
func (c *call) repoArches(t *tag) []string {
	var list []string
	for _, a := range c.arches(t) {
		if a = canonArch(a); a != "src" && a != "noarch" {
			list = append(list, a)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// canonArch is the name under which Koji keeps an architecture.
func canonArch(arch string) string {
	match := func(pattern string) bool {
		ok, _ := path.Match(pattern, arch) // the patterns are good
		return ok
	}
	switch {
	case match("i?86"), arch == "athlon":
		return "i386"
	case arch == "ia32e":
		return "x86_64"
	case arch == "ppc64le":
		return arch
	case match("ppc64*"):
		return "ppc64"
	case match("arm*h*"):
		return "armhfp"
	case match("arm*"):
		return "arm"
	}
	return arch
}
