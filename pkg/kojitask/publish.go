package kojitask

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// publishAttempts is how often the repository is made again because somebody has
// changed the module's tag meanwhile.
const publishAttempts = 3

// publish makes the module's repository and build record, and has the hub publish
// both together.
func (m *module) publish(ctx context.Context, outcomes []modulebuild.Outcome) (map[string]any, error) {
	began := m.opts.Now()
	m.story.printf("all components are built; making the repository")
	var finished *finishedModule
	var done published
	var err error
	for attempt := 1; ; attempt++ {
		if finished, done, err = m.publishOnce(ctx, outcomes); err == nil {
			break
		}
		if attempt == publishAttempts || !isStale(err) {
			return nil, err
		}
		m.story.printf("the module's tag was changed, and the repository with it; making another: %v", err)
	}
	for _, w := range finished.Warnings {
		m.story.printf("warning: %s", w)
	}
	m.story.printf("published %s: repository %d%s; took %s since the last component", done.NVR, done.RepoID,
		taggedIn(done), strings.TrimPrefix(elapsed(m.opts.Now().Sub(began)), "+"))
	m.story.printf("%d calls of the hub for %d components", m.hub.Callnum()-m.req.Session.Callnum, len(m.plan.Components))
	return m.result(done, finished.Install, finished.Warnings), nil
}

// isStale tells the hub's refusal of a repository that is older than the last
// change of its tag.
func isStale(err error) bool {
	var f *koji.Fault
	return errors.As(err, &f) && f.Code == koji.ErrGeneric && strings.Contains(f.Message, "make another")
}

func (m *module) publishOnce(ctx context.Context, outcomes []modulebuild.Outcome) (*finishedModule, published, error) {
	// Nothing that happens to the module's tag may come after this.
	repo, err := m.hub.makeRepo(ctx)
	if err != nil {
		return nil, published{}, fmt.Errorf("beginning the module's repository: %w", err)
	}
	in := finishInput{
		Plan: m.plan, Outcomes: outcomes, RPMs: m.builder.packages(), Arches: m.tags.Arches,
		Dir: filepath.Join(m.req.WorkDir, "publish"), TaskID: m.hub.task, Tag: m.reserved.Tag,
		Started: m.started, Ended: m.opts.Now(),
		Source: m.req.Source.Pinned, Commit: m.doc.commit, SourceText: m.doc.text,
		Requires: m.required(), BuildLog: m.story.path, Scratch: m.params.Scratch,
		DefaultProfiles: m.ctx.defaultProfiles, Version: m.opts.Version,
	}
	if m.reserved.BuildID != nil {
		in.BuildID = *m.reserved.BuildID
	}
	if err := os.RemoveAll(in.Dir); err != nil {
		return nil, published{}, err
	}
	if err := os.MkdirAll(in.Dir, 0o777); err != nil {
		return nil, published{}, err
	}
	finished, err := finishModule(ctx, in)
	if err != nil {
		return nil, published{}, err
	}
	// The report comes first: when the module is published the task is all but over,
	// and a run that starts over then has nothing left to report about.
	m.report(ctx, outcomes, m.result(published{
		BuildID: m.reserved.BuildID, NVR: m.reserved.NVR, Tag: m.reserved.Tag, RepoID: repo.ID,
	}, finished.Install, finished.Warnings), nil)
	done, err := m.send(ctx, repo, finished)
	return finished, done, err
}

func taggedIn(p published) string {
	if p.BuildID == nil {
		return ""
	}
	return fmt.Sprintf(", build %d in tag %s", *p.BuildID, p.DestTag)
}

func (m *module) required() map[string]requiredModule {
	all := map[string]requiredModule{}
	for name, f := range m.requires.found {
		all[name] = requiredModule{Stream: f.Stream, Version: f.Version, Context: f.Context, Ref: f.Ref, Tag: f.Tag}
	}
	if p := m.plan.Platform; p != nil {
		// The platform is no build; this is how the Module Build Service names one.
		all[p.Name] = requiredModule{Stream: p.Stream, Version: "1", Context: "00000000", Tag: m.platform.target.BuildTagName}
	}
	return all
}

// send uploads what was made and has it published. Each attempt has a directory of
// its own: of an upload that was imported the hub leaves links behind.
func (m *module) send(ctx context.Context, repo moduleRepo, f *finishedModule) (published, error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	base := koji.TaskDir(m.hub.task) + "/publish-" + hex.EncodeToString(random[:])
	repodata := map[string]any{}
	for _, arch := range slices.Sorted(maps.Keys(f.Repodata)) {
		dir := base + "/" + arch
		if err := m.upload(ctx, dir, f.Repodata[arch]); err != nil {
			return published{}, err
		}
		repodata[repoArch(arch)] = []any{dir, f.Repodata[arch].Files}
	}
	finish := map[string]any{"repo_id": repo.ID, "repodata": repodata}
	if f.Import != nil {
		dir := base + "/import"
		if err := m.upload(ctx, dir, *f.Import); err != nil {
			return published{}, err
		}
		finish["directory"] = dir
	}
	done, err := m.hub.finish(ctx, finish)
	if err != nil {
		return published{}, fmt.Errorf("publishing the module: %w", err)
	}
	return done, nil
}

func (m *module) upload(ctx context.Context, dir string, files uploadDir) error {
	for _, name := range files.Files {
		f, err := os.Open(filepath.Join(files.Path, name))
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err == nil {
			_, err = m.hub.Upload(ctx, dir, name, f, info.Size(), koji.UploadOptions{})
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("uploading %s: %w", name, err)
		}
	}
	return nil
}

// result is what the task returns, and koji-web shows.
func (m *module) result(p published, install string, warnings []string) map[string]any {
	id := m.reserved.Identity
	result := map[string]any{
		"nvr": p.NVR, "module": strings.Join([]string{id.Name, id.Stream, id.Version, id.Context}, ":"), "tag": p.Tag,
		"components": len(m.ctx.doc.Components.RPMs), "warnings": nonNil(warnings),
	}
	if p.BuildID != nil {
		result["build_id"] = *p.BuildID
	}
	if p.RepoID == 0 { // it is gone already
		return result
	}
	result["repo_id"] = p.RepoID
	if dir, err := m.paths().Repo(p.Tag, p.RepoID); err == nil {
		result["repo_url"] = dir
		result["install"] = usage(id, dir, install)
	}
	return result
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// usage gives the lines that make dnf take the module from its repository.
func usage(id identity, dir, install string) []string {
	name := id.Name + "-" + id.Stream
	if !strings.Contains(dir, "://") {
		dir = "file://" + dir
	}
	with := fmt.Sprintf("dnf --repofrompath=%s,%s/\\$basearch --setopt=%s.gpgcheck=0", name, dir, name)
	return []string{
		with + " module enable " + id.Name + ":" + id.Stream,
		with + " module install " + install,
	}
}
