package kojitask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/internal/report"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

const reportName = "report.html"

// report puts a page about the build among the task's output, however it has
// ended. That it cannot be made is told in the log only.
func (m *module) report(ctx context.Context, outcomes []modulebuild.Outcome, result map[string]any, buildErr error) {
	if ctx.Err() != nil || expired(buildErr) {
		return
	}
	var page bytes.Buffer
	err := report.Write(&page, m.page(outcomes, result, buildErr))
	if err == nil {
		_, err = m.hub.Upload(ctx, koji.TaskDir(m.hub.task), reportName, bytes.NewReader(page.Bytes()), int64(page.Len()), koji.UploadOptions{})
	}
	if err != nil && ctx.Err() == nil {
		m.story.printf("there is no report: %v", err)
	}
}

func (m *module) page(outcomes []modulebuild.Outcome, result map[string]any, buildErr error) report.Build {
	id := m.plan.Identity
	page := report.Build{
		Title: id.Name + ":" + id.Stream, NSVCA: id.NSVC(), Result: "built", DistTag: "." + id.DistTag,
		Builder: "Koji", Started: m.started, Ended: m.opts.Now(),
		Facts: []report.Fact{
			{Name: "Task", Value: strconv.FormatInt(m.hub.task, 10), Href: m.webLink("taskinfo?taskID=", m.hub.task)},
			{Name: "Source", Value: m.pin.Source},
			{Name: "Target", Value: m.platform.target.Name},
			{Name: "Tag", Value: m.reserved.Tag},
		},
	}
	if m.plan.Platform != nil {
		page.Platform = m.plan.Platform.String()
	}
	for _, s := range m.requires.streams() {
		f := m.requires.found[s.Name]
		page.Facts = append(page.Facts, report.Fact{Name: "Built with", Value: strings.Join([]string{f.Name, f.Stream, f.Version, f.Context}, ":"),
			Href: m.webLink("buildinfo?buildID=", f.BuildID)})
	}
	if buildErr != nil {
		page.Result = "failed"
	} else {
		page.Facts = append(page.Facts, report.Fact{Name: "Repository", Value: fmt.Sprint(result["repo_url"]), Href: fmt.Sprint(result["repo_url"])})
		page.Usage, _ = result["install"].([]string)
		page.Warnings, _ = result["warnings"].([]string)
	}
	for i, o := range outcomes {
		page.Components = append(page.Components, m.reportComponent(i, o))
	}
	return page
}

// webLink is a page of koji-web, which usually stands beside the hub; empty where
// the hub is called otherwise.
func (t *task) webLink(page string, id int64) string {
	base, ok := strings.CutSuffix(strings.TrimRight(t.req.Hub, "/"), "/kojihub")
	if !ok {
		return ""
	}
	return base + "/koji/" + page + strconv.FormatInt(id, 10)
}

func (m *module) reportComponent(i int, o modulebuild.Outcome) report.Component {
	c := report.Component{Name: o.Component, State: string(o.State), Reason: o.Reason, Started: o.Started, Ended: o.Ended}
	for _, before := range m.plan.Graph.Before(i) {
		c.After = append(c.After, m.plan.Components[before].Name)
	}
	built := m.builder.component(o.Component)
	if built != nil {
		c.Links = append(c.Links,
			report.Link{Text: fmt.Sprintf("task %d", built.task), Href: m.webLink("taskinfo?taskID=", built.task)},
			report.Link{Text: built.build.NVR, Href: m.webLink("buildinfo?buildID=", built.build.ID)})
		for _, r := range built.rpms {
			link := report.Link{Text: path.Base(r.Package.Path)}
			if href, err := m.paths().RPM(r.Build, r.RPM); err == nil {
				link.Href = href
			}
			c.Packages = append(c.Packages, link)
		}
	}
	if o.Err != nil {
		c.Error = o.Err.Error()
		var failed *modulebuild.BuildError
		if errors.As(o.Err, &failed) {
			c.Error, c.LogTail = failed.Err.Error(), failed.Tail
			if strings.Contains(failed.Log, "://") {
				c.Links = append(c.Links, report.Link{Text: path.Base(failed.Log), Href: failed.Log})
			}
		}
	}
	return c
}

// component is what was built of a component; nil where it was not.
func (b *builder) component(name string) *component {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.built[name]
}
