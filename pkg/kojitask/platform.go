package kojitask

import (
	"context"
	"fmt"

	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// platformKey is the extra of a build tag that says which platform it is: text
// "platform:el9", or a struct of module (the same text), disttag_marking and
// repository.
const platformKey = "module.platform"

// A platform is what a build target stands for.
type platform struct {
	target   koji.BuildTarget
	arches   []string
	stream   string // of the module platform; empty where the tag does not say
	marking  string // in dist tags; empty: the stream
	repoBase string // where components without a repository come from; empty: nowhere
}

// platform looks at the build target that the user has named.
func (h *hub) platform(ctx context.Context, target string) (*platform, error) {
	var p platform
	var err error
	if p.target, err = h.BuildTarget(ctx, target); err != nil {
		return nil, fmt.Errorf("the build target %s: %w", target, err)
	}
	var config struct {
		Arches string         `xmlrpc:"arches"`
		Extra  map[string]any `xmlrpc:"extra"`
	}
	// Unlike getTag it knows what the tag inherits.
	if err := h.call(ctx, "getBuildConfig", &config, p.target.BuildTagName); err != nil {
		return nil, fmt.Errorf("the build tag %s: %w", p.target.BuildTagName, err)
	}
	p.arches = words(config.Arches)
	if len(p.arches) == 0 {
		return nil, input("", fmt.Sprintf("the build tag %s has no architectures: an administrator must set them (koji edit-tag --arches)", p.target.BuildTagName), nil)
	}
	return &p, p.setModule(config.Extra[platformKey])
}

func (p *platform) setModule(extra any) error {
	bad := func(what string) error {
		return input("", fmt.Sprintf("extra %s of the build tag %s %s: an administrator must set it to platform:STREAM, or to a struct of module, disttag_marking and repository",
			platformKey, p.target.BuildTagName, what), nil)
	}
	var name string
	switch e := extra.(type) {
	case nil:
		return nil
	case string:
		name = e
	case map[string]any:
		for key, to := range map[string]*string{"module": &name, "disttag_marking": &p.marking, "repository": &p.repoBase} {
			text, ok := e[key].(string)
			if _, there := e[key]; there && !ok {
				return bad("has no text in " + key)
			}
			*to = text
		}
	default:
		return bad("is no text")
	}
	m, err := modulebuild.ParseModuleStream(name)
	if err != nil || m.Name != modulebuild.PlatformModule {
		return bad(fmt.Sprintf("names the module %q", name))
	}
	p.stream = m.Stream
	return nil
}
