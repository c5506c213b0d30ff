package kojitest

type target struct {
	id          int64
	name        string
	build, dest *tag
}

// AddTarget makes a build target of two tags that exist.
func (h *Hub) AddTarget(name, buildTag, destTag string) {
	h.setUp(func(c *call) error {
		_, err := c.createBuildTarget(createTargetParams{Name: name, Build: buildTag, Dest: destTag})
		return err
	})
}

type createTargetParams struct {
	Name  string `xmlrpc:"name"`
	Build any    `xmlrpc:"build_tag"`
	Dest  any    `xmlrpc:"dest_tag"`
}

func (c *call) createBuildTarget(p createTargetParams) (any, error) {
	if err := c.needPerm("target"); err != nil {
		return nil, err
	}
	build, dest := c.h.state.tag(p.Build, 0), c.h.state.tag(p.Dest, 0)
	switch {
	case c.h.state.target(p.Name) != nil:
		return nil, fault(errGeneric, "A build target with the name '%s' already exists", p.Name)
	case build == nil:
		return nil, fault(errGeneric, "build tag '%v' does not exist", p.Build)
	case dest == nil:
		return nil, fault(errGeneric, "destination tag '%v' does not exist", p.Dest)
	}
	c.event()
	c.h.state.targets = append(c.h.state.targets, &target{c.h.state.next("target"), p.Name, build, dest})
	return nil, nil
}

func (s *state) target(info any) *target {
	for _, t := range s.targets {
		if info == t.name || info == t.id {
			return t
		}
	}
	return nil
}

func (t *target) info() map[string]any {
	return map[string]any{
		"id": t.id, "name": t.name, "build_tag": t.build.id, "build_tag_name": t.build.name,
		"dest_tag": t.dest.id, "dest_tag_name": t.dest.name,
	}
}

type targetParams struct {
	Info   any   `xmlrpc:"info"`
	Event  int64 `xmlrpc:"event"`
	Strict bool  `xmlrpc:"strict"`
}

func (c *call) getBuildTarget(p targetParams) (any, error) {
	if t := c.h.state.target(p.Info); t != nil {
		return t.info(), nil
	}
	if p.Strict {
		return nil, fault(errGeneric, "No such build target: %v", p.Info)
	}
	return nil, nil
}

type targetsParams struct {
	Info  any       `xmlrpc:"info"`
	Event int64     `xmlrpc:"event"`
	Build any       `xmlrpc:"buildTagID"`
	Dest  any       `xmlrpc:"destTagID"`
	Query queryOpts `xmlrpc:"queryOpts"`
}

func (c *call) getBuildTargets(p targetsParams) (any, error) {
	list := []any{}
	for _, t := range c.h.state.targets {
		if p.Info != nil && p.Info != t.name && p.Info != t.id ||
			p.Build != nil && c.h.state.tag(p.Build, 0) != t.build || p.Dest != nil && c.h.state.tag(p.Dest, 0) != t.dest {
			continue
		}
		list = append(list, t.info())
	}
	return p.Query.apply(list)
}
