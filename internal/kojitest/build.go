package kojitest

import (
	"slices"
	"strings"
	"time"
)

// States of a build (koji.BUILD_STATES).
const (
	buildBuilding = iota
	buildComplete
	buildDeleted
	buildFailed
	buildCanceled
)

var buildStates = [...]string{"BUILDING", "COMPLETE", "DELETED", "FAILED", "CANCELED"}

type build struct {
	id, pkg, taskID         int64
	name, version, release  string
	epoch                   *int64
	state                   int
	owner                   *user
	source                  *string
	extra                   map[string]any
	btype                   string
	cg                      string
	event                   int64
	started, made, complete time.Time
}

func (b *build) nvr() string { return b.name + "-" + b.version + "-" + b.release }

// A tagging is that a build is in a tag.
type tagging struct {
	span
	build *build
	by    *user
}

// newBuild makes a record. Nobody else may have had the name.
func (c *call) newBuild(b *build) (*build, error) {
	if old := c.h.state.build(b.nvr()); old != nil {
		return nil, fault(errGeneric, "Build already exists (id=%d, state=%s): %s", old.id, buildStates[old.state], b.nvr())
	}
	b.id, b.pkg, b.event, b.made = c.h.state.next("build"), c.h.state.packageID(b.name), c.event(), now()
	c.h.state.builds = append(c.h.state.builds, b)
	c.noteBuild(b)
	return b, nil
}

func (c *call) setBuildState(b *build, state int) {
	c.write()
	b.state, b.complete = state, now()
	c.noteBuild(b)
}

func (c *call) noteBuild(b *build) {
	c.h.note(Event{Kind: BuildChanged, ID: b.id, Name: b.nvr(), State: buildStates[b.state], User: b.owner.name})
}

// build finds a build by id, name-version-release, or a struct of these.
func (s *state) build(info any) *build {
	if m, ok := info.(map[string]any); ok {
		name, _ := m["name"].(string)
		version, _ := m["version"].(string)
		release, _ := m["release"].(string)
		info = name + "-" + version + "-" + release
	}
	for _, b := range s.builds {
		if info == b.id || info == b.nvr() {
			return b
		}
	}
	return nil
}

func (c *call) needBuild(info any) (*build, error) {
	if b := c.h.state.build(info); b != nil {
		return b, nil
	}
	return nil, fault(errGeneric, "No such build: %s", repr(info))
}

func orNil[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// common is what all calls about builds say.
func (c *call) buildCommon(b *build) map[string]any {
	m := map[string]any{
		"build_id": b.id, "package_id": b.pkg, "package_name": b.name, "name": b.name, "version": b.version, "release": b.release,
		"epoch": deref(b.epoch), "nvr": b.nvr(), "draft": false, "state": b.state, "task_id": orNil(b.taskID),
		"owner_id": b.owner.id, "owner_name": b.owner.name, "promoter_id": nil, "promoter_name": nil, "promotion_time": nil,
		"volume_id": 0, "volume_name": "DEFAULT", "creation_event_id": b.event,
		"creation_time": stamp(c.h.state.stamps[b.event-1]), "start_time": stamp(b.started), "completion_time": stamp(b.complete),
	}
	return m
}

func (c *call) buildInfo(b *build) map[string]any {
	m := c.buildCommon(b)
	m["source"], m["promotion_ts"] = deref(b.source), nil
	m["creation_ts"], m["start_ts"], m["completion_ts"] = ts(c.h.state.stamps[b.event-1]), ts(b.started), ts(b.complete)
	m["extra"] = nil
	if b.extra != nil {
		m["extra"] = b.extra
	}
	return m
}

func buildMethods() map[string]method {
	return map[string]method{
		"getBuild":       handle(1, (*call).getBuild),
		"listBuilds":     handle(0, (*call).listBuilds),
		"findBuildID":    handle(1, (*call).findBuildID),
		"cancelBuild":    handle(1, (*call).cancelBuild),
		"tagBuildBypass": handle(2, (*call).tagBuildBypass),
		"untagBuild":     handle(2, (*call).untagBuild),
		"host.tagBuild":  handle(3, (*call).hostTagBuild),
		"addBType":       handle(1, func(*call, typeParams) (any, error) { return nil, fault(errGeneric, "btype already exists") }),
	}
}

type typeParams struct {
	Name string `xmlrpc:"name"`
}

type buildParams struct {
	Build  any  `xmlrpc:"buildInfo"`
	Strict bool `xmlrpc:"strict"`
}

func (c *call) getBuild(p buildParams) (any, error) {
	if s, ok := p.Build.(string); ok && strings.Count(s, "-") < 2 {
		return nil, fault(errGeneric, "invalid format: %s", s)
	}
	b, err := c.needBuild(p.Build)
	if err != nil {
		if p.Strict {
			return nil, err
		}
		return nil, nil
	}
	m := c.buildInfo(b)
	m["id"], m["cg_id"], m["cg_name"] = b.id, nil, nil
	if b.cg != "" {
		m["cg_id"], m["cg_name"] = int64(slices.Index(c.h.state.cgs, b.cg)+1), b.cg
	}
	return m, nil
}

type findParams struct {
	Build  any  `xmlrpc:"X"`
	Strict bool `xmlrpc:"strict"`
}

func (c *call) findBuildID(p findParams) (any, error) {
	b, err := c.needBuild(p.Build)
	switch {
	case err == nil:
		return b.id, nil
	case p.Strict:
		return nil, err
	}
	return nil, nil
}

// listBuildsParams has the parameters in Koji's order up to typeInfo.
type listBuildsParams struct {
	Package        any       `xmlrpc:"packageID"`
	User           any       `xmlrpc:"userID"`
	Task           *int64    `xmlrpc:"taskID"`
	Prefix         string    `xmlrpc:"prefix"`
	State          *int      `xmlrpc:"state"`
	Volume         *int64    `xmlrpc:"volumeID"`
	Source         any       `xmlrpc:"source"`
	CreatedBefore  any       `xmlrpc:"createdBefore"`
	CreatedAfter   any       `xmlrpc:"createdAfter"`
	CompleteBefore any       `xmlrpc:"completeBefore"`
	CompleteAfter  any       `xmlrpc:"completeAfter"`
	Type           string    `xmlrpc:"type"`
	TypeInfo       any       `xmlrpc:"typeInfo"`
	Query          queryOpts `xmlrpc:"queryOpts"`
}

func (c *call) listBuilds(p listBuildsParams) (any, error) {
	for _, v := range []any{p.Source, p.CreatedBefore, p.CreatedAfter, p.CompleteBefore, p.CompleteAfter, p.TypeInfo} {
		if v != nil {
			return nil, fault(errParameter, "this hub lists builds by package, user, task, prefix, state and type only")
		}
	}
	if p.Type != "" && !slices.Contains(btypes[:], p.Type) {
		return nil, fault(errGeneric, "unsupported build type: %s", p.Type)
	}
	list := []any{}
	for _, b := range c.h.state.builds {
		if p.Package != nil && p.Package != b.pkg && p.Package != b.name || p.User != nil && p.User != b.owner.id && p.User != b.owner.name ||
			p.Task != nil && *p.Task != b.taskID && (*p.Task != -1 || b.taskID == 0) || p.State != nil && *p.State != b.state ||
			p.Type != "" && p.Type != b.btype || p.Volume != nil && *p.Volume != 0 ||
			!strings.HasPrefix(strings.ToLower(b.name), strings.ToLower(p.Prefix)) {
			continue
		}
		list = append(list, c.buildInfo(b))
	}
	return p.Query.apply(list)
}

// cancelBuild cancels what a task is building, and the task.
func (c *call) cancelBuild(p buildParams) (any, error) {
	b, err := c.needBuild(p.Build)
	if err != nil {
		return nil, err
	}
	if c.user == nil || c.user != b.owner && !c.user.may("admin") {
		return nil, fault(errActionNotAllowed, "not owner")
	}
	if b.state != buildBuilding {
		return false, nil
	}
	c.setBuildState(b, buildCanceled)
	if t := c.h.state.tasks[b.taskID]; t != nil {
		c.cancel(t, true)
	}
	return true, nil
}
