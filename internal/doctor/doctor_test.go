package doctor

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/internal/xmlrpc"
	"github.com/kojimod/kojimod/pkg/koji"
)

var update = flag.Bool("update", false, "write what doctor says now to testdata")

// A hub answers calls with what methods has: a value, an error, or a func of the
// arguments that returns one of these.
type hub struct {
	t       *testing.T
	methods map[string]any
	asked   map[string]int
}

// today is when the tests look.
var today = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

type (
	obj = map[string]any
	arr = []any
)

func fault(code int64, msg string) error { return &xmlrpc.Fault{Code: code, Message: msg} }

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	method, args, err := xmlrpc.DecodeCall(body, xmlrpc.Limits{})
	if err != nil {
		h.t.Error(err)
		return
	}
	h.asked[method]++
	answer, ok := h.methods[method]
	if !ok {
		answer = fault(1000, "Invalid method: "+method)
	}
	if f, ok := answer.(func([]any) any); ok {
		answer = f(args)
	}
	var data []byte
	switch v := answer.(type) {
	case *xmlrpc.Fault:
		data, err = xmlrpc.EncodeFault(*v)
	default:
		data, err = xmlrpc.EncodeResponse(v)
	}
	if err != nil {
		h.t.Errorf("%s: %v", method, err)
	}
	_, _ = w.Write(data)
}

// healthy is a hub on which a module was built by packager.
func healthy(t *testing.T) *hub {
	now := float64(today.Unix())
	return &hub{t: t, asked: map[string]int{}, methods: obj{
		"getKojiVersion":  "1.35.3",
		"getLoggedInUser": nil,
		"moduleStatus": obj{"version": "1", "problems": arr{}, "channel": "", "content_generator": "module-builder",
			"leftovers": obj{"tags": arr{}, "reservations": arr{}}},
		"listBTypes":     arr{obj{"id": 1, "name": "rpm"}, obj{"id": 9, "name": "module"}},
		"listCGs":        obj{"module-builder": obj{"id": 3, "users": arr{}}},
		"getBuildTarget": obj{"id": 1, "name": "mod", "build_tag": 2, "build_tag_name": "platform-build", "dest_tag": 3, "dest_tag_name": "dest"},
		"getBuildConfig": obj{"arches": "x86_64 aarch64", "extra": obj{"module.platform": "platform:el9"}},
		"getTag": func(args []any) any {
			tag := obj{"id": 3, "name": args[0], "arches": "", "perm": nil, "perm_id": nil, "locked": false, "extra": obj{}}
			if args[0] == "module-a-1-2-c-build" {
				tag["extra"] = obj{"module.task": 10}
			}
			return tag
		},
		"evalPolicy": policies(nil),
		"listTasks": func(args []any) any {
			switch opts := args[0].(obj); opts["method"] {
			case "moduleBuild":
				return arr{obj{"id": 10, "method": "moduleBuild", "state": 2}}
			case "newRepo":
				return arr{obj{"id": 8, "state": 5}, obj{"id": 7, "state": 5}, obj{"id": 6, "state": 2}}
			}
			return arr{}
		},
		"getTaskChildren":       arr{obj{"id": 11, "method": "build", "state": 2}},
		"getTaskRequest":        arr{"git+https://src.example.org/rpms/a#abc", nil, obj{"repo_id": 77}},
		"repoInfo":              obj{"id": 77, "tag_id": 4, "tag_name": "module-a-1-2-c-build"},
		"getChannel":            obj{"id": 1, "name": "default", "enabled": true},
		"listHosts":             arr{builder(1, "builder1", "x86_64 i386", now), builder(2, "builder2", "aarch64", now)},
		"scheduler.getHostData": arr{data(1, 10, "build", "moduleBuild", "moduleContext"), data(2, 20, "moduleBuild", "moduleContext")},
		"repo.queryQueue": func(args []any) any {
			if len(args[0].(arr)) == 2 { // active, and without a task
				return arr{}
			}
			return arr{obj{"id": 5, "tag_name": "platform-build", "create_ts": now - 300, "update_ts": now - 200, "task_id": 8}}
		},
		"repo.query": arr{obj{"id": 20, "tag_name": "t", "creation_ts": now - 30*86400, "state_ts": now - 20*86400}},
	}}
}

func builder(id int, name, arches string, seen float64) obj {
	return obj{"id": id, "name": name, "arches": arches, "ready": true, "update_ts": seen}
}

func data(id, maxjobs int, methods ...string) obj {
	return obj{"host_id": id, "data": obj{"maxjobs": maxjobs, "methods": methods}}
}

// policies are those of the document for administrators, with some replaced.
func policies(replaced map[string]any) func([]any) any {
	return func(args []any) any {
		name, data := args[0].(string), args[1].(obj)
		if v, ok := replaced[name]; ok {
			if f, ok := v.(func(obj) any); ok {
				return f(data)
			}
			return v
		}
		_, component := data["task_id"]
		switch name {
		case "module_build":
			return "deny you need the permission module-build"
		case "build_from_repo_id", "build_from_srpm":
			if component {
				return "allow"
			}
			return "deny not for you"
		case "build_rpm":
			if !component && data["build_tag"] == int64(4) {
				return "deny a module's"
			}
			return "allow"
		case "channel":
			if method := data["method"]; method == "moduleBuild" || method == "moduleContext" {
				return "use module"
			}
			return "req"
		}
		return "allow"
	}
}

// look runs doctor on a hub, anonymously.
func (h *hub) look(target string) ([]Finding, error) {
	h.t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	c, err := koji.New(srv.URL, koji.Options{RetryFor: -1, OfflineFor: -1})
	if err != nil {
		h.t.Fatal(err)
	}
	return run(h.t.Context(), Options{User: c.Anonymous(), Nobody: c.Anonymous(), Target: target}, func() time.Time { return today })
}

func TestHealthy(t *testing.T) {
	findings, err := healthy(t).look("mod")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&b, f)
		if f.Status == Fail || f.Status == Warn {
			t.Errorf("on a healthy hub: %v", f)
		}
	}
	file := filepath.Join("testdata", "healthy.txt")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each of these spoils one thing of the healthy hub, and is seen.
func TestBroken(t *testing.T) {
	now := float64(today.Unix())
	admin := obj{"getLoggedInUser": obj{"id": 9, "name": "boss"}, "getPerms": arr{"admin"}}
	with := func(more ...obj) obj {
		all := obj{}
		for _, m := range more {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	status := func(change obj) obj {
		s := healthy(t).methods["moduleStatus"].(obj)
		return obj{"moduleStatus": with(s, change)}
	}
	policy := func(name string, v any) obj { return obj{"evalPolicy": policies(obj{name: v})} }
	missing := func(name string) obj { return policy(name, fault(1000, "no such policy: "+name)) }
	byDefault := "deny Only admin can do this via default policy"
	kojira := func(ts float64, exclusive any) obj {
		return with(admin, obj{"listUsers": arr{obj{"id": 2, "name": "kojira"}}, "getSessionInfo": arr{
			obj{"id": 1, "master": nil, "exclusive": exclusive, "update_ts": now - 9000},
			obj{"id": 2, "master": 1, "exclusive": nil, "update_ts": ts},
		}})
	}
	for name, test := range map[string]struct {
		spoil obj    // methods; nil takes one away
		want  string // the beginning of a line
		then  string // its remedy, or a part of it
	}{
		"old hub":          {obj{"getKojiVersion": "1.34.1"}, "FAIL hub: Koji 1.34.1 is too old", "upgrade"},
		"a newer one":      {obj{"getKojiVersion": "2.0"}, "ok   hub: Koji 2.0", ""},
		"very old hub":     {obj{"getKojiVersion": nil}, "FAIL hub: the hub is older", "upgrade"},
		"no plugin":        {obj{"moduleStatus": nil}, "FAIL plugin: the hub has not loaded", "Plugins in hub.conf"},
		"other plugin":     {status(obj{"version": "2"}), `FAIL plugin: module_build speaks version "2"`, "one release"},
		"unusable plugin":  {status(obj{"problems": arr{"this Koji has no get_tag"}}), "FAIL plugin: module_build says: this Koji has no get_tag", "restart"},
		"plugin, offended": {status(obj{"problems": []any{"there is no build type module: …"}}), "ok   plugin:", ""},
		"no build type":    {obj{"listBTypes": arr{obj{"id": 1, "name": "rpm"}}}, "FAIL btype:", "koji call addBType module"},
		"no generator":     {obj{"listCGs": obj{}}, "ok   generator: the first build makes", ""},
		"left-over tags":   {status(obj{"leftovers": obj{"tags": arr{"module-x"}, "reservations": arr{"x-1-2.c"}}}), "warn leftovers: tags of module builds that have failed or were cancelled: module-x", "module-prune"},

		"no target":       {obj{"getBuildTarget": arr(nil)}, "FAIL target: the hub cannot say", "the hub's log"},
		"target, no such": {answersNil("getBuildTarget"), "FAIL target: there is no build target mod", "koji add-target"},
		"no arches":       {obj{"getBuildConfig": obj{"arches": nil, "extra": obj{}}}, "FAIL target: the build tag platform-build has no architectures", "--arches"},
		"no platform":     {obj{"getBuildConfig": obj{"arches": "x86_64", "extra": obj{}}}, "warn platform:", "-x module.platform=platform:STREAM"},
		"a bad platform":  {obj{"getBuildConfig": obj{"arches": "x86_64", "extra": obj{"module.platform": "el9"}}}, "FAIL platform:", "platform:STREAM"},
		"a platform of 9": {obj{"getBuildConfig": obj{"arches": "x86_64", "extra": obj{"module.platform": 9}}}, "FAIL platform:", "platform:STREAM"},
		"a platform's marking": {obj{"getBuildConfig": obj{"arches": "x86_64", "extra": obj{"module.platform": obj{"module": "platform:el9", "disttag_marking": 9}}}},
			"FAIL platform: extra module.platform of platform-build has no text in disttag_marking", ""},
		"locked":   {obj{"getTag": obj{"id": 3, "name": "dest", "locked": true, "extra": obj{}}}, "FAIL destination: dest is locked", "--unlock"},
		"reserved": {obj{"getTag": obj{"id": 3, "name": "dest", "perm": "el", "perm_id": 5, "locked": false, "extra": obj{}}}, "warn destination: only users with the permission el", "grant-permission el"},

		"no policy":            {missing("module_build"), "warn module_build: without this policy only administrators", "section [policy]"},
		"open policy":          {policy("module_build", "allow"), "warn module_build: everybody", ""},
		"a policy that is odd": {policy("module_build", fault(1, "Fault: no field")), "note policy: what module_build says of modules", "module_build"},
		"no rule":              {policy("module_build", nil), "ok   module_build: a user without permissions may not build modules (no rule applies)", ""},
		"not for me":           {with(policy("module_build", "deny Not yours"), obj{"getLoggedInUser": obj{"id": 5, "name": "me"}, "getPerms": arr{}}), "FAIL module_build: me may not build", "grant-permission"},
		"for administrators":   {with(missing("module_build"), obj{"getLoggedInUser": obj{"id": 5, "name": "me"}, "getPerms": arr{}}), "FAIL module_build: without this policy only administrators build modules, and me is none", ""},

		"components refused":      {policy("build_from_repo_id", "deny no"), "FAIL build_from_repo_id: a module's components are refused for users without permissions (no)", "module_component :: allow"},
		"repositories for all":    {policy("build_from_repo_id", "allow"), "warn build_from_repo_id: everybody may", ""},
		"builds by all":           {policy("build_rpm", "allow"), "warn build_rpm: components are allowed, and so is everybody's", "module_tag :: deny"},
		"source packages refused": {policy("build_from_srpm", byDefault), "warn build_from_srpm: a module's components are refused", "module_component :: allow"},
		"no policy for builds":    {missing("build_rpm"), "warn build_rpm: there is no such policy", "module_component"},
		"first module, default policy": {with(policy("build_from_repo_id", byDefault), obj{"listTasks": arr{}}),
			"FAIL build_from_repo_id: hub.conf has no such policy, and Koji's own allows administrators only", "module_component :: allow"},
		"first module, own policy": {obj{"listTasks": arr{}}, "ok   build_from_repo_id: it has a rule for a module's components, and refuses others (not for you)", ""},
		"first module, no rule": {with(obj{"listTasks": arr{}}, status(obj{"problems": arr{"the policy build_from_repo_id never asks module_component: …"}})),
			"FAIL build_from_repo_id: it has no rule with module_component: components are refused", "module_component :: allow"},
		"first module, builds refused": {with(obj{"listTasks": arr{}}, policy("build_rpm", "deny no")), "note build_rpm: others are refused (no)", "module_component :: allow"},
		"first module, builds":         {obj{"listTasks": arr{}}, "note build_rpm: everybody may build", "module_tag :: deny"},
		"pruned tag":                   {obj{"getTag": obj{"id": 3, "name": "x", "locked": false, "extra": obj{}}}, "ok   build_from_repo_id: it has a rule", ""},
		"imports refused":              {policy("cg_import", "deny only OSBS"), "warn cg_import: a user without permissions may not import modules (only OSBS)", "the policy cg_import"},
		"imports for all":              {admin, "ok   cg_import: boss and everybody else may import modules", ""},
		"no policy for tags":           {missing("tag"), "warn tag: there is no such policy", "module_tag :: deny"},
		"tagging refused":              {policy("tag", "deny frozen"), "warn tag: a user without permissions may not tag modules into dest (frozen)", ""},
		"tagging refused to me":        {with(admin, policy("tag", "deny frozen")), "FAIL tag: boss may not tag modules into dest (frozen)", ""},

		"no channel":           {obj{"getChannel": arr(nil)}, "FAIL channel:", ""},
		"channel, no such":     {answersNil("getChannel"), "FAIL channel: there is no channel module", "koji add-channel module"},
		"disabled channel":     {obj{"getChannel": obj{"id": 1, "name": "x", "enabled": false}}, "FAIL channel: the channel module is disabled", "enable-channel"},
		"policy without sense": {policy("channel", "parent"), `FAIL channel: the policy channel says "parent" of a task moduleBuild`, "hub.conf"},
		"plugin's channel":     {status(obj{"channel": "mod"}), "warn channel: the plugin asks for the channel mod, the policy sends module builds to module", "has req_channel :: req"},
		"empty channel":        {obj{"listHosts": arr{}}, "FAIL channel: no enabled builder is in the channel module", "add-host-to-channel"},
		"no kojid":             {obj{"listHosts": arr{away("b1", now-4000)}}, "FAIL channel: no builder of the channel module checks in: b1, last seen 66 minutes ago", "kojid"},
		"one kojid":            {obj{"listHosts": arr{away("b1", now-4000), builder(1, "builder1", "x86_64 aarch64", now)}}, "warn channel: of the channel module do not check in: b1", "disable-host"},
		"a busy kojid":         {obj{"listHosts": arr{away("b1", now)}}, "warn channel: no builder of the channel module takes tasks just now: b1", "kojid.log"},
		"no builder plugin":    {obj{"scheduler.getHostData": arr{data(1, 10, "build"), data(2, 10, "build")}}, "FAIL channel: no builder of the channel module has the plugin: builder1, builder2", "kojid.conf"},
		"one builder plugin":   {obj{"scheduler.getHostData": arr{data(1, 10, "moduleBuild"), data(2, 10, "build")}}, "warn channel: moduleBuild tasks go to the channel module: builder1; without the plugin: builder2", "take them out"},
		"silent builders":      {obj{"scheduler.getHostData": arr{}}, "note channel: what the builders of the channel module can do", "kojid.conf"},
		"few jobs":             {obj{"scheduler.getHostData": arr{data(1, 3, "moduleBuild"), data(2, 0, "moduleBuild")}}, "FAIL maxjobs: a module's task waits for its components, and needs maxjobs of 4 or more: builder1 has 3, builder2 has 0", "maxjobs = 10"},
		"four jobs":            {obj{"scheduler.getHostData": arr{data(1, 4, "moduleBuild"), data(2, 2, "moduleBuild")}}, "warn maxjobs: builder1 takes 1 module and as many contexts of 4, 2 are left for components; too few: builder2 has 2", "maxjobs = 10"},
		"no builder for arch":  {obj{"listHosts": arr{builder(1, "builder1", "x86_64", now)}}, "FAIL components: no builder of the channel default builds for aarch64", "koji edit-host"},
		"parent's channel": {policy("channel", func(d obj) any {
			if d["method"] == "build" {
				return "parent"
			}
			return "use module"
		}), "warn components: the policy channel keeps components", "has req_channel :: req"},

		"repositories fail": {obj{"listTasks": arr{obj{"id": 8, "state": 5}, obj{"id": 7, "state": 5}, obj{"id": 6, "state": 5}}}, "warn createrepo: the last 3 repositories", "koji taskinfo 8"},
		"requests wait":     {obj{"repo.queryQueue": arr{obj{"id": 5, "tag_name": "t", "create_ts": now - 3600, "update_ts": now - 3600, "task_id": nil}}}, "FAIL kojira: nobody looks at request 5 for a repository of t", "kojira"},
		"no requests":       {obj{"repo.queryQueue": arr{}}, "note kojira: nobody has asked", "kojira"},
		"kojira runs":       {kojira(now-5, true), "ok   kojira: it runs as kojira, seen 5 seconds ago", ""},
		"kojira hangs":      {kojira(now-7000, true), "FAIL kojira: kojira (kojira) was last seen 116 minutes ago", "kojira.log"},
		"kojira is not":     {kojira(now, nil), "FAIL kojira: none of kojira is logged in", "systemctl status kojira"},
		"no kojira":         {with(admin, obj{"listUsers": arr{}}), "FAIL kojira: no user has the permission repo", "grant-permission repo"},
		"short retention":   {obj{"repo.query": arr{obj{"id": 20, "tag_name": "t", "creation_ts": now - 9000, "state_ts": now - 1800}}}, "warn retention: the repository 20 of t lasted 2 hours", "repo_lifetime"},
		"no retention":      {obj{"repo.query": arr{}}, "note retention:", "repo_lifetime"},

		"offline":            {obj{"listBTypes": fault(1014, "database outage")}, "FAIL btype: the hub is offline", "ServerOffline"},
		"an escape sequence": {status(obj{"problems": arr{"a\u009b31mb\nc"}}), "FAIL plugin: module_build says: ab c", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := healthy(t)
			for method, answer := range test.spoil {
				switch a := answer.(type) {
				case nil:
					delete(h.methods, method)
				case nothing:
					h.methods[method] = nil
				case arr:
					h.methods[method] = a
				default:
					h.methods[method] = answer
				}
			}
			findings, err := h.look("mod")
			if (err != nil) != (name == "offline") {
				t.Errorf("error %v", err)
			}
			var all []string
			for _, f := range findings {
				if strings.HasPrefix(f.String(), test.want) && strings.Contains(f.Remedy, test.then) {
					return
				}
				all = append(all, f.String())
			}
			t.Errorf("not said: %s … %s\n%s", test.want, test.then, strings.Join(all, "\n"))
		})
	}
}

type nothing struct{}

// answersNil makes a method answer nil.
func answersNil(method string) obj { return obj{method: nothing{}} }

func away(name string, seen float64) obj {
	h := builder(1, name, "x86_64 aarch64", seen)
	h["ready"] = false
	return h
}

// A hub that goes away in the middle is said once, and nothing is asked of it any more.
func TestDown(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no hub":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html><p>welcome") },
		"no service": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; answer(w, r) }))
			defer srv.Close()
			c, err := koji.New(srv.URL, koji.Options{RetryFor: -1})
			if err != nil {
				t.Fatal(err)
			}
			findings, err := Run(t.Context(), Options{User: c.Anonymous(), Nobody: c.Anonymous()})
			if err == nil || len(findings) != 1 || findings[0].Status != Fail || findings[0].Remedy == "" || asked > 3 {
				t.Errorf("%v, %v after %d requests", findings, err, asked)
			}
		})
	}
}

// It changes nothing: every method that it calls is one that only reads.
func TestReadsOnly(t *testing.T) {
	h := healthy(t)
	h.methods["getLoggedInUser"], h.methods["getPerms"] = obj{"id": 9, "name": "boss"}, arr{"admin"}
	h.methods["listUsers"], h.methods["getSessionInfo"] = arr{obj{"id": 2, "name": "kojira"}}, arr{}
	if _, err := h.look("mod"); err != nil {
		t.Fatal(err)
	}
	for method := range h.asked {
		_, verb, ok := strings.Cut(method, ".")
		if !ok {
			verb = method
		}
		if !strings.HasPrefix(verb, "get") && !strings.HasPrefix(verb, "list") && !strings.HasPrefix(verb, "query") &&
			verb != "moduleStatus" && verb != "evalPolicy" && verb != "repoInfo" {
			t.Errorf("calls %s", method)
		}
	}
}

func TestFindingJSON(t *testing.T) {
	b, err := json.Marshal([]Finding{{Check: "hub", Status: OK, Text: "Koji 1.35"}, {Check: "a", Status: Fail, Text: "b", Remedy: "c"}})
	want := `[{"check":"hub","status":"ok","text":"Koji 1.35"},{"check":"a","status":"fail","text":"b","remedy":"c"}]`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
