package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// A Login is a name and a password.
type Login struct{ User, Password string }

// A Config says which hub is asked, and as whom.
type Config struct {
	URL    string // of the hub
	Prefix string // that the names begin with which this run makes; letters and digits, new each time

	Admin Login // an administrator
	User  Login // somebody without rights
	Host  Login // a builder's account that no daemon uses; its sessions are closed

	// Expire lets a session expire. Without it what comes after that is left out.
	Expire func(ctx context.Context, session int64) error

	// SRPM is a source package of one x86_64 or noarch package without dependencies,
	// named "hello", which a builder of the hub rebuilds.
	SRPM []byte

	// FailingSRPM is a source package, named "bad", that does not build.
	FailingSRPM []byte
}

// A Fault is a refusal. The message is left out where it is Python's.
type Fault struct {
	Code    int64  `json:"code"`
	Message string `json:"message,omitempty"`
}

// An Exchange is a call and its answer.
type Exchange struct {
	Step   string `json:"step"` // of the scenario
	Who    string `json:"who"`
	Header string `json:"header,omitempty"` // of the call's number, where it is one alone
	Method string `json:"method"`
	Args   []any  `json:"args"`
	Result any    `json:"result"`
	Fault  *Fault `json:"fault,omitempty"`
}

// A Recording is all that was said.
type Recording struct {
	Version   string     `json:"version"` // the hub's
	Expired   bool       `json:"expired"` // whether a session was made to expire
	Exchanges []Exchange `json:"exchanges"`
}

// Run makes the calls. The error is that of the network, or of a hub that answers so
// that the scenario cannot go on.
func Run(ctx context.Context, conf Config) (Recording, error) {
	r := &run{ctx: ctx, conf: conf, names: newNames(conf)}
	r.step = "who is there"
	anon := &conn{r: r, who: "nobody"}
	r.anonymous(anon)
	r.clean()
	defer r.clean()
	admin := r.login("admin", conf.Admin)
	r.sessions(admin)
	host := r.hosts()
	r.tags(admin)
	root := r.tasks(admin, host)
	r.uploads(host, root)
	r.module(admin, host)
	r.lost(host)
	return Recording{Version: r.version, Expired: conf.Expire != nil, Exchanges: r.exchanges}, r.err
}

type run struct {
	ctx       context.Context
	conf      Config
	step      string
	version   string
	exchanges []Exchange
	names     *names
	err       error // the first; nothing is asked after it
}

func (r *run) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", r.step, err)
	}
}

func (r *run) record(who, header, method string, args []any, v any, f *xmlrpc.Fault) {
	e := Exchange{Step: r.step, Who: who, Header: header, Method: method, Args: r.names.args(method, args), Result: r.names.result(method, v)}
	if f != nil {
		e.Fault = &Fault{Code: f.Code, Message: r.names.message(f)}
	}
	r.exchanges = append(r.exchanges, e)
}

// clean cancels what an earlier run, or this one, has left for the host to do.
func (r *run) clean() {
	err := r.err
	r.err = nil
	admin := &conn{r: r, who: "admin"}
	admin.take(admin.quiet("login", r.conf.Admin.User, r.conf.Admin.Password))
	m, _ := admin.quiet("getHost", r.conf.Host.User).(map[string]any)
	tasks, _ := admin.quiet("listTasks", map[string]any{"host_id": m["id"], "state": []any{1, 4}}).([]any)
	for _, t := range tasks {
		if task, ok := t.(map[string]any); ok {
			admin.quiet("cancelTask", task["id"])
		}
	}
	admin.quiet("logout")
	if err != nil {
		r.err = err
	}
}

// name is a name of this run's own.
func (r *run) name(s string) string { return r.conf.Prefix + "-" + s }

// number takes an id out of an answer.
func (r *run) number(v any) int64 {
	n, ok := v.(int64)
	if !ok {
		r.fail(fmt.Errorf("the hub has answered %v, which is no id", v))
	}
	return n
}

// field takes an id out of a struct.
func (r *run) field(v any, name string) int64 {
	m, _ := v.(map[string]any)
	return r.number(m[name])
}

// wait asks, without recording it, until a task has ended.
func (r *run) wait(c *conn, task int64) {
	pause := 10 * time.Millisecond
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); pause = min(2*pause, 2*time.Second) {
		m, _ := c.quiet("getTaskInfo", task).(map[string]any)
		switch state, _ := m["state"].(int64); {
		case r.err != nil, state == 2, state == 3, state == 5:
			return
		}
		select {
		case <-r.ctx.Done():
			r.fail(r.ctx.Err())
			return
		case <-time.After(pause):
		}
	}
	r.fail(errors.New("a task has not ended in ten minutes: is there a builder?"))
}
