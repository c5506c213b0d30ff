package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kojimod/kojimod/pkg/koji"
)

// How many tasks of a builder with maxjobs places wait at most while a module's
// context builds a package: moduleBuild, moduleContext, build and buildArch.
const needJobs = 4

// componentChannel is where a module's task asks for its components to be built.
const componentChannel = "default"

// hostSilent is how long after a builder's last word it counts as gone. They check in
// every 15 seconds, unless somebody has said otherwise.
const hostSilent = 10 * time.Minute

type host struct {
	ID      int64   `xmlrpc:"id"`
	Name    string  `xmlrpc:"name"`
	Arches  string  `xmlrpc:"arches"`
	Ready   bool    `xmlrpc:"ready"`
	Updated float64 `xmlrpc:"update_ts"`
}

// hostData is what builders tell the hub (TaskManager.getNextTask in koji/daemon.py).
type hostData struct {
	Methods []string `xmlrpc:"methods"`
	MaxJobs int      `xmlrpc:"maxjobs"`
}

func (d hostData) can(method string) bool { return slices.Contains(d.Methods, method) }

// builders returns the builders of a channel that are enabled and check in, busy or
// not, and reports where there are none.
func (e *exam) builders(ctx context.Context, check, channel string) ([]host, bool) {
	var info *struct {
		Enabled bool `xmlrpc:"enabled"`
	}
	if !e.call(ctx, check, "getChannel", &info, channel) {
		return nil, false
	}
	if info == nil {
		e.fail(check, "koji add-channel "+channel, "there is no channel %s", channel)
		return nil, false
	}
	if !info.Enabled {
		e.fail(check, "koji enable-channel "+channel, "the channel %s is disabled", channel)
		return nil, false
	}
	var hosts []host
	if !e.call(ctx, check, "listHosts", &hosts, nil, channel, nil, true) {
		return nil, false
	}
	if len(hosts) == 0 {
		e.fail(check, "koji add-host-to-channel BUILDER "+channel+", or koji enable-host", "no enabled builder is in the channel %s", channel)
		return nil, false
	}
	alive := slices.DeleteFunc(slices.Clone(hosts), func(h host) bool { return !h.Ready && e.age(h.Updated) > hostSilent })
	var gone, busy []string
	for _, h := range hosts {
		switch {
		case h.Ready:
		case e.age(h.Updated) > hostSilent:
			gone = append(gone, h.Name+", last seen "+e.ago(h.Updated))
		default:
			busy = append(busy, h.Name)
		}
	}
	if len(alive) == 0 {
		e.fail(check, "see that kojid runs there", "no builder of the channel %s checks in: %s", channel, list(gone))
		return nil, false
	}
	if len(gone) > 0 {
		e.warn(check, "see that kojid runs there, or koji disable-host", "of the channel %s do not check in: %s", channel, list(gone))
	}
	if who := list(busy); len(busy) == len(alive) && !e.busy[who] {
		e.busy[who] = true // said once, whatever channels they are in
		e.warn(check, "it passes with their work; if not, kojid.log there says what they lack", "no builder of the channel %s takes tasks just now: %s", channel, who)
	}
	if e.hostData == nil {
		var all []struct {
			Host int64    `xmlrpc:"host_id"`
			Data hostData `xmlrpc:"data"`
		}
		if !e.call(ctx, check, "scheduler.getHostData", &all) {
			return nil, false
		}
		e.hostData = map[int64]hostData{}
		for _, d := range all {
			e.hostData[d.Host] = d.Data
		}
	}
	return alive, true
}

func (e *exam) ago(ts float64) string {
	if ts <= 0 {
		return "never"
	}
	return e.since(ts) + " ago"
}

// since returns how long ago seconds of the epoch are, in days where they are many.
func (e *exam) since(ts float64) string {
	return span(e.now().Sub(time.Unix(int64(ts), 0)))
}

func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return times(int(d.Seconds()), "second")
}

// checkModuleBuilders looks at those who carry out module tasks.
func (e *exam) checkModuleBuilders(ctx context.Context) {
	req := ""
	if e.plugin != nil {
		req = e.plugin.Channel
	}
	channel, ok := e.channelOf(ctx, "channel", "moduleBuild", "", req)
	if !ok {
		return
	}
	if req != "" && channel != req {
		e.warn("channel", "put has req_channel :: req first into the policy channel in hub.conf", "the plugin asks for the channel %s, the policy sends module builds to %s", req, channel)
	}
	contexts, ok := e.channelOf(ctx, "channel", "moduleContext", channel, "")
	if !ok {
		return
	}
	e.checkChannel(ctx, channel, "moduleBuild")
	if contexts != channel && e.down == nil {
		e.checkChannel(ctx, contexts, "moduleContext")
	}
}

func (e *exam) checkChannel(ctx context.Context, channel, method string) {
	hosts, ok := e.builders(ctx, "channel", channel)
	if !ok {
		return
	}
	var able, unable, silent []string
	var jobs []host
	for _, h := range hosts {
		switch d, ok := e.hostData[h.ID]; {
		case !ok:
			silent = append(silent, h.Name)
		case d.can(method):
			able = append(able, h.Name)
			jobs = append(jobs, h)
		default:
			unable = append(unable, h.Name)
		}
	}
	install := "install the builder plugin module_build there, add it to plugins in kojid.conf, restart kojid"
	switch {
	case len(able) == 0 && len(silent) == 0:
		e.fail("channel", install, "no builder of the channel %s has the plugin: %s", channel, list(unable))
	case len(able) == 0:
		e.unseen("channel", "plugins in kojid.conf there", "what the builders of the channel %s can do (%s do not say)", channel, list(silent))
	case len(unable) > 0:
		e.warn("channel", install+"; or take them out of the channel", "%s tasks go to the channel %s: %s; without the plugin: %s", method, channel, list(able), list(unable))
	default:
		e.ok("channel", "%s tasks go to the channel %s: %s", method, channel, list(able))
	}
	e.checkMaxJobs(jobs)
	if len(able) > 0 {
		e.unseen("topdir", "topdir and topurl in kojid.conf (either will do for modules; createrepo needs the topdir)", "whether the builders have Koji's files")
	}
}

// checkMaxJobs does the arithmetic of the builder's plugin: a fifth of the places,
// and one at least, are for moduleBuild tasks, as many for moduleContext tasks.
func (e *exam) checkMaxJobs(hosts []host) {
	var few, texts []string
	for _, h := range hosts {
		n := e.hostData[h.ID].MaxJobs
		if n < needJobs {
			few = append(few, fmt.Sprintf("%s has %d", h.Name, n))
			continue
		}
		part := max(1, n/5)
		texts = append(texts, fmt.Sprintf("%s takes %s and as many contexts of %d, %d are left for components", h.Name, times(part, "module"), n, n-2*part))
	}
	const remedy = "maxjobs = 10 in kojid.conf there"
	switch {
	case len(texts) == 0 && len(few) > 0:
		e.fail("maxjobs", remedy, "a module's task waits for its components, and needs maxjobs of %d or more: %s", needJobs, list(few))
	case len(few) > 0:
		e.warn("maxjobs", remedy, "%s; too few: %s", list(texts), list(few))
	case len(texts) > 0:
		e.ok("maxjobs", "%s", list(texts))
	}
}

// checkComponentBuilders looks at those who build the packages.
func (e *exam) checkComponentBuilders(ctx context.Context) {
	channel, ok := e.channelOf(ctx, "components", "build", "the module's", componentChannel)
	if !ok {
		return
	}
	if channel == "the module's" {
		e.warn("components", "put has req_channel :: req before is_child_task :: parent in the policy channel in hub.conf",
			"the policy channel keeps components in the channel of module tasks, whatever that channel's builders can build")
		return
	}
	hosts, ok := e.builders(ctx, "components", channel)
	if !ok {
		return
	}
	by := map[string]int{}
	for _, h := range hosts {
		for _, arch := range strings.Fields(h.Arches) {
			by[arch]++
		}
	}
	var lacking, have []string
	for _, arch := range e.arches {
		if by[arch] == 0 {
			lacking = append(lacking, arch)
		} else {
			have = append(have, times(by[arch], arch+" builder"))
		}
	}
	switch {
	case len(lacking) > 0:
		e.fail("components", "koji edit-host BUILDER --arches, add builders, or take them from the arches of "+e.target.BuildTagName,
			"no builder of the channel %s builds for %s", channel, strings.Join(lacking, " "))
	case len(have) > 0:
		e.ok("components", "built in the channel %s: %s", channel, list(have))
	default:
		e.ok("components", "built in the channel %s by %s", channel, times(len(hosts), "builder"))
	}
}

// checkCreaterepo looks at those who make the repositories of build tags. Their
// tasks are noarch whatever the repository is for (NewRepoTask in kojid).
func (e *exam) checkCreaterepo(ctx context.Context) {
	hosts, ok := e.builders(ctx, "createrepo", "createrepo")
	if !ok {
		return
	}
	arches := ""
	if len(e.arches) > 0 {
		arches = ", whatever their own architecture, for " + strings.Join(e.arches, " ")
	}
	e.ok("createrepo", "%s in the channel createrepo make repositories%s", times(len(hosts), "builder"), arches)
	e.checkNewRepos(ctx)
}

// checkNewRepos looks whether repositories can be made at all.
func (e *exam) checkNewRepos(ctx context.Context) {
	const last = 3
	var tasks []struct {
		ID    int64          `xmlrpc:"id"`
		State koji.TaskState `xmlrpc:"state"`
	}
	ended := map[string]any{"method": "newRepo", "state": []koji.TaskState{koji.TaskClosed, koji.TaskFailed}}
	if !e.call(ctx, "createrepo", "listTasks", &tasks, ended, map[string]any{"order": "-id", "limit": last}) {
		return
	}
	for _, t := range tasks {
		if t.State != koji.TaskFailed {
			return
		}
	}
	if len(tasks) == last {
		e.warn("createrepo", fmt.Sprintf("koji taskinfo %d, and its logs", tasks[0].ID), "the last %d repositories could not be made", last)
	}
}
