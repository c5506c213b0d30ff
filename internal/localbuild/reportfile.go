package localbuild

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/atomicfile"
	"github.com/kojimod/kojimod/internal/fileurl"
	"github.com/kojimod/kojimod/internal/report"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// writeReport tells in report.html how the build went, however it ended.
func (o *output) writeReport(res *Result, builder string, started, ended time.Time, buildErr error) error {
	page := o.page(res, builder, started, ended, buildErr)
	file, err := atomicfile.Create(o.path("report.html"), 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := report.Write(file, page); err != nil {
		return err
	}
	if err := file.Commit(); err != nil {
		return err
	}
	res.Report = o.path("report.html")
	return nil
}

func (o *output) page(res *Result, builder string, started, ended time.Time, buildErr error) report.Build {
	plan := res.Plan
	id := plan.Identity
	page := report.Build{
		Title: id.Name + ":" + id.Stream, NSVCA: id.NSVCA(), Result: "built",
		DistTag: "." + id.DistTag, Builder: builder, Started: started, Ended: ended,
		Facts:    []report.Fact{{Name: "Version from", Value: plan.VersionFrom}},
		Warnings: res.Warnings,
	}
	if plan.Platform != nil {
		page.Platform = plan.Platform.String()
	}
	published := map[string]string{}
	switch {
	case errors.Is(buildErr, context.Canceled):
		page.Result = "interrupted"
	case buildErr != nil:
		page.Result = "failed"
	default:
		page.Usage = res.Usage()
		page.Facts = append(page.Facts,
			report.Fact{Name: "Repository", Value: "repo/", Href: report.FileHref("repo/")},
			report.Fact{Name: "Module metadata", Value: "modules.yaml", Href: report.FileHref("modules.yaml")})
		for file, where := range locations(res.Finished.Packages) {
			published[file] = path.Join("repo", where)
		}
	}
	for i, outcome := range res.Outcomes {
		page.Components = append(page.Components, o.component(plan, i, outcome, published))
	}
	return page
}

func (o *output) component(plan *modulebuild.Plan, i int, outcome modulebuild.Outcome, published map[string]string) report.Component {
	c := plan.Components[i]
	rc := report.Component{
		Name: c.Name, State: string(outcome.State), Reason: outcome.Reason,
		Started: outcome.Started, Ended: outcome.Ended,
	}
	if c.Taken != nil {
		rc.Started, rc.Ended = c.Taken.Started, c.Taken.Ended
	}
	for _, b := range plan.Graph.Before(i) {
		rc.After = append(rc.After, plan.Components[b].Name)
	}
	for _, log := range []string{"build.log", "root.log"} {
		name := path.Join("logs", c.Name, log)
		if _, err := os.Stat(o.path(filepath.FromSlash(name))); err == nil {
			rc.Links = append(rc.Links, report.Link{Text: log, Href: report.FileHref(name)})
		}
	}
	for _, pkg := range outcome.Packages {
		link := report.Link{Text: filepath.Base(pkg.Path)}
		if where, ok := published[pkg.Path]; ok {
			link.Href = report.FileHref(where)
		}
		rc.Packages = append(rc.Packages, link)
	}
	if outcome.Err != nil {
		rc.Error = outcome.Err.Error()
		var failed *modulebuild.BuildError
		if errors.As(outcome.Err, &failed) {
			rc.Error, rc.LogTail = failed.Err.Error(), failed.Tail
		}
	}
	return rc
}

// Usage gives shell lines that make dnf take the finished module.
func (r *Result) Usage() []string {
	id := r.Plan.Identity
	name := id.Name + "-" + id.Stream
	target := id.Name + ":" + id.Stream
	install := target
	if r.Finished != nil {
		install = r.Finished.Installable()
	}
	with := "--repofrompath=" + shellWord(name+","+fileurl.FromPath(r.Repo)) + " --setopt=" + shellWord(name+".gpgcheck=0")
	return []string{
		"dnf " + with + " module enable " + shellWord(target),
		"dnf " + with + " module install " + shellWord(install),
	}
}

func shellWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=+@%", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
