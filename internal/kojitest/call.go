package kojitest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// upload stands for the content of a file, which is no method.
const upload = "rawUpload"

// maxRequest is MaxRequestLength of hub.conf.
const maxRequest = 4 << 20

// A call is one request being answered. The hub is locked.
type call struct {
	h         *Hub
	method    string
	session   *session // nil for nobody's
	user      *user    // nil unless logged in
	callnum   int64    // -1 for none
	exclusive bool
	wrote     bool  // changed the database
	stamp     int64 // event of this call, once it has one
	task      *task // that this call may change the tags of, for module builds
}

// A method is a function of the hub's, which binds its own parameters.
type method func(c *call, args []any, named map[string]any) (any, error)

// write says that the call changes the database: its number is kept.
func (c *call) write() { c.wrote = true }

// event returns the event of what the call changes: one for all.
func (c *call) event() int64 {
	c.write()
	if c.stamp == 0 {
		c.stamp = c.h.state.event()
	}
	return c.stamp
}

// handle makes a method of a function whose parameters are the fields of P, in
// their order, of which the first ones are required.
func handle[P any](required int, f func(*call, P) (any, error)) method {
	typ := reflect.TypeFor[P]()
	names := make([]string, typ.NumField())
	for i := range names {
		names[i] = typ.Field(i).Tag.Get("xmlrpc")
	}
	return func(c *call, args []any, named map[string]any) (any, error) {
		given := map[string]any{}
		if len(args) > len(names) {
			return nil, fault(errParameter, "%s() takes %d positional arguments but %d were given", c.method, len(names), len(args))
		}
		for i, a := range args {
			given[names[i]] = a
		}
		for k, v := range named {
			if _, twice := given[k]; twice {
				return nil, fault(errParameter, "%s() got multiple values for argument '%s'", c.method, k)
			}
			given[k] = v
		}
		for i, name := range names {
			if _, ok := given[name]; !ok && i < required {
				return nil, fault(errParameter, "%s() missing a required argument: '%s'", c.method, name)
			}
		}
		var p P
		for k := range named {
			if !slices.Contains(names, k) {
				return nil, fault(errParameter, "%s() got an unexpected keyword argument '%s'", c.method, k)
			}
		}
		if len(given) > 0 {
			if err := xmlrpc.Assign(&p, given); err != nil {
				return nil, fault(errParameter, "%s(): %v", c.method, err)
			}
		}
		return f(c, p)
	}
}

// methods returns all that the hub knows.
func methods() map[string]method {
	all := map[string]method{}
	for _, m := range []map[string]method{
		sessionMethods(), infoMethods(), taskMethods(), hostMethods(), outputMethods(), tagMethods(), inheritanceMethods(),
		packageMethods(), listingMethods(), buildMethods(), rpmMethods(), repoMethods(), moduleMethods(),
	} {
		for name, f := range m {
			all[name] = f
		}
	}
	return all
}

func (h *Hub) serveRPC(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "Method Not Allowed\nThis is an XML-RPC server. Only POST requests are accepted.", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	if err != nil {
		return // the client is gone, or is no client of Koji's
	}
	c := &call{h: h, method: upload, callnum: -1}
	var args []any
	if r.Header.Get("Content-Type") != "application/octet-stream" {
		if len(body) > maxRequest {
			http.Error(w, "Invalid request: Request too long", http.StatusBadRequest)
			return
		}
		if c.method, args, err = xmlrpc.DecodeCall(body, xmlrpc.Limits{}); err != nil {
			http.Error(w, "Invalid request: "+err.Error(), http.StatusBadRequest)
			return
		}
	}
	h.mu.Lock()
	f := h.troubles.next(c.method)
	h.mu.Unlock()
	if f != nil && h.before(w, f) {
		return
	}
	var reply []byte
	h.locked(func() {
		v, err := c.serve(r, args, body)
		reply = h.encode(v, err)
	})
	h.settle()
	h.answer(w, f, reply)
}

// before makes the trouble that happens before a request is looked at, and reports
// whether that was all.
func (h *Hub) before(w http.ResponseWriter, f *Fault) bool {
	delay := func(def time.Duration) time.Duration {
		if f.Delay > 0 {
			return f.Delay
		}
		return def
	}
	switch f.Kind {
	case Refuse:
		reset(w)
		h.net.shut(delay(20 * time.Millisecond))
	case ResetBefore:
		reset(w)
	case BadGateway:
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case ServerOffline:
		h.answer(w, nil, h.encode(nil, fault(errServerOffline, "server is offline")))
	case Garbage:
		fmt.Fprint(w, "<html><body>Welcome to this network. Please log in.</body></html>")
	case Slow:
		time.Sleep(delay(100 * time.Millisecond))
		return false
	case Expire:
		h.locked(h.expireAll)
		return false
	default:
		return false
	}
	return true
}

func (h *Hub) answer(w http.ResponseWriter, f *Fault, reply []byte) {
	w.Header().Set("Koji-Version", h.opts.Version)
	w.Header().Set("Content-Type", "text/xml")
	if f != nil {
		switch f.Kind {
		case ResetAfter:
			reset(w)
			return
		case BadGatewayAfter:
			w.Header().Del("Koji-Version")
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		case CutReply:
			w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
			_, _ = w.Write(reply[:len(reply)/2])
			_ = http.NewResponseController(w).Flush()
			reset(w)
			return
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	_, _ = w.Write(reply)
}

func (h *Hub) encode(v any, err error) []byte {
	var data []byte
	var f *xmlrpc.Fault
	if errors.As(err, &f) {
		data, err = xmlrpc.EncodeFault(*f)
	} else if err == nil {
		data, err = xmlrpc.EncodeResponse(v)
	}
	if err != nil {
		h.t.Errorf("the hub cannot say what it wants to: %v", err)
		data, _ = xmlrpc.EncodeFault(xmlrpc.Fault{Code: 1, Message: err.Error()})
	}
	return data
}

// serve makes one request, and keeps its number if it wrote.
func (c *call) serve(r *http.Request, args []any, body []byte) (any, error) {
	if c.method == upload {
		c.h.counts[upload]++
		if err := c.authenticate(r); err != nil {
			return nil, err
		}
		return c.upload(r, body)
	}
	authenticate := func() error { return c.authenticate(r) }
	var v any
	var err error
	if c.method == "multiCall" || c.method == "system.multicall" {
		v, err = c.multiCall(args, authenticate)
	} else {
		v, err = c.one(c.method, args, authenticate)
	}
	if err == nil && c.wrote && c.session != nil && c.callnum >= 0 {
		c.session.callnum = c.callnum
	}
	return v, err
}

// one makes one call. As in the real hub a method that does not exist is told
// before the session is looked at.
func (c *call) one(name string, args []any, authenticate func() error) (v any, err error) {
	c.h.counts[name]++
	defer func() {
		e := Event{Kind: CallMade, Method: name}
		if c.user != nil {
			e.User = c.user.name
		}
		var f *xmlrpc.Fault
		if errors.As(err, &f) {
			e.Fault = int(f.Code)
		}
		c.h.note(e)
	}()
	m, ok := c.h.methods[name]
	if !ok {
		return nil, fault(errGeneric, "Invalid method: %s", name)
	}
	if authenticate != nil {
		if err := authenticate(); err != nil {
			return nil, err
		}
	}
	c.method = name
	var named map[string]any
	if len(args) > 0 {
		last, ok := args[len(args)-1].(map[string]any)
		if star, _ := last["__starstar"].(bool); ok && star {
			named = map[string]any{}
			for k, v := range last {
				if k != "__starstar" {
					named[k] = v
				}
			}
			args = args[:len(args)-1]
		}
	}
	return m(c, args, named)
}

func (c *call) multiCall(args []any, authenticate func() error) (any, error) {
	c.h.counts["multiCall"]++
	if err := authenticate(); err != nil {
		return nil, err
	}
	var calls []struct {
		Name   string `xmlrpc:"methodName"`
		Params []any  `xmlrpc:"params"`
	}
	if len(args) != 1 {
		return nil, fault(errParameter, "multiCall() takes one argument")
	}
	if err := xmlrpc.Assign(&calls, args[0]); err != nil {
		return nil, fault(errParameter, "multiCall(): %v", err)
	}
	results := []any{}
	for _, each := range calls {
		// The hub's savepoint is a change of its own: the number of the whole is kept
		// even where all calls only read, or fail.
		c.write()
		v, err := c.one(each.Name, each.Params, nil)
		var f *xmlrpc.Fault
		if errors.As(err, &f) {
			results = append(results, map[string]any{"faultCode": f.Code, "faultString": f.Message, "traceback": []any{"Traceback\n"}})
		} else {
			results = append(results, []any{v})
		}
		c.stamp = 0
	}
	return results, nil
}
