package doctor

import (
	"context"
	"errors"
	"strings"

	"github.com/kojimod/kojimod/pkg/koji"
)

// A component is a build that a module's task has started, by which policies can be
// tried: rules with module_component look at real tasks.
type component struct {
	task, buildTag, repo int64
	source               string
}

func (c *component) data() map[string]any {
	return map[string]any{"source": c.source, "task_id": c.task, "build_tag": c.buildTag, "skip_tag": true,
		"scratch": false, "draft": false, "from_scm": strings.Contains(c.source, "://"), "repo_id": c.repo}
}

// component returns the newest component whose build tag is still its module's.
func (e *exam) component(ctx context.Context) (*component, error) {
	for _, method := range []string{"moduleBuild", "moduleContext"} {
		var tasks []struct {
			ID int64 `xmlrpc:"id"`
		}
		err := e.User.Call(ctx, "listTasks", &tasks, map[string]any{"method": method}, map[string]any{"order": "-id", "limit": 10})
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			children, err := e.User.Children(ctx, t.ID)
			if err != nil {
				return nil, err
			}
			for _, child := range children {
				if child.Method != "build" {
					continue
				}
				if c, err := e.componentOf(ctx, t.ID, child.ID); c != nil || err != nil {
					return c, err
				}
				break // the others are in the same tag
			}
		}
	}
	return nil, nil
}

func (e *exam) componentOf(ctx context.Context, module, task int64) (*component, error) {
	var request []any
	if err := e.User.Call(ctx, "getTaskRequest", &request, task); err != nil {
		return nil, err
	}
	if len(request) < 3 {
		return nil, nil
	}
	source, _ := request[0].(string)
	opts, _ := request[2].(map[string]any)
	repo, _ := opts["repo_id"].(int64)
	if source == "" || repo == 0 {
		return nil, nil
	}
	var info *struct {
		Tag     int64  `xmlrpc:"tag_id"`
		TagName string `xmlrpc:"tag_name"`
	}
	if err := e.User.Call(ctx, "repoInfo", &info, repo); err != nil || info == nil {
		return nil, err
	}
	tag, err := e.User.Tag(ctx, info.TagName, 0)
	if errors.Is(err, koji.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if mark, _ := tag.Extra["module.task"].(int64); mark != module {
		return nil, nil
	}
	return &component{task: task, buildTag: info.Tag, repo: repo, source: source}, nil
}

// checkComponentPolicies looks whether the components of a user without permissions
// may be built, and nobody else in a module's tag (HostExports.assertPolicy in
// BuildTask of kojid).
func (e *exam) checkComponentPolicies(ctx context.Context) {
	if e.plugin == nil {
		return
	}
	sample, err := e.component(ctx)
	if err != nil {
		e.answered("components", err)
		return
	}
	for _, p := range []struct {
		name string
		need Status // what it is where the policy refuses components
		what string // is refused then
	}{
		{"build_from_repo_id", Fail, "components"},
		{"build_rpm", Fail, "components"},
		{"build_from_srpm", Warn, "components from source packages"},
	} {
		if e.down != nil {
			return
		}
		e.checkComponentPolicy(ctx, p.name, p.need, p.what, sample)
	}
}

func (e *exam) checkComponentPolicy(ctx context.Context, name string, need Status, what string, sample *component) {
	remedy := "put module_component :: allow first into the policy " + name + " in hub.conf"
	if sample != nil {
		data := sample.data()
		own, ok := e.evaluate(ctx, e.Nobody, name, data)
		if !ok {
			return
		}
		delete(data, "task_id")
		other, ok := e.evaluate(ctx, e.Nobody, name, data)
		switch {
		case !ok:
		case own.missing:
			e.warn(name, remedy+", and deny or allow others", "there is no such policy; Koji then allows everything, unless MissingPolicyOk is off")
		case !own.allows():
			e.add(need, name, remedy, "a module's components are refused for users without permissions%s", own.why())
		case other.allows() && name == "build_rpm":
			e.warn(name, "add module_tag :: deny after module_component :: allow", "components are allowed, and so is everybody's build in a module's build tag")
		case other.allows():
			e.warn(name, "see that it is meant so; module_component :: allow would do for modules", "everybody may, not only a module's components")
		default:
			e.ok(name, "allows a module's components, and not others there (as task %d would be)", sample.task)
		}
		return
	}
	data := map[string]any{"source": exampleSource, "skip_tag": true, "scratch": false, "draft": false, "from_scm": true, "repo_id": 0}
	if e.target != nil {
		data["build_tag"] = e.target.BuildTag
	}
	v, ok := e.evaluate(ctx, e.Nobody, name, data)
	switch {
	case !ok:
	case v.missing:
		e.warn(name, remedy+", and deny or allow others", "there is no such policy; Koji then allows everything, unless MissingPolicyOk is off")
	case v.byDefault():
		e.add(need, name, remedy, "hub.conf has no such policy, and Koji's own allows administrators only: %s of other users are refused", what)
	case v.allows() && name == "build_rpm":
		e.unseen(name, "the policy build_rpm in hub.conf, which should have module_tag :: deny after module_component :: allow",
			"everybody may build; as long as no module has components, whether in modules' tags, too,")
	case v.allows():
		e.warn(name, "see that it is meant so; module_component :: allow would do for modules", "everybody may, not only a module's components")
	case name == "build_rpm":
		e.unseen(name, "the policy build_rpm in hub.conf, which should begin with module_component :: allow",
			"others are refused%s; as long as no module has components, whether those are allowed", v.why())
	case e.plugin.asks(name):
		e.ok(name, "it has a rule for a module's components, and refuses others%s", v.why())
	default:
		e.add(need, name, remedy, "it has no rule with module_component: %s are refused for users without permissions%s", what, v.why())
	}
}
