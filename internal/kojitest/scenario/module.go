package scenario

import (
	"encoding/json"
	"fmt"
)

func taskDir(id int64) string { return fmt.Sprintf("tasks/%d/%d", id%10000, id) }

// module builds a module of one component, from the hub's call for users to the
// last one of its builder. A builder of the hub makes repositories and builds.
func (r *run) module(admin, host *conn) {
	r.step = "scheduling a module build"
	user := r.login("user", r.conf.User)
	srpm := r.conf.Prefix + "-srpm"
	user.sendChunk("cli-build/"+srpm, "hello.src.rpm", 0, false, r.conf.SRPM, false)
	user.sendChunk("cli-build/"+srpm, "bad.src.rpm", 0, false, r.conf.FailingSRPM, false)
	source, target := "git+https://git.example.org/hello.git#abcdef", r.name("target")
	user.call("moduleBuild", source, target)
	user.quiet("logout")
	admin.call("moduleBuild", "no source", target)
	admin.call("moduleBuild", source, r.name("missing"))
	admin.call("moduleBuild", source, target, map[string]any{"no such": 1})
	task := r.number(admin.call("moduleBuild", source, target, map[string]any{"keep_going": true, "scratch": false}))
	admin.call("moduleBuild", source, target, map[string]any{"resume": task})
	admin.call("assignTask", task, r.conf.Host.User, named{"force": true})
	host.call("host.moduleReserve", task)
	host.call("host.openTask", task)

	r.step = "reserving"
	id := map[string]any{"name": r.name("module"), "stream": "stable-1", "version": "20240102030405", "context": "1a2b3c4d"}
	host.call("host.moduleTags", task, map[string]any{})
	host.call("host.moduleReserve", task)
	host.call("host.moduleReserve", task, map[string]any{"name": "x"})
	reserved := host.call("host.moduleReserve", task, id, map[string]any{"source": source, "time": 1700000000, "components": map[string]any{"hello": "x"}})
	host.call("host.moduleReserve", task)
	host.call("host.moduleReserve", task, id)
	host.call("host.moduleReserve", task, map[string]any{"name": r.name("other"), "stream": "1", "version": "1", "context": "1a2b3c4d"})
	host.call("host.moduleRepo", task)
	plan := map[string]any{"packages": []any{"hello"}, "groups": map[string]any{"build": []any{"bash"}, "srpm-build": []any{"bash"}},
		"macros": map[string]any{"dist": ".module+" + r.conf.Prefix}, "requires": []any{}, "arches": []any{}}
	host.call("host.moduleTags", task, plan)
	tags := host.call("host.moduleTags", task, plan)
	other := map[string]any{"packages": []any{"another"}}
	host.call("host.moduleTags", task, other)
	m, _ := tags.(map[string]any)
	tag, buildTag := m["tag"], m["build_tag"]
	for _, name := range []any{tag, buildTag} {
		admin.call("getTag", name)
		admin.call("getInheritanceData", name)
		admin.call("listPackages", named{"tagID": name})
		admin.call("getTagGroups", name, named{"inherit": false})
	}
	admin.call("getBuild", r.field(reserved, "build_id"))
	admin.call("listBuilds", named{"taskID": task})

	build := r.component(host, task, buildTag, srpm)
	r.step = "a finished component"
	host.call("host.moduleTagBuild", task, r.field(reserved, "build_id"))
	host.call("host.moduleTagBuild", task, build)
	host.call("host.moduleTagBuild", task, build)
	host.call("listTagged", tag, named{"inherit": true})
	host.call("listTagged", buildTag, named{"inherit": true, "latest": true})
	host.call("listTagged", buildTag)
	host.call("listTaggedRPMS", tag)
	host.call("listTaggedRPMS", buildTag, named{"inherit": true, "arch": []any{"src"}, "extra": false})
	r.finish(admin, host, task, reserved, tag)
}

// component has a repository made and a package built, and returns the build's id.
func (r *run) component(host *conn, task int64, buildTag any, srpm string) int64 {
	r.step = "a repository"
	opts := named{"label": "repo:1", "channel": "createrepo", "arch": "noarch"}
	repoTask := r.number(host.call("host.subtask", "newRepo", []any{buildTag}, task, opts))
	r.wait(host, repoTask)
	host.call("getTaskInfo", repoTask, true)
	repo, _ := host.call("getTaskResult", repoTask).([]any)
	if len(repo) == 0 {
		r.fail(fmt.Errorf("the task has made no repository"))
		return 0
	}
	repoID := r.number(repo[0])
	host.call("repoInfo", repoID)
	host.call("getRepo", buildTag)

	r.step = "a component"
	build := func(label, source string) int64 {
		return r.number(host.call("host.subtask", "build", []any{source, nil, map[string]any{"repo_id": repoID}}, task,
			named{"label": label, "channel": "default"}))
	}
	bad := build("build:bad", "cli-build/"+srpm+"/missing.src.rpm")
	r.wait(host, bad)
	host.call("getTaskResult", bad, false)
	fails := build("build:fails", "cli-build/"+srpm+"/bad.src.rpm")
	r.wait(host, fails)
	r.failedBuild(host, fails)
	id := build("build:hello", "cli-build/"+srpm+"/hello.src.rpm")
	r.wait(host, id)
	host.call("getTaskInfo", id, true)
	host.call("getTaskResult", id)
	host.call("getTaskChildren", id)
	builds, _ := host.call("listBuilds", named{"taskID": id}).([]any)
	if len(builds) != 1 {
		r.fail(fmt.Errorf("the task has made %d builds", len(builds)))
		return 0
	}
	buildID := r.field(builds[0], "build_id")
	host.call("getBuild", buildID)
	rpms, _ := host.call("listRPMs", named{"buildID": buildID}).([]any)
	host.call("listBuildRPMs", buildID)
	if len(rpms) > 0 {
		host.call("getRPMChecksums", r.field(rpms[0], "id"))
		host.call("getRPMChecksums", r.field(rpms[0], "id"), []any{"sha256"})
		host.call("getRPMChecksums", r.field(rpms[0], "id"), []any{"crc"})
	}
	return buildID
}

// failedBuild looks at what a build has left that has failed.
func (r *run) failedBuild(host *conn, task int64) {
	host.call("getTaskInfo", task)
	host.call("getTaskResult", task, false)
	host.call("getTaskResult", task)
	children, _ := host.call("getTaskChildren", task).([]any)
	for _, c := range children {
		m, _ := c.(map[string]any)
		if m["method"] == "buildArch" {
			host.call("getTaskResult", m["id"], false)
			host.call("listTaskOutput", m["id"])
		}
	}
	host.call("listBuilds", named{"taskID": task})
}

// finish publishes the module.
func (r *run) finish(admin, host *conn, task int64, reserved, tag any) {
	r.step = "finishing"
	begun := host.call("host.moduleRepo", task)
	host.call("host.moduleRepo", task)
	repoID := r.field(begun, "repo_id")
	host.call("repoInfo", repoID)
	dir := taskDir(task)
	host.sendChunk(dir+"/repodata", "repomd.xml", 0, false, []byte("<repomd/>"), false)
	modulemd := []byte("document: modulemd\n")
	host.sendChunk(dir+"/import", "modulemd.txt", 0, false, modulemd, false)
	finish := map[string]any{"repo_id": repoID, "repodata": map[string]any{"x86_64": []any{dir + "/repodata", []any{"repomd.xml"}}},
		"directory": dir + "/import"}
	host.call("host.moduleFinish", task, map[string]any{"repo_id": repoID})
	host.call("host.moduleFinish", task, finish)
	m, _ := reserved.(map[string]any)
	host.sendChunk(dir+"/import", "metadata.json", 0, false, r.metadata(task, m, modulemd), false)
	host.call("host.moduleFinish", task, finish)
	host.call("host.moduleFinish", task, finish)
	host.call("host.moduleReserve", task)
	host.call("host.moduleRepo", task)
	admin.call("repoInfo", repoID)
	admin.call("getRepo", tag)
	admin.call("getBuild", m["build_id"])
	admin.call("listTagged", r.name("dest"), named{"type": "module"})
	admin.call("listTagged", r.name("dest"), named{"type": "module", "extra": true})
	admin.call("listBuilds", named{"taskID": task, "type": "module"})
	host.call("host.closeTask", task, r.answer(nil))
	admin.call("getTaskInfo", task)
	r.guards(admin, host, tag)
	r.failing(admin, host)
	r.scratch(admin, host)
	r.contexts(admin, host)
}

// guards try to change what belongs to a module.
func (r *run) guards(admin, host *conn, tag any) {
	r.step = "a module's tags"
	hello := "hello-1-1.module+" + r.conf.Prefix
	user := r.login("user", r.conf.User)
	user.call("untagBuild", tag, hello)
	user.call("tagBuildBypass", tag, hello)
	user.call("packageListAdd", tag, "other", r.conf.User.User)
	user.quiet("logout")
	admin.call("tagBuildBypass", tag, hello)
	admin.call("untagBuild", r.name("dest"), hello)
	admin.call("listTags", named{"build": hello})
	other := r.number(admin.call("makeTask", "nothing", []any{}, named{"assign": r.conf.Host.User}))
	host.call("host.openTask", other)
	host.call("host.moduleReserve", other)
	host.call("host.moduleTagBuild", other, hello)
	host.call("host.tagBuild", other, r.name("dest"), "no-such-build")
	host.call("host.tagBuild", other, r.name("dest"), hello)
	host.call("host.tagBuild", other, r.name("dest"), hello)
	host.call("host.tagBuild", other, tag, hello)
	admin.call("untagBuild", r.name("dest"), hello)
	host.call("host.freeTasks", []any{other, other})
	host.call("getTaskInfo", other)
	host.call("host.closeTask", other, r.answer(nil))
	admin.call("cancelTask", other)
}

func (r *run) failing(admin, host *conn) {
	r.step = "a module that fails"
	source := "git+https://git.example.org/hello.git#abcdef"
	failing := r.number(admin.call("moduleBuild", source, r.name("target"), map[string]any{"version": 7}))
	admin.call("assignTask", failing, r.conf.Host.User, named{"force": true})
	host.call("host.openTask", failing)
	id := map[string]any{"name": r.name("module"), "stream": "stable-1", "version": "7", "context": "1a2b3c4d"}
	host.call("host.moduleReserve", failing, map[string]any{"name": r.name("module"), "stream": "1", "version": "8", "context": "1a2b3c4d"})
	kept := host.call("host.moduleReserve", failing, id, map[string]any{"a": 1})
	host.call("host.failTask", failing, r.failure(1005, "no"))
	admin.call("getBuild", r.field(kept, "build_id"))
	resumed := r.number(admin.call("moduleBuild", source, r.name("target"), map[string]any{"version": 7, "resume": failing}))
	admin.call("assignTask", resumed, r.conf.Host.User, named{"force": true})
	host.call("host.openTask", resumed)
	host.call("host.moduleReserve", resumed)
	admin.call("cancelTask", resumed)
	admin.call("getBuild", r.field(kept, "build_id"))
	host.call("host.moduleReserve", resumed)
}

// scratch builds a module that is not kept, and one that is cancelled.
func (r *run) scratch(admin, host *conn) {
	r.step = "a scratch build"
	id := map[string]any{"name": r.name("module"), "stream": "stable-1", "version": "20240102030405", "context": "1a2b3c4d_1"}
	start := func() (int64, map[string]any) {
		task := r.number(admin.call("moduleBuild", "cli-build/"+r.conf.Prefix+"/module.yaml", r.name("target"), map[string]any{"scratch": true}))
		admin.call("assignTask", task, r.conf.Host.User, named{"force": true})
		host.call("host.openTask", task)
		m, _ := host.call("host.moduleReserve", task, id, map[string]any{}).(map[string]any)
		host.call("host.moduleTags", task, map[string]any{"packages": []any{"hello"}, "arches": []any{"x86_64"}})
		return task, m
	}
	task, reserved := start()
	host.call("host.moduleTags", task, map[string]any{"arches": []any{"s390x"}})
	begun := host.call("host.moduleRepo", task)
	dir := taskDir(task)
	host.sendChunk(dir+"/repodata", "repomd.xml", 0, false, []byte("<repomd/>"), false)
	finish := map[string]any{"repo_id": r.field(begun, "repo_id"), "repodata": map[string]any{"x86_64": []any{dir + "/repodata", []any{"repomd.xml"}}}}
	host.call("host.moduleFinish", task, finish)
	host.call("host.moduleFinish", task, finish)
	host.call("host.moduleReserve", task)
	admin.call("getTag", reserved["tag"])
	admin.call("repoInfo", r.field(begun, "repo_id"))
	host.call("host.closeTask", task, r.answer(nil))
	task, reserved = start()
	admin.call("cancelTask", task)
	admin.call("getTag", reserved["tag"])
}

// contexts are about a module build with a task for each context.
func (r *run) contexts(admin, host *conn) {
	r.step = "several contexts"
	task := r.number(admin.call("moduleBuild", "git+https://git.example.org/hello.git#abcdef", r.name("target"), map[string]any{}))
	admin.call("assignTask", task, r.conf.Host.User, named{"force": true})
	host.call("host.openTask", task)
	child := func(context string) int64 {
		params := map[string]any{"__method__": "moduleContext", "name": r.name("contexts"), "stream": "1", "version": "5", "context": context,
			"pin": map[string]any{"source": "x"}}
		id := r.number(host.call("host.subtask", "moduleContext", []any{params}, task, named{"label": "context:" + context, "assign": r.conf.Host.User}))
		host.call("host.openTask", id)
		return id
	}
	one, two := child("c0000001"), child("c0000002")
	host.call("host.moduleReserve", one)
	host.call("host.moduleReserve", one)
	host.call("host.moduleReserve", two, map[string]any{"name": r.name("contexts"), "stream": "1", "version": "5", "context": "c0000001"}, map[string]any{})
	kept := host.call("host.moduleReserve", two, nil, map[string]any{"time": 5})
	host.call("host.moduleTags", two, map[string]any{})
	host.call("host.failTask", task, r.failure(1000, "it has failed"))
	host.call("getTaskInfo", []any{one, two})
	host.call("host.moduleReserve", one)
	admin.call("getBuild", r.field(kept, "build_id"))
}

// metadata is what a content generator says about the module.
func (r *run) metadata(task int64, reserved map[string]any, modulemd []byte) []byte {
	id, _ := reserved["identity"].(map[string]any)
	build := map[string]any{
		"name": id["name"], "version": "stable_1", "release": fmt.Sprintf("%v.%v", id["version"], id["context"]), "epoch": nil,
		"build_id": reserved["build_id"], "task_id": task, "source": "git+https://git.example.org/hello.git#abcdef",
		"start_time": 1700000000, "end_time": 1700000100, "owner": r.conf.Admin.User,
		"extra": map[string]any{"typeinfo": map[string]any{"module": map[string]any{"name": id["name"], "stream": id["stream"], "version": id["version"],
			"context": id["context"], "content_koji_tag": reserved["tag"], "modulemd_str": string(modulemd)}}},
	}
	root := map[string]any{"id": 1, "content_generator": map[string]any{"name": "module-builder", "version": "1"},
		"host": map[string]any{"arch": "x86_64", "os": "linux"}, "container": map[string]any{"arch": "x86_64", "type": "none"},
		"components": []any{}, "tools": []any{}}
	output := map[string]any{"buildroot_id": 1, "arch": "noarch", "type": "file", "extra": map[string]any{"typeinfo": map[string]any{"module": map[string]any{}}},
		"filesize": len(modulemd), "checksum_type": "md5", "checksum": md5Hex(modulemd), "filename": "modulemd.txt", "components": []any{}}
	data, err := json.Marshal(map[string]any{"metadata_version": 0, "build": build, "buildroots": []any{root}, "output": []any{output}})
	if err != nil {
		r.fail(err)
	}
	return data
}
