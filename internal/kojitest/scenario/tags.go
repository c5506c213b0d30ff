package scenario

// tags makes a platform, a parent of it, a destination and a target, and looks at
// them.
func (r *run) tags(admin *conn) {
	parent, platform, dest := r.name("parent"), r.name("platform"), r.name("dest")
	parentID := r.makeTags(admin, parent, platform, dest)
	r.step = "looking at tags"
	user := r.login("user", r.conf.User)
	r.lookAtTags(user, parentID, parent, platform, dest)
	r.lookAtLists(user, platform, dest)
	user.quiet("logout")
	r.changeTags(admin, platform, dest)
}

func (r *run) makeTags(admin *conn, parent, platform, dest string) int64 {
	r.step = "making tags"
	parentID := r.number(admin.call("createTag", parent, named{"arches": "x86_64", "extra": map[string]any{
		"module.platform": "platform:el9", "mock.package_manager": "dnf", "number": 5, "list": []any{"a", 1, nil}}}))
	admin.call("createTag", platform, parent, named{"extra": map[string]any{"module.platform": map[string]any{
		"module": "platform:el9", "disttag_marking": "el9"}}})
	admin.call("createTag", dest)
	admin.call("createTag", dest)
	admin.call("createTag", r.name("orphan"), r.name("no-parent"))
	admin.call("createBuildTarget", r.name("target"), platform, dest)
	admin.call("createBuildTarget", r.name("target"), platform, dest)
	admin.call("createBuildTarget", r.name("target-2"), platform, r.name("missing"))
	admin.call("packageListAdd", parent, "hello", r.conf.Admin.User)
	admin.call("packageListAdd", parent, "blocked", r.conf.Admin.User, true)
	admin.call("packageListAdd", dest, "hello")
	admin.call("groupListAdd", parent, "build")
	admin.call("groupPackageListAdd", parent, "build", "bash")
	admin.call("groupPackageListAdd", parent, "build", "rpm-build")
	return parentID
}

func (r *run) lookAtTags(user *conn, parentID int64, parent, platform, dest string) {
	user.call("createTag", r.name("not-allowed"))
	user.call("packageListAdd", dest, "other", r.conf.User.User)
	user.call("getTag", platform)
	user.call("getTag", parentID)
	user.call("getTag", r.name("missing"))
	user.call("getTag", r.name("missing"), true)
	user.call("getBuildConfig", platform)
	user.call("getBuildConfig", r.name("missing"))
	user.call("getInheritanceData", platform)
	user.call("getFullInheritance", platform)
	user.call("getFullInheritance", parent)
	user.call("listPackages", named{"tagID": platform, "inherited": true})
	user.call("listPackages", named{"tagID": platform})
	user.call("listPackages", parentID, named{"pkgID": "hello", "with_owners": false})
	user.call("checkTagPackage", platform, "hello")
	user.call("checkTagPackage", platform, "blocked")
	user.call("getTagGroups", platform)
	user.call("getTagGroups", platform, named{"inherit": false})
	user.call("getBuildTarget", r.name("target"))
	user.call("getBuildTarget", r.name("missing"))
	user.call("getBuildTarget", r.name("missing"), named{"strict": true})
	user.call("getBuildTargets", r.name("target"))
}

func (r *run) lookAtLists(user *conn, platform, dest string) {
	user.call("listTagged", dest)
	user.call("listTagged", r.name("missing"))
	user.call("listTaggedRPMS", dest)
	user.call("listBTypes", map[string]any{"name": "rpm"})
	user.call("listBTypes", map[string]any{"name": "no such"})
	user.call("getUser", r.conf.User.User)
	user.call("getUser", r.name("nobody"))
	user.call("getUser", r.name("nobody"), true)
	user.call("getUser")
	user.call("getChannel", "createrepo")
	user.call("getChannel", r.name("missing"))
	user.call("getBuild", "hello-0-0."+r.conf.Prefix)
	user.call("getBuild", "hello-0-0."+r.conf.Prefix, true)
	user.call("getBuild", "hello")
	user.call("getRepo", platform)
	user.call("repoInfo", 2000000000)
	user.call("repoInfo", 2000000000, true)
}

func (r *run) changeTags(admin *conn, platform, dest string) {
	r.step = "changing tags"
	destID := func() int64 { return r.field(admin.quiet("getTag", dest), "id") }
	before := r.field(admin.quiet("getLastEvent"), "id")
	admin.call("editTag2", platform, named{"arches": "x86_64 i686", "extra": map[string]any{"new": "value", "number": 6}})
	admin.call("editTag2", platform, named{"remove_extra": []any{"no such"}})
	admin.call("getTag", platform)
	admin.call("getTag", platform, named{"event": before})
	admin.call("getBuildConfig", platform)
	admin.call("editTag2", platform, named{"arches": "x86_64", "remove_extra": []any{"new"}})
	admin.call("setInheritanceData", platform, []any{map[string]any{"parent_id": destID(), "priority": 0,
		"maxdepth": nil, "intransitive": false, "noconfig": false, "pkg_filter": ""}})
	admin.call("setInheritanceData", platform, []any{map[string]any{"parent_id": destID(), "priority": 5,
		"maxdepth": 2, "intransitive": true, "noconfig": true, "pkg_filter": "h.*"}})
	admin.call("getInheritanceData", platform)
	admin.call("getFullInheritance", platform)
	admin.call("getBuildConfig", platform)
	admin.call("setInheritanceData", platform, []any{map[string]any{"parent_id": destID(), "delete link": true}})
	admin.call("getInheritanceData", platform)
}
