package kojitest

import "slices"

type tagBuildParams struct {
	Tag   any  `xmlrpc:"tag"`
	Build any  `xmlrpc:"build"`
	Force bool `xmlrpc:"force"`
}

func (c *call) tagBuildBypass(p tagBuildParams) (any, error) {
	if err := c.needPerm("tag"); err != nil {
		return nil, err
	}
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	b, err := c.needBuild(p.Build)
	if err != nil {
		return nil, err
	}
	return nil, c.tagBuild(t, b, c.user, p.Force)
}

type hostTagParams struct {
	Task  int64 `xmlrpc:"task_id"`
	Tag   any   `xmlrpc:"tag"`
	Build any   `xmlrpc:"build"`
	Force bool  `xmlrpc:"force"`
}

func (c *call) hostTagBuild(p hostTagParams) (any, error) {
	task, err := c.needTask(p.Task)
	if err != nil {
		return nil, err
	}
	b, err := c.needBuild(p.Build)
	if err != nil {
		return nil, err
	}
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	if !c.allows(t, b.name) {
		return nil, fault(errTag, "Package %s not in list for %v", b.name, p.Tag)
	}
	return nil, c.tagBuild(t, b, task.owner, p.Force)
}

// tagBuild is _direct_tag_build, with the guard of the hub's plugin before it.
func (c *call) tagBuild(t *tag, b *build, by *user, force bool) error {
	if err := c.guard(t, by); err != nil {
		return err
	}
	if b.state != buildComplete {
		return fault(errTag, "build %s not complete: state %s", b.nvr(), buildStates[b.state])
	}
	for _, l := range t.listing {
		if l.build != b || !l.at(0) {
			continue
		}
		if !force {
			return fault(errTag, "build %s already tagged (%s)", b.nvr(), t.name)
		}
		l.to = c.event()
	}
	t.listing = append(t.listing, &tagging{span{from: c.event()}, b, by})
	c.h.note(Event{Kind: BuildTagged, ID: b.id, Name: b.nvr(), Tag: t.name, User: by.name})
	return nil
}

func (c *call) untagBuild(p tagBuildParams) (any, error) {
	if err := c.needLogin(); err != nil {
		return nil, err
	}
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	b, err := c.needBuild(p.Build)
	if err != nil {
		return nil, err
	}
	if conf, _ := at(t.configs, 0); conf.perm != nil && !slices.Contains(c.user.perms, *conf.perm) {
		return nil, fault(errActionNotAllowed, "tag requires %s permission", *conf.perm)
	}
	if err := c.guard(t, c.user); err != nil {
		return nil, err
	}
	for _, l := range t.listing {
		if l.build == b && l.at(0) {
			l.to = c.event()
			return nil, nil
		}
	}
	return nil, fault(errTag, "build %s not in tag %s", b.nvr(), t.name)
}
