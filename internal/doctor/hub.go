package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/pkg/koji"
)

// The oldest hub that will do, and the version of the plugin's calls that builders
// of this release make (VERSION_OF_CALLS in plugins/hub/module_build.py).
const (
	needMajor, needMinor = 1, 35
	needCalls            = "1"
)

// A plugin is what moduleStatus says (plugins/hub/module_build.py).
type plugin struct {
	Version   string   `xmlrpc:"version"`
	Problems  []string `xmlrpc:"problems"`
	Channel   string   `xmlrpc:"channel"`
	Generator string   `xmlrpc:"content_generator"`

	Leftovers struct {
		Tags         []string `xmlrpc:"tags"`
		Reservations []string `xmlrpc:"reservations"`
	} `xmlrpc:"leftovers"`
}

// asks reports whether a policy has the test module_component somewhere, which only
// the plugin sees.
func (p *plugin) asks(policy string) bool {
	for _, problem := range p.Problems {
		if strings.Contains(problem, "the policy "+policy+" ") && strings.Contains(problem, neverAsks) {
			return false
		}
	}
	return true
}

// neverAsks is what the plugin says of policies that do not.
const neverAsks = "never asks module_component"

func (e *exam) checkHub(ctx context.Context) {
	var version string
	err := e.User.Call(ctx, "getKojiVersion", &version)
	if lacks(err) {
		e.fail("hub", "upgrade it to 1.35 or later", "the hub is older than Koji 1.23")
		return
	}
	if !e.answered("hub", err) {
		return
	}
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	switch {
	case errA != nil || errB != nil:
		e.warn("hub", "see that it is 1.35 or later", "Koji %q: not a version", version)
	case a < needMajor || a == needMajor && b < needMinor:
		e.fail("hub", "upgrade it to 1.35 or later", "Koji %s is too old", version)
	default:
		e.ok("hub", "Koji %s", version)
	}
}

func (e *exam) checkLogin(ctx context.Context) {
	var me *user
	if !e.call(ctx, "login", "getLoggedInUser", &me) {
		return
	}
	if me == nil {
		e.ok("login", "nobody: policies are looked at for a user without permissions only")
		return
	}
	e.me = me
	var perms []string
	if !e.call(ctx, "login", "getPerms", &perms) {
		return
	}
	for _, p := range perms {
		e.admin = e.admin || p == "admin"
	}
	with := "without permissions"
	if len(perms) > 0 {
		with = "with " + list(perms)
	}
	e.ok("login", "%s, %s", me.Name, with)
}

func (e *exam) checkPlugin(ctx context.Context) {
	var p plugin
	err := e.User.Call(ctx, "moduleStatus", &p)
	if lacks(err) {
		e.fail("plugin", "put module_build.py into the hub's PluginPath, module_build into Plugins in hub.conf, and restart its web server; its log says why a plugin cannot be loaded",
			"the hub has not loaded the plugin module_build")
		return
	}
	if !e.answered("plugin", err) {
		return
	}
	e.plugin = &p
	bad := false
	if p.Version != needCalls {
		bad = true
		e.fail("plugin", "install hub plugin, builder plugin and this program from one release", "module_build speaks version %q of its calls, not %s", p.Version, needCalls)
	}
	for _, problem := range p.Problems {
		if lookedAtBelow(problem) {
			continue
		}
		bad = true
		e.fail("plugin", "mend it on the hub, and restart its web server", "module_build says: %s", problem)
	}
	if !bad {
		e.ok("plugin", "module_build is loaded")
	}
}

// lookedAtBelow reports whether a problem of the plugin's is one that has a check of
// its own here.
func lookedAtBelow(problem string) bool {
	for _, known := range []string{"no build type module", "no policy module_build", "there is no channel", neverAsks} {
		if strings.Contains(problem, known) {
			return true
		}
	}
	return false
}

func (e *exam) checkBuildType(ctx context.Context) {
	var types []struct {
		Name string `xmlrpc:"name"`
	}
	if !e.call(ctx, "btype", "listBTypes", &types) {
		return
	}
	for _, t := range types {
		if t.Name == "module" {
			e.ok("btype", "there is the build type module")
			return
		}
	}
	e.fail("btype", "as an administrator run koji call addBType module", "there is no build type module")
}

func (e *exam) checkGenerator(ctx context.Context) {
	if e.plugin == nil {
		return
	}
	name := e.plugin.Generator
	if _, ok := e.generator(ctx); e.down != nil {
		return
	} else if ok {
		e.ok("generator", "there is the content generator %s", name)
	} else {
		e.ok("generator", "the first build makes the content generator %s", name)
	}
}

// generator returns the id of the content generator that module builds belong to.
func (e *exam) generator(ctx context.Context) (id int64, ok bool) {
	var all map[string]struct {
		ID int64 `xmlrpc:"id"`
	}
	if e.plugin == nil || !e.call(ctx, "generator", "listCGs", &all) {
		return 0, false
	}
	cg, ok := all[e.plugin.Generator]
	return cg.ID, ok
}

func (e *exam) checkLeftovers(context.Context) {
	if e.plugin == nil {
		return
	}
	tags, builds := e.plugin.Leftovers.Tags, e.plugin.Leftovers.Reservations
	if len(tags) > 0 {
		e.warn("leftovers", "koji module-prune deletes them", "tags of module builds that have failed or were cancelled: %s", list(tags))
	}
	if len(builds) > 0 {
		e.warn("leftovers", "koji cancel NVR ends one", "builds that are reserved for tasks that have ended: %s", list(builds))
	}
	if len(tags) == 0 && len(builds) == 0 {
		e.ok("leftovers", "no tags or reservations of builds that have ended")
	}
}

// found tells a thing that does not exist from other errors.
func (e *exam) found(check string, err error, remedy, what string, args ...any) bool {
	var fault *koji.Fault
	if errors.Is(err, koji.ErrNotFound) || errors.As(err, &fault) && errors.Is(err, koji.ErrGeneric) && strings.Contains(strings.ToLower(fault.Message), "no ") {
		e.fail(check, remedy, "there is no %s", fmt.Sprintf(what, args...))
		return false
	}
	return e.answered(check, err)
}
