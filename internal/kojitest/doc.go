// Package kojitest is a Koji hub for tests: real HTTP and XML-RPC, sessions and
// their call numbers, tasks, uploads, tags, builds, repositories, and the calls of
// the hub's plugin for module builds, without a Koji.
//
//	hub := kojitest.New(t, kojitest.Options{})
//	hub.AddTag(kojitest.Tag{Name: "el9-build", Arches: "x86_64"})
//	hub.AddTag(kojitest.Tag{Name: "el9-modules"})
//	hub.AddTarget("el9", "el9-build", "el9-modules")
//	hub.Builds(func(ctx context.Context, b kojitest.Build) ([][]byte, error) {
//		return packagesFor(b.Source, b.Tag), nil // or b.Logs["build.log"] = …, and an error
//	})
//
//	task := hub.MakeTask("packager", "moduleBuild", map[string]any{…})
//	hub.Open(task, "builder1")
//	lent := hub.Lend("builder1")             // what a daemon lends to the task's handler
//	hub.Fault(kojitest.Fault{Kind: kojitest.ResetAfter, Method: "host.subtask", Nth: 2})
//	hub.Fault(kojitest.Fault{Kind: kojitest.BadGateway, Rate: 0.3})
//	…
//	hub.Count("host.subtask")
//	hub.Tasks(), hub.Tagged("el9-modules"), hub.RepoList(""), hub.Records()
//
// Tasks of methods that have a handler ([Hub.Handle], [Hub.Builds], [Hub.Repos]) are
// taken by a simulated builder and end when the handler returns; all others wait for
// the test, or for a client that acts as a host.
//
// A request changes all that it should or nothing; requests are served one after the
// other, as the real hub's are where they touch the same rows. What the hub answers is
// not what a client would like but what a real one says: see testdata/recordings and
// the package scenario beside this one, which makes the same calls to both.
//
// What it does not have it refuses with a ParameterError or "Invalid method", rather
// than to answer something: most of Koji's calls, filters of lists that nobody here
// uses, policies but for the defaults, and TLS.
package kojitest
