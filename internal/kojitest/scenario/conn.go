package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// maxReply is more than any answer here has.
const maxReply = 16 << 20

// A conn makes calls as somebody, without any repetition of its own.
type conn struct {
	r    *run
	who  string // role, for the recording
	id   int64
	key  string
	next int64
}

// Which headers a call's number is sent under.
const (
	bothHeaders = ""
	newHeader   = "Koji-Session-Callnum"
	oldHeader   = "Koji-Callnum"
)

// call makes a call with the next number and records it.
func (c *conn) call(method string, args ...any) any {
	c.next++
	return c.numbered(c.next-1, bothHeaders, method, args...)
}

// named are parameters by name; the last argument of a call.
type named map[string]any

// numbered makes a call with some number and records it.
func (c *conn) numbered(num int64, header, method string, args ...any) any {
	if c.r.err != nil {
		return nil
	}
	v, f, err := c.do(num, header, method, args...)
	if err != nil {
		c.r.fail(fmt.Errorf("%s: %w", method, err))
		return nil
	}
	c.r.record(c.who, header, method, args, v, f)
	if f != nil {
		return nil
	}
	return v
}

// quiet makes a call that is not recorded, and must not fail.
func (c *conn) quiet(method string, args ...any) any {
	if c.r.err != nil {
		return nil
	}
	c.next++
	v, f, err := c.do(c.next-1, bothHeaders, method, args...)
	if f != nil {
		err = f
	}
	if err != nil {
		c.r.fail(fmt.Errorf("%s (not recorded): %w", method, err))
	}
	return v
}

func (c *conn) do(num int64, header, method string, args ...any) (any, *xmlrpc.Fault, error) {
	if n := len(args); n > 0 {
		if m, ok := args[n-1].(named); ok {
			last := map[string]any{"__starstar": true}
			for k, v := range m {
				last[k] = v
			}
			args = append(args[:n-1:n-1], last)
		}
	}
	body, err := xmlrpc.EncodeCall(method, args...)
	if err != nil {
		return nil, nil, err
	}
	return c.post(num, header, "", "text/xml", body)
}

func (c *conn) post(num int64, header, query, contentType string, body []byte) (any, *xmlrpc.Fault, error) {
	req, err := http.NewRequestWithContext(c.r.ctx, http.MethodPost, c.r.conf.URL+query, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if c.id != 0 {
		req.Header.Set("Koji-Session-Id", strconv.FormatInt(c.id, 10))
		req.Header.Set("Koji-Session-Key", c.key)
		for _, h := range []string{newHeader, oldHeader} {
			if num >= 0 && (header == bothHeaders || header == h) {
				req.Header.Set(h, strconv.FormatInt(num, 10))
			}
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the hub answered with %s", resp.Status)
	}
	c.r.version = resp.Header.Get("Koji-Version")
	v, err := xmlrpc.DecodeResponse(data, xmlrpc.Limits{})
	var f *xmlrpc.Fault
	if errors.As(err, &f) {
		return nil, f, nil
	}
	return v, nil, err
}

// upload sends a chunk of a file and records the answer.
func (c *conn) upload(dir, name string, offset int, overwrite bool, data []byte) {
	c.sendChunk(dir, name, offset, overwrite, data, true)
}

func (c *conn) sendChunk(dir, name string, offset int, overwrite bool, data []byte, record bool) {
	if c.r.err != nil {
		return
	}
	q := url.Values{"filepath": {dir}, "filename": {name}, "offset": {strconv.Itoa(offset)}, "fileverify": {"adler32"}}
	if overwrite {
		q.Set("overwrite", "1")
	}
	c.next++
	v, f, err := c.post(c.next-1, bothHeaders, "?"+q.Encode(), "application/octet-stream", data)
	if err != nil {
		c.r.fail(fmt.Errorf("uploading %s/%s: %w", dir, name, err))
		return
	}
	if m, ok := v.(map[string]any); ok {
		if want := fmt.Sprintf("%08x", adler32.Checksum(data)); m["hexdigest"] != want {
			c.r.fail(fmt.Errorf("uploading %s/%s: the hub's checksum is %v, not %s", dir, name, m["hexdigest"], want))
		}
	}
	if record {
		c.r.record(c.who, "", "rawUpload", []any{dir, name, offset, overwrite, len(data)}, v, f)
	} else if f != nil {
		c.r.fail(fmt.Errorf("uploading %s/%s: %w", dir, name, f))
	}
}

// login makes a session and records the answer.
func (r *run) login(who string, l Login, args ...any) *conn {
	c := &conn{r: r, who: who}
	v := c.call("login", append([]any{l.User, l.Password}, args...)...)
	return c.take(v)
}

// take is what comes back from a login.
func (c *conn) take(v any) *conn {
	m, ok := v.(map[string]any)
	if !ok {
		c.r.fail(fmt.Errorf("%s got no session: %v", c.who, v))
		return c
	}
	c.id, _ = m["session-id"].(int64)
	c.key, _ = m["session-key"].(string)
	c.next = 0
	if strings.TrimSpace(c.key) == "" {
		c.r.fail(fmt.Errorf("%s got a session without a key", c.who))
	}
	return c
}
