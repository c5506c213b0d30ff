package kojitask

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kojimod/kojimod/pkg/koji"
)

// Options are what a run needs beside its request. The zero value works.
type Options struct {
	Version string          // of this program, for build records
	Wake    <-chan struct{} // a child may have finished
	Log     *slog.Logger    // what also goes into the task's log; nil for nobody
	Now     func() time.Time

	poll  time.Duration // of children, in tests
	retry time.Duration // of calls, likewise: the longest pause
}

// A task is one run of a moduleBuild or moduleContext task.
type task struct {
	req      Request
	opts     Options
	params   Params // the user's options
	hub      *hub
	story    *story
	kids     *children
	platform *platform
	doc      *document
	started  time.Time
}

// Run carries a task out. The reply has a result or a fault, unless the error is
// ErrSessionExpired or the context has ended; it has the next number of the session
// in any case.
func Run(ctx context.Context, req Request, opts Options) (Reply, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	reply := Reply{Callnum: req.Session.Callnum}
	session, err := lend(req, opts)
	if err != nil {
		reply.Fault = faultOf(err)
		return reply, nil
	}
	defer session.Close()
	t := &task{req: req, opts: opts, hub: &hub{Session: session, task: req.TaskID}, started: opts.Now()}
	reply.Result, err = t.run(ctx)
	reply.Callnum = session.Callnum()
	if expired(err) {
		return reply, ErrSessionExpired
	}
	if err != nil {
		reply.Result, reply.Fault = nil, faultOf(err)
	}
	return reply, nil
}

// lend makes a session of the one that the handler lends.
func lend(req Request, o Options) (*koji.Session, error) {
	opts := koji.Options{
		RetryFor:   30 * time.Minute,
		OfflineFor: 12 * time.Hour, // as patient as the builder's daemon
		RetryMin:   o.retry, RetryMax: o.retry,
		Log: o.Log,
	}
	var err error
	if opts.TLS, err = req.tls(); err != nil {
		return nil, err
	}
	client, err := koji.New(req.Hub, opts)
	if err != nil {
		return nil, err
	}
	return client.Lent(koji.LentSession{ID: req.Session.ID, Key: req.Session.Key, Callnum: req.Session.Callnum})
}

// tls is how the builder is configured to trust hub and file server; nil is the
// system's way.
func (r Request) tls() (*tls.Config, error) {
	if r.CA == "" && !r.NoSSLVerify {
		return nil, nil
	}
	config := &tls.Config{InsecureSkipVerify: r.NoSSLVerify, MinVersion: tls.VersionTLS12}
	if r.CA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return nil, fmt.Errorf("the builder's certificate authorities (serverca): %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the builder's serverca %s has no certificate", r.CA)
	}
	return config, nil
}

// run is a task from start to end, with its log.
func (t *task) run(ctx context.Context) (map[string]any, error) {
	var err error
	if t.story, err = newStory(ctx, t.hub, t.req.WorkDir, t.opts.Log, t.opts.Now); err != nil {
		return nil, err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	poll := t.opts.poll
	if poll == 0 {
		poll = pollEvery
	}
	t.kids = newChildren(t.hub, t.opts.Wake, poll)
	var helpers sync.WaitGroup
	helpers.Go(func() { t.kids.run(inner) })
	helpers.Go(func() { t.story.run(inner) })
	result, err := t.work(inner)
	var taken *takenError
	if errors.As(err, &taken) {
		result, err = takenResult(err), nil
	}
	stop()
	helpers.Wait()
	if ctx.Err() != nil || expired(err) {
		return nil, err // nobody listens to us any more, or another run goes on
	}
	if err != nil {
		t.story.printf("failed: %v", err)
		if cancelErr := t.hub.cancelChildren(ctx); cancelErr != nil {
			err = errors.Join(err, fmt.Errorf("cancelling what runs below the task: %w", cancelErr))
		}
	}
	if flushErr := t.story.flush(ctx); flushErr != nil {
		t.opts.Log.Warn("sending the task's log: " + flushErr.Error())
	}
	return result, err
}

func (t *task) work(ctx context.Context) (map[string]any, error) {
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	given := t.req.Parameters
	if t.req.Method == methodContext {
		for _, c := range t.doc.contexts {
			if base, _, _ := strings.Cut(given.Context, "_"); c.name == base || len(t.doc.contexts) == 1 {
				return t.buildContext(ctx, c)
			}
		}
		return nil, input(t.doc.file, "it has no context "+given.Context, nil)
	}
	if len(t.doc.contexts) == 1 {
		return t.buildContext(ctx, t.doc.contexts[0])
	}
	return t.buildContexts(ctx)
}

// prepare reads what the task is about: parameters, target, document.
func (t *task) prepare(ctx context.Context) error {
	root := t.req.Parameters
	if t.req.Method == methodContext {
		var err error
		if root, err = t.rootParameters(ctx); err != nil {
			return err
		}
	}
	if root.Opts != nil {
		t.params = *root.Opts
	}
	var err error
	if t.platform, err = t.hub.platform(ctx, root.Target); err != nil {
		return err
	}
	if t.doc, err = readDocument(ctx, t.req.Source, root.Source, t.req.WorkDir, t.opts.Log); err != nil {
		return err
	}
	if err := t.doc.forPlatform(t.platform.stream); err != nil {
		return err
	}
	t.story.printf("module document %s of %s, for target %s", t.doc.file, t.req.Source.Pinned, root.Target)
	return nil
}

// rootParameters are those of the moduleBuild task that this one is a part of.
func (t *task) rootParameters(ctx context.Context) (Parameters, error) {
	var p Parameters
	own, err := t.hub.Task(ctx, t.hub.task)
	if err != nil {
		return p, err
	}
	if own.Parent == nil {
		return p, fmt.Errorf("task %d is no part of a module build", own.ID)
	}
	parent, err := t.hub.Task(ctx, *own.Parent)
	if err != nil {
		return p, err
	}
	if parent.Method != methodBuild || len(parent.Request) != 1 {
		return p, fmt.Errorf("task %d is no module build", parent.ID)
	}
	if err := decodeInto(parent.Request[0], &p); err != nil {
		return p, fmt.Errorf("the parameters of task %d: %w", parent.ID, err)
	}
	return p, nil
}

func words(s string) []string { return strings.Fields(s) }
