package kojitest

type hostParams struct {
	Info   any  `xmlrpc:"hostInfo"`
	Strict bool `xmlrpc:"strict"`
}

func (c *call) getHost(p hostParams) (any, error) {
	h := c.h.state.host(p.Info)
	if h == nil {
		if p.Strict {
			return nil, fault(errGeneric, "Invalid hostInfo: %v", p.Info)
		}
		return nil, nil
	}
	return h.info(), nil
}

func (h *host) info() map[string]any {
	return map[string]any{
		"id": h.id, "user_id": h.user.id, "name": h.user.name, "update_ts": nil, "ready": true, "task_load": 0.0, "capacity": 2.0,
		"arches": "x86_64", "enabled": true, "description": nil, "comment": nil,
	}
}

type listHostsParams struct {
	Arches  any   `xmlrpc:"arches"`
	Channel any   `xmlrpc:"channelID"`
	Ready   *bool `xmlrpc:"ready"`
	Enabled *bool `xmlrpc:"enabled"`
	User    any   `xmlrpc:"userID"`
}

// listHosts returns all hosts: they are ready and enabled, in every channel.
func (c *call) listHosts(p listHostsParams) (any, error) {
	if p.Arches != nil {
		return nil, fault(errParameter, "this hub does not list hosts by architecture")
	}
	if _, ok := channelID(p.Channel); p.Channel != nil && !ok {
		return nil, fault(errGeneric, "No such entry in table channels: %v", p.Channel)
	}
	list := []any{}
	for _, u := range c.h.state.users {
		if u.host != nil && (p.Ready == nil || *p.Ready) && (p.Enabled == nil || *p.Enabled) && (p.User == nil || p.User == u.id || p.User == u.name) {
			list = append(list, u.host.info())
		}
	}
	return list, nil
}

type hostDataParams struct {
	Host *int64 `xmlrpc:"hostID"`
}

// getHostData returns what the daemons have told the scheduler.
func (c *call) getHostData(p hostDataParams) (any, error) {
	list := []any{}
	for _, u := range c.h.state.users {
		if u.host != nil && (p.Host == nil || *p.Host == u.host.id) {
			list = append(list, map[string]any{"host_id": u.host.id, "data": map[string]any{"maxjobs": 10, "methods": []any{"build", "buildArch", "newRepo"}}})
		}
	}
	return list, nil
}
