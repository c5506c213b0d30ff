package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kojimod/kojimod/pkg/koji"
)

// A verdict is what a policy of the hub says about something.
type verdict struct {
	missing bool   // there is no such policy
	action  string // "allow", "deny", "use CHANNEL" …; empty where no rule applies
	reason  string // what stands behind allow or deny
}

func (v verdict) allows() bool { return v.action == "allow" }

// why returns the reason, in parentheses.
func (v verdict) why() string {
	switch {
	case v.reason != "":
		return " (" + v.reason + ")"
	case v.action == "":
		return " (no rule applies)"
	}
	return ""
}

// byDefault reports whether the policy is the one that Koji has where hub.conf has
// none (_default_policies in kojixmlrpc.py).
func (v verdict) byDefault() bool { return strings.Contains(v.reason, "via default policy") }

// evaluate asks the hub for a policy's verdict, which everybody may
// (RootExports.evalPolicy). The user is the session's, unless data has a user_id. ok
// is false where the hub cannot say; that has been reported.
func (e *exam) evaluate(ctx context.Context, s *koji.Session, name string, data map[string]any) (v verdict, ok bool) {
	var result *string
	err := s.Call(ctx, "evalPolicy", &result, name, data)
	var fault *koji.Fault
	if errors.As(err, &fault) && strings.Contains(fault.Message, "no such policy") {
		return verdict{missing: true}, true
	}
	if err != nil {
		if !e.broken("policy", err) {
			e.unseen("policy", "the policy "+name+" in hub.conf", "what %s says of modules (%v)", name, err)
		}
		return verdict{}, false
	}
	if result == nil {
		return verdict{}, true
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(*result), " ")
	v = verdict{action: strings.ToLower(word), reason: strings.TrimSpace(rest)}
	if v.action != "allow" && v.action != "deny" {
		v = verdict{action: strings.TrimSpace(*result)}
	}
	return v, true
}

// moduleData is what the hub's plugin gives the policy module_build.
func (e *exam) moduleData() map[string]any {
	data := map[string]any{"method": "moduleBuild", "source": exampleSource, "scratch": false}
	if e.target != nil {
		data["target"], data["tag"] = e.target.Name, e.target.DestTagName
	}
	return data
}

const exampleSource = "git+https://src.example.org/modules/example?#main"

func (e *exam) checkModulePolicy(ctx context.Context) {
	if e.plugin == nil {
		return
	}
	const check = "module_build"
	nobody, ok := e.evaluate(ctx, e.Nobody, "module_build", e.moduleData())
	if !ok {
		return
	}
	if nobody.missing {
		remedy := "add the policy module_build to hub.conf, section [policy]"
		if e.me != nil && !e.admin {
			e.fail(check, remedy, "without this policy only administrators build modules, and %s is none", e.me.Name)
		} else {
			e.warn(check, remedy, "without this policy only administrators build modules")
		}
		return
	}
	if nobody.allows() {
		e.warn(check, "see that it is meant so", "everybody who can log in may build modules")
	} else if e.me == nil {
		e.ok(check, "a user without permissions may not build modules%s", nobody.why())
	}
	if e.me == nil {
		return
	}
	mine, ok := e.evaluate(ctx, e.User, "module_build", e.moduleData())
	switch {
	case !ok:
	case !mine.allows():
		e.fail(check, "koji grant-permission what it asks for, or change the policy module_build", "%s may not build %s%s", e.me.Name, exampleSource, mine.why())
	case !nobody.allows():
		e.ok(check, "%s may build modules, a user without permissions may not", e.me.Name)
	}
}

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

// checkImportPolicies looks whether the module's build may be imported and tagged,
// for who builds it (_assert_import and _destination in the hub's plugin).
func (e *exam) checkImportPolicies(ctx context.Context) {
	imported := exampleBuild()
	imported["draft"], imported["metadata_only"], imported["cg_list"] = false, false, []int64{}
	if id, ok := e.generator(ctx); ok {
		imported["cg_list"] = []int64{id}
	}
	if e.down == nil {
		e.checkMay(ctx, "cg_import", "import modules", imported)
	}
	if e.target == nil || e.down != nil {
		return
	}
	dest := e.target.DestTagName
	tagged := exampleBuild()
	tagged["tag"], tagged["fromtag"], tagged["operation"] = dest, nil, "tag"
	e.checkMay(ctx, "tag", "tag modules into "+dest, tagged)
}

// exampleBuild is what policies are told of a module's build.
func exampleBuild() map[string]any {
	return map[string]any{"package": "example", "version": "1", "release": "1.example", "btypes": []string{"module"}, "source": exampleSource}
}

// checkMay looks whether a policy lets users do what a module's end needs.
func (e *exam) checkMay(ctx context.Context, name, do string, data map[string]any) {
	const somebody = "a user without permissions"
	remedy := "have the policy " + name + " in hub.conf allow it to those who build modules"
	nobody, ok := e.evaluate(ctx, e.Nobody, name, data)
	if !ok {
		return
	}
	if nobody.missing {
		e.warn(name, "add it to hub.conf, with module_tag :: deny", "there is no such policy; Koji then lets everybody %s, unless MissingPolicyOk is off", do)
		return
	}
	if e.me == nil {
		if nobody.allows() {
			e.ok(name, "%s may %s", somebody, do)
		} else {
			e.warn(name, remedy, "%s may not %s%s", somebody, do, nobody.why())
		}
		return
	}
	mine, ok := e.evaluate(ctx, e.User, name, data)
	switch {
	case !ok:
	case !mine.allows():
		e.fail(name, remedy, "%s may not %s%s", e.me.Name, do, mine.why())
	case nobody.allows():
		e.ok(name, "%s and everybody else may %s", e.me.Name, do)
	default:
		e.ok(name, "%s may %s, %s may not%s", e.me.Name, do, somebody, nobody.why())
	}
}

// checkSources says what only the builders know.
func (e *exam) checkSources(context.Context) {
	e.unseen("sources", "allowed_scms (or allowed_scms_use_policy, with the policy build_from_scm) in kojid.conf of the builders",
		"from where modules and components may be fetched")
}

// channelOf returns the channel into which a task goes; parent is the channel of its
// parent, req the one that is asked for, both may be empty.
func (e *exam) channelOf(ctx context.Context, check, method, parent, req string) (string, bool) {
	data := e.moduleData()
	if method == "build" { // components have no target
		delete(data, "target")
		delete(data, "tag")
	}
	data["method"], data["arch"], data["label"], data["parent"] = method, "noarch", nil, nil
	if parent != "" {
		data["parent"] = 1
	}
	if req != "" {
		data["req_channel"] = req
	}
	s := e.Nobody
	if e.me != nil {
		s = e.User
		data["owner"] = e.me.ID
	}
	v, ok := e.evaluate(ctx, s, "channel", data)
	if !ok {
		return "", false
	}
	word, name, _ := strings.Cut(v.action, " ")
	switch {
	case v.missing || word == "":
		return "default", true
	case word == "use" && name != "":
		return strings.Fields(name)[0], true
	case word == "req" && req != "":
		return req, true
	case word == "parent" && parent != "":
		return parent, true
	}
	e.fail(check, "correct the policy channel in hub.conf", "the policy channel says %q of a task %s, which is no channel", fmt.Sprint(v.action, v.why()), method)
	return "", false
}
