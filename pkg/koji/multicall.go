package koji

import (
	"context"
	"fmt"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// A MultiCall is several calls that are made as one, which saves the hub's time and
// ours. The hub makes them in one transaction, each within a savepoint: one that
// fails does not undo the others. The zero value is empty.
type MultiCall struct {
	calls   []map[string]any
	results []any
	errs    []error
}

// Add adds a call, as for Session.Call, and returns its number, from 0 on. result
// is set when Do has been called.
func (m *MultiCall) Add(method string, result any, args ...any) int {
	params := positional(args)
	if params == nil {
		params = []any{}
	}
	m.calls = append(m.calls, map[string]any{"methodName": method, "params": params})
	m.results = append(m.results, result)
	return len(m.calls) - 1
}

// Len returns how many calls there are.
func (m *MultiCall) Len() int { return len(m.calls) }

// Err returns the error of the call with number i after Do; nil where it succeeded.
func (m *MultiCall) Err(i int) error {
	if i < 0 || i >= len(m.errs) {
		return nil
	}
	return m.errs[i]
}

// Do makes the calls. Its error is that of the whole, or else that of the first
// call that failed; Err has each one's. It can be called once.
func (m *MultiCall) Do(ctx context.Context, s *Session) error {
	if m.errs != nil {
		return &CallError{Method: "multiCall", Err: fmt.Errorf("it was made already")}
	}
	m.errs = make([]error, len(m.calls))
	if len(m.calls) == 0 {
		return nil
	}
	var replies []any
	err := s.Call(ctx, "multiCall", &replies, m.calls)
	if err == nil && len(replies) != len(m.calls) {
		err = &CallError{Method: "multiCall", Attempts: 1,
			Err: fmt.Errorf("%w: %d results of %d calls", ErrBadReply, len(replies), len(m.calls))}
	}
	if err != nil {
		for i := range m.errs {
			m.errs[i] = err
		}
		return err
	}
	for i, reply := range replies {
		method := m.calls[i]["methodName"].(string)
		if m.errs[i] = s.one(method, m.results[i], reply); m.errs[i] != nil && err == nil {
			err = m.errs[i]
		}
	}
	return err
}

// one takes the reply to one call of several: a list of one value, or a fault.
func (s *Session) one(method string, result, reply any) error {
	switch reply := reply.(type) {
	case []any:
		if len(reply) == 1 {
			return put(method, result, reply[0])
		}
	case map[string]any:
		code, isCode := reply["faultCode"].(int64)
		msg, isText := reply["faultString"].(string)
		if isCode && isText {
			return &CallError{Method: method, Attempts: 1, Err: s.scrub(&xmlrpc.Fault{Code: code, Message: msg})}
		}
	}
	return &CallError{Method: method, Attempts: 1, Err: fmt.Errorf("%w: neither a result nor a fault", ErrBadReply)}
}
