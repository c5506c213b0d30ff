package kojitask

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kojimod/kojimod/internal/source"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// sourceFinder says where components come from, as build tasks take it.
type sourceFinder struct {
	workDir  string
	repoBase string            // of the platform
	srpms    map[string]string // uploaded source packages by component
	log      *slog.Logger
}

// pinAtOnce is how many remotes are asked at the same time.
const pinAtOnce = 8

// pin fixes the sources of all components: a URL with a commit each, or an
// uploaded source package. All that is wrong is told at once.
func (f *sourceFinder) pin(ctx context.Context, plan *modulebuild.Plan) (map[string]string, error) {
	for name := range f.srpms {
		if plan.Doc.Components.RPMs[name] == nil {
			return nil, input("", fmt.Sprintf("a source package is given for %q, and the module has no such component", name), nil)
		}
	}
	found := make([]string, len(plan.Components))
	errs := make([]error, len(plan.Components))
	slots := make(chan struct{}, pinAtOnce)
	var wg sync.WaitGroup
	for i := range plan.Components {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() == nil {
				found[i], errs[i] = f.one(ctx, &plan.Components[i])
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sources := make(map[string]string, len(found))
	for i, c := range plan.Components {
		sources[c.Name] = found[i]
	}
	return sources, nil
}

func (f *sourceFinder) one(ctx context.Context, c *modulebuild.Component) (string, error) {
	if srpm, ok := f.srpms[c.Name]; ok {
		return srpm, nil
	}
	bad := func(msg string, err error) error {
		return input(c.Doc.Pos.String(), fmt.Sprintf("component %s: %s", c.Name, msg), err)
	}
	if len(c.Doc.Arches) > 0 {
		return "", bad("\"arches\" cannot be honoured: Koji builds a package for all architectures of the target that its spec allows; use ExclusiveArch or ExcludeArch in the spec", nil)
	}
	if c.Doc.Buildroot || c.Doc.SRPMBuildroot {
		return "", bad("\"buildroot\" and \"srpm-buildroot\" cannot be honoured: what buildroots hold from the start is settled before the first build; add BuildRequires to the specs", nil)
	}
	where := c.Doc.Repository
	if where == "" {
		if f.repoBase == "" {
			return "", bad("it has no repository, and the target has no place for components; write \"repository\", or give a source package", nil)
		}
		name := c.Name
		if c.Doc.Name != "" {
			name = c.Doc.Name
		}
		where = strings.TrimRight(f.repoBase, "/") + "/" + url.PathEscape(name)
	}
	if !strings.Contains(where, "://") {
		return "", bad(fmt.Sprintf("the repository %q is no URL; only what the user who asks for the build has uploaded can be built else", where), nil)
	}
	u, err := source.ParseURL(where)
	if err != nil {
		return "", bad("repository", err)
	}
	switch {
	case u.Scheme == "file":
		return "", bad("a repository on a builder's disk cannot be built from", nil)
	case c.Doc.Ref != "" && u.Ref != "" && u.Ref != c.Doc.Ref:
		return "", bad(fmt.Sprintf("the repository names the ref %q, \"ref\" says %q; leave one out", u.Ref, c.Doc.Ref), nil)
	case c.Doc.Ref != "":
		if err := source.CheckRef(c.Doc.Ref); err != nil {
			return "", bad("ref", err)
		}
		u.Ref = c.Doc.Ref
	}
	commit, err := f.commit(ctx, u)
	if err != nil {
		if source.IsBadInput(err) {
			return "", bad("its repository", err)
		}
		return "", fmt.Errorf("component %s: %w", c.Name, err)
	}
	u.Ref = commit
	return scmURL(u), nil
}

// commitAttempts is how often a remote is asked that does not answer.
const commitAttempts = 4

func (f *sourceFinder) commit(ctx context.Context, u source.GitURL) (string, error) {
	for attempt := 1; ; attempt++ {
		commit, err := source.ResolveCommit(ctx, u, f.workDir, source.Options{Log: f.log})
		if err == nil || source.IsBadInput(err) || attempt == commitAttempts || ctx.Err() != nil {
			return commit, err
		}
		f.log.Warn("a git remote did not answer; trying again", "error", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(attempt) * 2 * time.Second):
		}
	}
}

// scmURL writes a git URL as Koji's builders take it (SCM in koji/daemon.py).
func scmURL(u source.GitURL) string {
	s := u.String()
	if u.Scheme != "git" {
		s = "git+" + s
	}
	return s
}
