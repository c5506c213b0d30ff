package koji

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/adler32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// A fakeHub answers as Koji's hub does where sessions, numbers of calls and
// uploads are concerned (kojihub/auth.py, kojihub.handle_upload).
type fakeHub struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	sessions map[int64]*fakeSession
	last     int64
	done     []string // the calls that changed something, in order
	seen     []string // "METHOD NUMBER" of every request
	faults   []trouble
	files    map[string][]byte
	methods  map[string]func(args []any) (any, error)
	debug    bool // faults have the session's key in them
}

type fakeSession struct {
	key     string
	callnum int64 // of the last call that changed something; -1 for none
	expired bool
	master  int64
}

// A trouble is what happens to the next request of a method ("" for any).
type trouble struct {
	method string
	kind   string // "refuse", "lose", an HTTP status, "offline", "garbage", "expire", "expire after"
}

func newFakeHub(t *testing.T) *fakeHub {
	h := &fakeHub{t: t, sessions: map[int64]*fakeSession{}, files: map[string][]byte{}, methods: map[string]func([]any) (any, error){}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

// client returns a client of the hub that does not really sleep.
func (h *fakeHub) client(opts Options) *Client {
	h.t.Helper()
	c, err := New(h.URL+"/kojihub", opts)
	if err != nil {
		h.t.Fatal(err)
	}
	fakeTime(c)
	return c
}

func (h *fakeHub) login(opts Options) *Session {
	h.t.Helper()
	s, err := h.client(opts).LoginPassword(h.t.Context(), "user", "s3cret-password")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(s.Close)
	return s
}

func (h *fakeHub) trouble(list ...trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, list...)
}

func (h *fakeHub) changes() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.done...)
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
		return
	}
	method, args := "rawUpload", []any(nil)
	if r.URL.Query().Get("filename") == "" {
		if method, args, err = xmlrpc.DecodeCall(body, xmlrpc.Limits{}); err != nil {
			h.t.Errorf("bad request: %v\n%s", err, body)
			return
		}
	}
	h.seen = append(h.seen, method+" "+r.Header.Get("Koji-Session-Callnum"))
	if a, b := r.Header.Get("Koji-Session-Callnum"), r.Header.Get("Koji-Callnum"); a != b {
		h.t.Errorf("%s: call numbers %q and %q", method, a, b)
	}
	kind := h.next(method)
	switch kind {
	case "refuse":
		abort(w)
		return
	case "500", "502", "503", "504", "400", "403":
		status, _ := strconv.Atoi(kind)
		http.Error(w, "<html>the proxy's\nwords</html>", status)
		return
	case "redirect":
		http.Redirect(w, r, "https://elsewhere.example.org/kojihub", http.StatusMovedPermanently)
		return
	case "offline":
		h.reply(w, nil, &xmlrpc.Fault{Code: 1014, Message: "server is offline"})
		return
	case "garbage":
		fmt.Fprint(w, "<html>welcome to this airport</html>")
		return
	case "expire":
		for _, s := range h.sessions {
			s.expired = true
		}
	}
	v, err := h.serve(r, method, args, body)
	switch kind {
	case "lose":
		abort(w)
	case "lose and expire":
		for _, s := range h.sessions {
			s.expired = true
		}
		abort(w)
	case "lose 502":
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case "cut":
		data, _ := xmlrpc.EncodeResponse(v)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		abort(w)
	default:
		h.reply(w, v, err)
	}
}

// next takes the first trouble that is meant for a method.
func (h *fakeHub) next(method string) string {
	for i, f := range h.faults {
		if f.method == "" || f.method == method {
			h.faults = append(h.faults[:i:i], h.faults[i+1:]...)
			return f.kind
		}
	}
	return ""
}

func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func (h *fakeHub) reply(w http.ResponseWriter, v any, err error) {
	var data []byte
	if f, ok := err.(*xmlrpc.Fault); ok {
		data, err = xmlrpc.EncodeFault(*f)
	} else if err == nil {
		data, err = xmlrpc.EncodeResponse(v)
	}
	if err != nil {
		h.t.Error(err)
		return
	}
	w.Header().Set("Koji-Version", "1.35.3")
	_, _ = w.Write(data)
}

func fault(code FaultCode, format string, args ...any) error {
	return &xmlrpc.Fault{Code: int64(code), Message: fmt.Sprintf(format, args...)}
}

// serve does what Session.__init__ and the dispatcher of the hub do.
func (h *fakeHub) serve(r *http.Request, method string, args []any, body []byte) (any, error) {
	var s *fakeSession
	num := int64(-1)
	if hdr := r.Header.Get("Koji-Session-Id"); hdr != "" {
		id, _ := strconv.ParseInt(hdr, 10, 64)
		s = h.sessions[id]
		if s == nil || s.key != r.Header.Get("Koji-Session-Key") {
			return nil, fault(ErrAuth, "Invalid session or bad credentials")
		}
		if s.expired && method != "login" && method != "sslLogin" {
			return nil, fault(ErrAuthExpired, "session %q has expired", hdr)
		}
		if c := r.Header.Get("Koji-Session-Callnum"); c != "" {
			num, _ = strconv.ParseInt(c, 10, 64)
			if s.callnum > num {
				return nil, fault(ErrSequence, "%d > %d (session %s)", s.callnum, num, hdr)
			}
			if s.callnum == num {
				return nil, fault(ErrRetry, "unable to retry call %d (method %s) for session %s", num, method, hdr)
			}
		}
	}
	return h.dispatch(r, s, num, method, args, body)
}

func (h *fakeHub) dispatch(r *http.Request, s *fakeSession, num int64, method string, args []any, body []byte) (any, error) {
	switch method {
	case "sslLogin":
		cert := r.TLS != nil && len(r.TLS.PeerCertificates) > 0
		if r.URL.Path != "/kojihub/ssllogin" || !cert && r.Header.Get("Authorization") != "Negotiate abc" {
			return nil, fault(ErrAuth, "could not verify client: NONE")
		}
		if s != nil {
			s.key, s.expired = s.key+"+", false
			id, _ := strconv.ParseInt(r.Header.Get("Koji-Session-Id"), 10, 64)
			return h.info(id), nil
		}
		return h.create(0), nil
	case "login":
		if args[1] != "s3cret-password" {
			return nil, fault(ErrAuth, "invalid username or password; debug: %v", args[1])
		}
		named, _ := args[len(args)-1].(map[string]any)
		if renew, _ := named["renew"].(bool); renew && s != nil {
			if s.master != 0 && h.sessions[s.master] == nil {
				return nil, nil
			}
			s.key, s.expired = s.key+"+", false
			id, _ := strconv.ParseInt(r.Header.Get("Koji-Session-Id"), 10, 64)
			return h.info(id), nil
		}
		return h.create(0), nil
	case "rawUpload":
		return h.upload(r, body)
	}
	if s == nil {
		return h.call(method, args)
	}
	switch method {
	case "change": // changes something, so that its number is stored
		s.callnum = num
		h.done = append(h.done, fmt.Sprint(args[0]))
		return int64(len(h.done)), nil
	case "subsession":
		s.callnum = num
		id, _ := strconv.ParseInt(r.Header.Get("Koji-Session-Id"), 10, 64)
		return h.create(id), nil
	case "logout":
		id, _ := strconv.ParseInt(r.Header.Get("Koji-Session-Id"), 10, 64)
		delete(h.sessions, id)
		return nil, nil
	case "fail":
		msg := "no"
		if h.debug {
			msg += ": self.key = " + s.key
		}
		return nil, fault(ErrPreBuild, "%s", msg)
	}
	return h.call(method, args)
}

func (h *fakeHub) call(method string, args []any) (any, error) {
	switch method {
	case "echo":
		return args, nil
	case "multiCall":
		var out []any
		for _, c := range args[0].([]any) {
			m := c.(map[string]any)
			v, err := h.call(m["methodName"].(string), m["params"].([]any))
			if f, ok := err.(*xmlrpc.Fault); ok {
				out = append(out, map[string]any{"faultCode": f.Code, "faultString": f.Message, "traceback": []any{"x"}})
				continue
			}
			out = append(out, []any{v})
		}
		return out, nil
	}
	if f := h.methods[method]; f != nil {
		return f(args)
	}
	return nil, fault(ErrGeneric, "Invalid method: %s", method)
}

func (h *fakeHub) create(master int64) any {
	h.last++
	h.sessions[h.last] = &fakeSession{key: fmt.Sprintf("%d-topsecretkey", h.last), callnum: -1, master: master}
	return h.info(h.last)
}

func (h *fakeHub) info(id int64) any {
	return map[string]any{"session-id": id, "session-key": h.sessions[id].key, "header-auth": true}
}

// fakeTime makes a client's pauses pass at once, by a clock of its own.
func fakeTime(c *Client) {
	var mu sync.Mutex
	now := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	c.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	c.sleep = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
		return ctx.Err()
	}
	c.jitter = func() float64 { return 0.5 }
}

// upload follows kojihub.handle_upload.
func (h *fakeHub) upload(r *http.Request, body []byte) (any, error) {
	q := r.URL.Query()
	name := q.Get("filepath") + "/" + q.Get("filename")
	offset, _ := strconv.Atoi(q.Get("offset"))
	old, exists := h.files[name]
	overwrite := q.Get("overwrite") != ""
	if exists && offset == 0 && !overwrite {
		return nil, fault(ErrGeneric, "upload path exists: %s", name)
	}
	if offset > len(old) {
		return nil, fault(ErrGeneric, "a hole in %s", name)
	}
	h.files[name] = append(old[:offset:offset], body...)
	return map[string]any{"size": len(body), "fileverify": q.Get("fileverify"), "offset": offset,
		"hexdigest": fmt.Sprintf("%08x", adler32.Checksum(body))}, nil
}

func xmlrpcBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
