package kojitest

import "slices"

// infoMethods are about the hub itself, its users and its fixed lists.
func infoMethods() map[string]method {
	return map[string]method{
		"getAPIVersion":         handle(0, func(*call, struct{}) (any, error) { return 1, nil }),
		"getKojiVersion":        handle(0, func(c *call, _ struct{}) (any, error) { return c.h.opts.Version, nil }),
		"echo":                  func(_ *call, args []any, _ map[string]any) (any, error) { return append([]any{}, args...), nil },
		"getLoggedInUser":       handle(0, (*call).getLoggedInUser),
		"getUser":               handle(0, (*call).getUser),
		"getPerms":              handle(0, (*call).getPerms),
		"listBTypes":            handle(0, (*call).listBTypes),
		"getChannel":            handle(1, (*call).getChannel),
		"listChannels":          handle(0, (*call).listChannels),
		"getHost":               handle(1, (*call).getHost),
		"listHosts":             handle(0, (*call).listHosts),
		"scheduler.getHostData": handle(0, (*call).getHostData),
		"getLastEvent":          handle(0, (*call).getLastEvent),
		"system.listMethods": handle(0, func(c *call, _ struct{}) (any, error) {
			var names []any
			for name := range c.h.methods {
				names = append(names, name)
			}
			return names, nil
		}),
	}
}

func (u *user) info() map[string]any {
	usertype := 0
	if u.host != nil {
		usertype = 1
	}
	return map[string]any{"id": u.id, "name": u.name, "status": 0, "usertype": usertype, "krb_principals": []any{}}
}

func (c *call) getLoggedInUser(struct{}) (any, error) {
	if c.user == nil {
		return nil, nil
	}
	me := c.user.info()
	me["authtype"], me["krb_principal"] = 0, nil
	return me, nil
}

type userParams struct {
	User   any  `xmlrpc:"userInfo"`
	Strict bool `xmlrpc:"strict"`
}

func (c *call) getUser(p userParams) (any, error) {
	var found *user
	switch v := p.User.(type) {
	case nil:
		if found = c.user; found == nil {
			return nil, fault(errGeneric, "No user provided")
		}
	case int64:
		found = c.h.state.userByID(v)
	case string:
		found = c.h.state.user(v)
	default:
		return nil, fault(errGeneric, "Invalid type for userInfo: %T", v)
	}
	if found != nil {
		return found.info(), nil
	}
	if p.Strict {
		return nil, fault(errGeneric, "No such user: %s", repr(p.User))
	}
	return nil, nil
}

func (c *call) getPerms(struct{}) (any, error) {
	list := []any{}
	if c.user != nil {
		for _, p := range c.user.perms {
			list = append(list, p)
		}
	}
	return list, nil
}

// btypes are the kinds of builds: Koji's own, and the one for modules, which an
// administrator adds.
var btypes = [...]string{"rpm", "maven", "win", "image", "module"}

type btypeParams struct {
	Query map[string]any `xmlrpc:"query"`
	Opts  map[string]any `xmlrpc:"queryOpts"`
}

func (c *call) listBTypes(p btypeParams) (any, error) {
	list := []any{}
	for i, name := range btypes {
		id := int64(i + 1)
		if v, ok := p.Query["name"]; ok && v != name {
			continue
		}
		if v, ok := p.Query["id"]; ok && v != id {
			continue
		}
		list = append(list, map[string]any{"id": id, "name": name})
	}
	return list, nil
}

// channels are Koji's own, numbered from 1.
var channels = [...]string{"default", "createrepo", "maven", "livecd", "appliance", "vm", "image", "livemedia"}

func channelID(name any) (int64, bool) {
	switch v := name.(type) {
	case int64:
		return v, v > 0 && v <= int64(len(channels))
	case string:
		i := slices.Index(channels[:], v)
		return int64(i + 1), i >= 0
	}
	return 0, false
}

func channelInfo(id int64) any {
	return map[string]any{"id": id, "name": channels[id-1], "description": nil, "enabled": true, "comment": nil}
}

type channelParams struct {
	Info   any  `xmlrpc:"channelInfo"`
	Strict bool `xmlrpc:"strict"`
}

func (c *call) getChannel(p channelParams) (any, error) {
	if id, ok := channelID(p.Info); ok {
		return channelInfo(id), nil
	}
	if p.Strict {
		return nil, fault(errGeneric, "Invalid channelInfo: %v", p.Info)
	}
	return nil, nil
}

func (c *call) listChannels(struct{}) (any, error) {
	list := []any{}
	for i := range channels {
		list = append(list, channelInfo(int64(i+1)))
	}
	return list, nil
}

type eventParams struct {
	Before any  `xmlrpc:"before"`
	Strict bool `xmlrpc:"strict"`
}

func (c *call) getLastEvent(p eventParams) (any, error) {
	if p.Before != nil {
		return nil, fault(errParameter, "this hub knows the last event of all only")
	}
	id := len(c.h.state.stamps)
	if id == 0 {
		return nil, nil
	}
	return map[string]any{"id": id, "ts": ts(c.h.state.stamps[id-1])}, nil
}
