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
