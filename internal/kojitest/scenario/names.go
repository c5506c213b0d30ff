package scenario

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// names replaces what differs from one run to the next.
type names struct {
	conf Config
	seen map[string]map[int64]int // by kind, the ids and their numbers
}

// anyNumber is the kind of a number that may be anything.
const anyNumber = "number"

func newNames(conf Config) *names { return &names{conf: conf, seen: map[string]map[int64]int{}} }

// kinds of ids, by the member of a struct that has one.
var kinds = map[string]string{
	"parent": "task", "task_id": "task", "first_task": "task", "module.task": "task", "taskID": "task", "resume": "task",
	"host_id": "host", "owner": "user", "owner_id": "user", "user_id": "user", "channel_id": "channel",
	"tag_id": "tag", "build_tag_id": "tag", "build_tag": "tag", "dest_tag": "tag", "parent_id": "tag", "child_id": "tag",
	"build_id": "build", "package_id": "package", "repo_id": "repo", "buildroot_id": "buildroot",
	"create_event": "event", "creation_event_id": "event", "event_id": "event", "begin_event": "event", "end_event": "event",
	"query_event": "event", "event": "event",
	"perm_id": "perm", "cg_id": "content generator", "group_id": "group", "session-id": "session", "buildID": "build",
}

// ofMethod is the kind of the member "id" of a method's answers, and of an answer
// that is a number.
var ofMethod = map[string]string{
	"getTaskInfo": "task", "getTaskChildren": "task", "getTaskDescendents": "task", "listTasks": "task", "makeTask": "task", "host.subtask": "task",
	"host.openTask": "task", "host.getHostTasks": "task", "host.taskWait": "task", "moduleBuild": "task", "host.taskWaitResults": "task",
	"getTag": "tag", "createTag": "tag", "getBuildConfig": "tag", "listTags": "tag", "getBuild": "build", "findBuildID": "build",
	"listTagged": "build", "listBuilds": "build", "listTaggedRPMS": "rpm", "listRPMs": "rpm", "listBuildRPMs": "rpm", "getUser": "user",
	"getLoggedInUser": "user", "getChannel": "channel", "listChannels": "channel", "getBuildTarget": "target", "getBuildTargets": "target",
	"listBTypes": "build type", "repoInfo": "repo", "getRepo": "repo", "host.getID": "host",
	"getTaskResult": anyNumber,
}

// firstArg is the kind of the first argument, where that is a number.
var firstArg = map[string]string{
	"getTaskInfo": "task", "getTaskChildren": "task", "getTaskDescendents": "task", "getTaskResult": "task", "cancelTask": "task",
	"assignTask": "task", "host.openTask": "task", "host.closeTask": "task", "host.failTask": "task", "host.freeTasks": "task",
	"host.setTaskWeight": "task", "host.taskSetWait": "task", "host.taskWait": "task", "host.taskUnwait": "task", "host.taskWaitResults": "task",
	"listTaskOutput": "task", "downloadTaskOutput": "task", "host.moduleReserve": "task", "host.moduleTags": "task",
	"host.moduleTagBuild": "task", "host.moduleRepo": "task", "host.moduleFinish": "task", "repoInfo": "repo", "getRPMChecksums": "rpm",
	"getTag": "tag", "getBuild": "build", "listBuildRPMs": "build", "getUser": "user", "listPackages": "tag",
	"cancelTaskChildren": "task", "host.tagBuild": "task",
}

var (
	timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00:00$`)
	digits    = regexp.MustCompile(`\d+`)
	workPath  = regexp.MustCompile(`/\S*/work/`)
	onlyDigit = regexp.MustCompile(`^\d+$`)
	taskPath  = regexp.MustCompile(`tasks/\d+/\d+`)
	// The tag of a scratch build has its task's id in its name.
	scratchTag = regexp.MustCompile(`(scrmod-[^ ]*\+)\d+`)
	hexSum     = regexp.MustCompile(`^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$`)
)

func (n *names) id(kind string, id int64) any {
	if n.seen[kind] == nil {
		n.seen[kind] = map[int64]int{}
	}
	if n.seen[kind][id] == 0 {
		n.seen[kind][id] = len(n.seen[kind]) + 1
	}
	return fmt.Sprintf("%s %d", kind, n.seen[kind][id])
}

func (n *names) args(method string, args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		kind := ""
		if i == 0 {
			kind = firstArg[method]
		}
		if method == "host.subtask" && i == 2 || method == "host.taskSetWait" || method == "host.taskWaitResults" {
			kind = "task"
		}
		if method == "host.moduleTagBuild" && i == 1 {
			kind = "build"
		}
		if method == "setInheritanceData" || method == "login" && i > 1 {
			kind = ""
		}
		if method == "login" && i == 1 {
			out[i] = "PASSWORD"
			continue
		}
		out[i] = n.value(plainArg(a), "", kind)
	}
	return out
}

// plainArg takes an argument as it would come back from the wire.
func plainArg(a any) any {
	body, err := xmlrpc.EncodeResponse(a)
	if err != nil {
		return fmt.Sprint(a)
	}
	v, err := xmlrpc.DecodeResponse(body, xmlrpc.Limits{})
	if err != nil {
		return fmt.Sprint(a)
	}
	return v
}

func (n *names) result(method string, v any) any {
	switch method {
	case "getTaskChildren", "host.getHostTasks", "getTagGroups", "listPackages", "listBTypes", "listTaskOutput", "listRPMs", "listBuildRPMs":
		v = sorted(v)
	case "listTaggedRPMS":
		if pair, ok := v.([]any); ok && len(pair) == 2 {
			v = []any{sorted(pair[0]), pair[1]}
		}
	case "multiCall":
		return n.value(v, "", anyNumber)
	}
	if method == "listTaggedRPMS" {
		if pair, ok := v.([]any); ok && len(pair) == 2 {
			return []any{n.value(pair[0], "", "rpm"), n.value(pair[1], "", "build")}
		}
	}
	kind := ofMethod[method]
	_, isNumber := v.(int64)
	if list, ok := v.([]any); ok && (method == "host.taskWait" || method == "host.taskWaitResults") {
		for i := range list {
			if ids, ok := list[i].([]any); ok && method == "host.taskWait" {
				list[i] = sorted(ids)
			}
		}
		return n.value(list, "", kind)
	}
	if isNumber && method == "listTasks" {
		return v // how many there are
	}
	if isNumber && kind != "" && kind != anyNumber {
		return n.id(kind, v.(int64))
	}
	return n.value(v, "", kind)
}

// sorted puts a list into an order where Koji has none: by id, else by its text.
func sorted(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	list = slices.Clone(list)
	key := func(v any) string {
		m, ok := v.(map[string]any)
		if id, isID := v.(int64); isID {
			return fmt.Sprintf("%020d", id)
		}
		if !ok {
			return fmt.Sprint(v)
		}
		if nvr, ok := m["nvr"].(string); ok {
			return nvr + fmt.Sprint(m["arch"])
		}
		if name, ok := m["name"].(string); ok {
			return name + fmt.Sprint(m["arch"])
		}
		if id, ok := m["id"].(int64); ok {
			return fmt.Sprintf("%020d", id)
		}
		return fmt.Sprint(m)
	}
	slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(key(a), key(b)) })
	return list
}

// value replaces within a value that is the member key of a struct; kind is what a
// bare number, or a member "id", stands for.
func (n *names) value(v any, key, kind string) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = n.value(e, key, kind)
		}
		if key == "packagelist" {
			return sorted(out)
		}
		if key == "traceback" {
			return "TRACEBACK"
		}
		return out
	case map[string]any:
		return n.structure(v, kind)
	case int64:
		return n.integer(v, key, kind)
	case float64:
		if isTime(key) {
			return "SECONDS"
		}
	case string:
		return n.text(v, key)
	}
	return v
}

// structure goes through the members by their names, so that ids get the same
// numbers each time.
func (n *names) structure(m map[string]any, kind string) any {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := map[string]any{}
	_, isRPM := m["payloadhash"]
	for _, k := range keys {
		name, inner := k, ""
		if isRPM && (k == "size" || k == "buildtime") || k == "weight" && m["method"] == "buildArch" {
			out[k] = "NUMBER"
			continue
		}
		if k == "end_event" || k == "end_ts" {
			out[k] = "NONE OR SOME" // the hub looks for it now and then
			continue
		}
		if code := m["faultCode"]; k == "faultString" && (code == int64(1) || code == int64(1019)) {
			out[k] = "" // Python's words
			continue
		}
		if onlyDigit.MatchString(k) {
			var id int64
			fmt.Sscan(k, &id)
			name = n.id("task", id).(string)
			inner = "task"
		}
		if k == "id" {
			inner = kind
		}
		if k == "config_inheritance" || k == "extra" || k == "arches" {
			inner = "tag"
		}
		if k == "DEFAULT" || kind == "tag" && !slices.Contains([]string{"id"}, k) {
			inner = kind
		}
		out[n.replace(name)] = n.value(m[k], k, inner)
	}
	return out
}

func isTime(key string) bool {
	return strings.HasSuffix(key, "_ts") || key == "ts" || key == "mtime" || strings.HasPrefix(key, "st_")
}

func (n *names) integer(v int64, key, kind string) any {
	if k, ok := kinds[key]; ok {
		return n.id(k, v)
	}
	switch {
	case isTime(key):
		return "SECONDS"
	case kind == anyNumber && key == "":
		return "NUMBER"
	case (key == "id" || key == "") && kind != "":
		return n.id(kind, v)
	}
	return v
}

func (n *names) text(s, key string) any {
	switch {
	case key == "session-key":
		return "KEY"
	case timestamp.MatchString(s):
		return "TIME"
	case strings.HasPrefix(s, "<?xml"):
		return "XML"
	case key == "faultString":
		return digits.ReplaceAllString(n.replace(s), "N")
	case hexSum.MatchString(s):
		return "CHECKSUM"
	}
	return n.replace(s)
}

func (n *names) replace(s string) string {
	for name, role := range map[string]string{n.conf.Admin.User: "ADMIN", n.conf.User.User: "USER", n.conf.Host.User: "HOST"} {
		if s == name {
			return role
		}
	}
	s = strings.ReplaceAll(s, n.conf.Prefix, "RUN")
	s = scratchTag.ReplaceAllString(s, "${1}N")
	return taskPath.ReplaceAllString(s, "tasks/N/N")
}

// message is a refusal without what differs. Python's own words are left out.
func (n *names) message(f *xmlrpc.Fault) string {
	if f.Code == 1 || f.Code == 1019 {
		return ""
	}
	msg := strings.ReplaceAll(f.Message, n.conf.Prefix, "RUN")
	for name, role := range map[string]string{n.conf.Admin.User: "ADMIN", n.conf.User.User: "USER", n.conf.Host.User: "HOST"} {
		msg = strings.ReplaceAll(msg, name, role)
	}
	msg = workPath.ReplaceAllString(msg, "WORK/")
	return digits.ReplaceAllString(msg, "N")
}

// Marshal shows a recording as the files have it.
func Marshal(r Recording) ([]byte, error) {
	data, err := json.MarshalIndent(r, "", " ")
	return append(data, '\n'), err
}
