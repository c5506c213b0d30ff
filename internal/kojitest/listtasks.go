package kojitest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

type listTasksParams struct {
	Opts  map[string]any `xmlrpc:"opts"`
	Query queryOpts      `xmlrpc:"queryOpts"`
}

// queryOpts are what all of Koji's lists can be told.
type queryOpts struct {
	CountOnly bool   `xmlrpc:"countOnly"`
	Order     string `xmlrpc:"order"`
	Limit     *int   `xmlrpc:"limit"`
	Offset    int    `xmlrpc:"offset"`
}

func (c *call) listTasks(p listTasksParams) (any, error) {
	for k := range p.Opts {
		if !slices.Contains([]string{"arch", "state", "owner", "host_id", "channel_id", "parent", "method", "createdAfter", "decode"}, k) {
			return nil, fault(errParameter, "this hub cannot list tasks by %s", k)
		}
	}
	decode, _ := p.Opts["decode"].(bool)
	list := []any{}
	for _, id := range slices.Sorted(maps.Keys(c.h.state.tasks)) {
		t := c.h.state.tasks[id]
		if !t.matches(p.Opts) {
			continue
		}
		m := t.info()
		m["owner_name"], m["owner_type"] = t.owner.name, t.owner.info()["usertype"]
		m["request"], m["result"] = t.request, nil
		if t.result != "" {
			m["result"] = t.result
		}
		if !decode {
			body, err := xmlrpc.EncodeCall(t.method, t.request...)
			if err != nil {
				return nil, unspecified("%v", err)
			}
			m["request"] = string(body)
		} else if t.result != "" {
			v, err := t.value(false)
			if err != nil {
				return nil, err
			}
			m["result"] = []any{v}
			if _, err := t.value(true); err != nil {
				m["result"] = v
			}
		}
		list = append(list, m)
	}
	return p.Query.apply(list)
}

func (t *task) matches(opts map[string]any) bool {
	in := func(key string, v any) bool {
		want, ok := opts[key]
		if !ok {
			return true
		}
		if list, ok := want.([]any); ok {
			return slices.Contains(list, v)
		}
		return want == v
	}
	nullable := func(id int64) any {
		if id == 0 {
			return nil
		}
		return id
	}
	var hostID int64
	if t.host != nil {
		hostID = t.host.id
	}
	after := true
	switch v := opts["createdAfter"].(type) {
	case float64:
		after = ts(t.made).(float64) > v
	case int64:
		after = ts(t.made).(float64) > float64(v)
	}
	return after && in("arch", t.arch) && in("state", int64(t.state)) && in("owner", t.owner.id) && in("host_id", nullable(hostID)) &&
		in("channel_id", t.channel) && in("parent", nullable(t.parent)) && in("method", t.method)
}

// apply orders and cuts a list. The rows that have no such column are an error.
func (q queryOpts) apply(list []any) (any, error) {
	if q.CountOnly {
		return len(list), nil
	}
	if q.Order != "" {
		key, desc := q.Order, false
		if key[0] == '-' {
			key, desc = key[1:], true
		}
		for _, row := range list {
			if _, ok := row.(map[string]any)[key]; !ok {
				return nil, fault(1, "<class 'Exception'>: Invalid order: %s", key)
			}
		}
		slices.SortStableFunc(list, func(a, b any) int {
			n := compare(a.(map[string]any)[key], b.(map[string]any)[key])
			if desc {
				return -n
			}
			return n
		})
	}
	list = list[min(max(q.Offset, 0), len(list)):]
	if q.Limit != nil {
		list = list[:min(max(*q.Limit, 0), len(list))]
	}
	return list, nil
}

func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
	}
	return cmp.Compare(repr(a), repr(b))
}
