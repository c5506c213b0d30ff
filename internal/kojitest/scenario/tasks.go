package scenario

import "github.com/kojimod/kojimod/internal/xmlrpc"

// answer is a task's result as a builder sends it.
func (r *run) answer(v any) string {
	data, err := xmlrpc.EncodeResponse(v)
	if err != nil {
		r.fail(err)
	}
	return string(data)
}

func (r *run) failure(code int64, message string) string {
	data, err := xmlrpc.EncodeFault(xmlrpc.Fault{Code: code, Message: message})
	if err != nil {
		r.fail(err)
	}
	return string(data)
}

// tasks makes a task for the host with children for it, too, so that nobody else
// runs them. It returns the task, which is open.
func (r *run) tasks(admin, host *conn) int64 {
	r.step = "a task"
	own := named{"assign": r.conf.Host.User}
	params := map[string]any{"__method__": "nothing", "source": "x", "opts": map[string]any{"scratch": true}}
	root := r.number(admin.call("makeTask", "nothing", []any{params}, own))
	host.call("getTaskInfo", root)
	host.call("getTaskInfo", root, true)
	host.call("getTaskInfo", 2000000000)
	host.call("getTaskInfo", 2000000000, named{"strict": true})
	host.call("getTaskInfo", []any{root, 2000000000}, named{"request": true})
	host.call("getTaskInfo", "x")
	host.call("host.subtask", "nothing", []any{}, root)
	host.call("host.openTask", root)
	host.call("host.openTask", root)
	host.call("host.setTaskWeight", root, 0.5)
	host.call("getTaskInfo", root)
	host.call("getTaskResult", root)
	host.call("getTaskResult", 2000000000)
	host.call("getTaskChildren", root)
	r.children(admin, host, root)
	return root
}

func (r *run) children(admin, host *conn, root int64) {
	r.step = "children"
	child := func(label string) int64 {
		return r.number(host.call("host.subtask", "nothing", []any{label}, root, named{"label": label, "assign": r.conf.Host.User}))
	}
	good, bad, cancelled := child("good"), child("bad"), child("cancelled")
	child("good")
	host.numbered(host.next-1, bothHeaders, "host.subtask", "nothing", []any{}, root, named{"label": "again", "assign": r.conf.Host.User})
	plain := r.number(host.call("host.subtask", "nothing", []any{}, named{"parent": root, "assign": r.conf.Host.User, "channel": "createrepo", "arch": "x86_64", "priority": 7}))
	host.call("host.subtask", "nothing", []any{}, root, named{"owner": 1})
	host.call("host.subtask", "nothing", []any{}, root, named{"channel": r.name("missing")})
	host.call("host.subtask", "nothing", []any{}, 2000000000)
	host.call("getTaskChildren", root, named{"request": true})
	host.call("getTaskInfo", plain)
	host.call("getTaskDescendents", root)
	r.waiting(admin, host, root, good, bad, cancelled)
	r.cancelling(admin, host, root, plain, good)
}

func (r *run) waiting(admin, host *conn, root, good, bad, cancelled int64) {
	r.step = "waiting"
	host.call("host.taskWait", root)
	host.call("host.taskSetWait", root, []any{good, bad})
	host.numbered(host.next-1, bothHeaders, "host.taskSetWait", root, []any{good, bad})
	host.call("host.taskWait", root)
	host.call("host.openTask", good)
	host.call("host.closeTask", good, r.answer(map[string]any{"n": 1, "s": "text", "none": nil}))
	host.call("host.closeTask", good, r.answer(nil))
	host.call("host.taskWait", root)
	host.numbered(host.next-1, bothHeaders, "host.taskWait", root)
	host.call("host.openTask", bad)
	host.call("host.failTask", bad, r.failure(1005, "it does not build"))
	host.call("host.taskSetWait", root, nil)
	admin.call("cancelTask", cancelled)
	host.call("host.taskWait", root)
	host.call("getTaskChildren", root)
	for _, id := range []int64{good, bad, cancelled} {
		host.call("getTaskResult", id)
		host.call("getTaskResult", id, false)
	}
	host.call("host.taskWaitResults", root, []any{good})
	host.call("host.taskWaitResults", root, []any{good, bad})
	host.call("host.taskWaitResults", root, []any{good, bad, cancelled}, []any{bad, cancelled})
	host.call("getTaskInfo", root)
}

func (r *run) cancelling(admin, host *conn, root, plain, good int64) {
	r.step = "cancelling"
	host.call("host.openTask", plain)
	grandchild := r.number(host.call("host.subtask", "nothing", []any{}, plain, named{"label": "x", "assign": r.conf.Host.User}))
	user := r.login("user", r.conf.User)
	user.call("cancelTask", plain)
	user.quiet("logout")
	admin.call("cancelTask", plain)
	admin.call("cancelTask", plain)
	admin.call("cancelTask", good)
	host.call("getTaskInfo", []any{plain, grandchild, good})
	host.call("host.closeTask", plain, r.answer(nil))
	host.call("host.subtask", "nothing", []any{}, plain)
	last := r.number(host.call("host.subtask", "nothing", []any{}, root, named{"label": "last", "assign": r.conf.Host.User}))
	host.call("host.openTask", last)
	inner := r.number(host.call("host.subtask", "nothing", []any{}, last, named{"label": "x", "assign": r.conf.Host.User}))
	admin.call("cancelTask", last, named{"recurse": false})
	host.call("getTaskInfo", []any{last, inner})
	admin.call("cancelTaskChildren", root)
	admin.call("listTasks", map[string]any{"parent": root, "decode": true}, map[string]any{"order": "id", "limit": 2})
	admin.call("listTasks", map[string]any{"parent": root, "state": []any{3}}, map[string]any{"countOnly": true})
	admin.call("listTasks", map[string]any{"parent": last})
	host.call("host.getHostTasks")
}

// uploads sends files to a task's directory.
func (r *run) uploads(host *conn, root int64) {
	r.step = "uploads"
	dir := taskDir(root)
	host.upload(dir, "module.log", 0, false, []byte("first "))
	host.upload(dir, "module.log", 0, false, []byte("first "))
	host.upload(dir, "module.log", 6, false, []byte("second"))
	host.upload(dir, "module.log", 6, false, []byte("second"))
	host.upload(dir, "module.log", 6, false, []byte("2"))
	host.upload(dir, "module.log", 6, true, []byte("2nd"))
	host.upload(dir, "module.log", -1, false, []byte("!"))
	host.upload(dir, "empty", 0, false, nil)
	host.upload(dir+"/sub", "file", 0, false, []byte("x"))
	host.upload(dir, "../x", 0, false, []byte("x"))
	host.upload("../x", "x", 0, false, []byte("x"))
	host.upload(taskDir(2000000000), "x", 0, false, []byte("x"))
	host.call("checkUpload", dir, "module.log", "adler32")
	host.call("checkUpload", dir, "module.log", named{"verify": "adler32", "tail": 3})
	host.call("checkUpload", dir, "module.log")
	host.call("checkUpload", dir, "missing")
	host.call("listTaskOutput", root)
	host.call("listTaskOutput", root, true)
	host.call("listTaskOutput", root, named{"all_volumes": true})
	host.call("listTaskOutput", root, named{"stat": true, "all_volumes": true})
	host.call("listTaskOutput", 2000000000)
	host.call("downloadTaskOutput", root, "module.log")
	host.call("downloadTaskOutput", root, "module.log", named{"offset": 2, "size": 4})
	host.call("downloadTaskOutput", root, "module.log", named{"offset": -4})
	host.call("downloadTaskOutput", root, "missing")
	user := r.login("user", r.conf.User)
	user.upload("cli-build/"+r.conf.Prefix, "file", 0, false, []byte("x"))
	user.upload(dir, "x", 0, false, []byte("x"))
	user.quiet("logout")
	host.upload("cli-build/"+r.conf.Prefix, "other", 0, false, []byte("x"))
	(&conn{r: r, who: "nobody"}).upload(dir, "x", 0, false, []byte("x"))
	host.call("host.closeTask", root, r.answer(nil))
}
