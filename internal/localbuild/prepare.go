package localbuild

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/kojimod/kojimod/internal/regularfile"
	"github.com/kojimod/kojimod/internal/source"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A task is a module whose document is read, and later its plan.
type task struct {
	cfg    Config
	module *source.Module
	doc    *modulemd.Stream
	tmp    *scratch // for the module's checkout

	plan   *modulebuild.Plan
	finder *source.Finder
	pinned []source.Pinned // numbered as the plan's components
}

// open reads the module's document.
func open(ctx context.Context, cfg Config) (*task, error) {
	tmp, err := newScratch()
	if err != nil {
		return nil, err
	}
	t := &task{cfg: cfg, tmp: tmp}
	if err := t.read(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *task) close() { t.tmp.close() }

func (t *task) read(ctx context.Context) error {
	if err := t.openModule(ctx); err != nil {
		return err
	}
	file, err := regularfile.Open(t.module.File)
	if err != nil {
		return &modulebuild.InputError{Msg: "the module's document", Err: err}
	}
	defer file.Close()
	docs, err := modulemd.Read(file, t.documentName())
	if err != nil {
		return &modulebuild.InputError{Err: err, Msg: "reading the module's document"}
	}
	found, err := buildable(docs, t.documentName())
	if err != nil {
		return err
	}
	if err := t.take(found); err != nil {
		return err
	}
	if t.cfg.Output == "" {
		if t.cfg.Output, err = t.defaultOutput(); err != nil {
			return err
		}
		// What an earlier run has put into the module's work tree is no change
		// of it.
		if !t.module.Clean {
			return t.openModule(ctx)
		}
	}
	return nil
}

func (t *task) openModule(ctx context.Context) (err error) {
	t.module, err = source.OpenModule(ctx, t.cfg.Source, t.tmp.dir, source.Options{Ignore: t.ignored(), Log: t.cfg.Log})
	return err
}

// documentName is what messages call the module's document: a checkout of ours
// tells nobody anything.
func (t *task) documentName() string {
	if t.module.URL != "" {
		return t.module.URL + " " + filepath.Base(t.module.File)
	}
	return t.module.File
}

// ignored lists what does not count as part of any source.
func (t *task) ignored() []string {
	if t.cfg.Output == "" {
		return nil
	}
	return []string{t.cfg.Output}
}

// buildable finds the one document in a file that can be built.
func buildable(docs []modulemd.Document, file string) (modulemd.Document, error) {
	var found modulemd.Document
	for _, d := range docs {
		switch d.(type) {
		case *modulemd.Stream, *modulemd.PackagerV2, *modulemd.PackagerV3:
			if found != nil {
				return nil, &modulebuild.InputError{Where: d.Position().String(), Msg: "another module: one can be built at a time"}
			}
			found = d
		}
	}
	if found == nil {
		return nil, &modulebuild.InputError{Where: file, Msg: "it holds no module that could be built, but only other metadata"}
	}
	return found, nil
}

// take makes of a document the stream that is built; of one with several
// contexts, that of one of them.
func (t *task) take(found modulemd.Document) (err error) {
	switch d := found.(type) {
	case *modulemd.Stream:
		t.doc = d
	case *modulemd.PackagerV2:
		t.doc = d.ToStream()
		for _, p := range d.Foreign {
			t.cfg.Log.Warn(p.Error())
		}
	case *modulemd.PackagerV3:
		t.doc, err = configuration(d, t.documentName(), t.cfg.Context)
		// The stream does not keep which profiles are marked as default.
		if len(t.cfg.DefaultProfiles) == 0 {
			for _, name := range slices.Sorted(maps.Keys(d.Profiles)) {
				if d.Profiles[name].Default {
					t.cfg.DefaultProfiles = append(t.cfg.DefaultProfiles, name)
				}
			}
		}
	}
	return err
}

func configuration(d *modulemd.PackagerV3, file string, context modulemd.Context) (*modulemd.Stream, error) {
	var have []string
	for _, c := range d.Configurations {
		have = append(have, string(c.Context))
	}
	if context == "" && len(have) > 1 {
		return nil, &modulebuild.InputError{Where: file, Msg: "the document has several contexts: choose one with --context: " + strings.Join(have, ", ")}
	}
	if context == "" && len(have) == 1 {
		context = d.Configurations[0].Context
	}
	if !slices.Contains(have, string(context)) {
		return nil, &modulebuild.InputError{Where: file, Msg: fmt.Sprintf("the document has no context %q: it has %s", context, strings.Join(have, ", "))}
	}
	stream, _, err := d.ToStream(string(context))
	if err != nil {
		return nil, &modulebuild.InputError{Where: file, Err: err, Msg: "context " + string(context)}
	}
	return stream, nil
}

// defaultOutput is NAME-STREAM, with the same fallbacks as the plan.
func (t *task) defaultOutput() (string, error) {
	name, stream := t.doc.Name, string(t.doc.Stream)
	if name == "" {
		name = t.module.Name
	}
	if stream == "" {
		stream = t.module.Stream
	}
	for _, s := range []string{name, stream} {
		if err := modulemd.CheckModuleName(s); err != nil {
			return "", &modulebuild.InputError{Where: t.module.File, Msg: "no output directory can be named after the module: use --output", Err: err}
		}
	}
	return name + "-" + stream, nil
}

// settle makes the plan and pins all sources. cache is where clones are kept.
func (t *task) settle(ctx context.Context, j *journal, cache string) error {
	opts := modulebuild.Options{
		Version: t.cfg.Version, Context: t.cfg.Context, Platform: t.cfg.Platform, Enable: t.cfg.Enable,
		Arch: t.cfg.Arch, Name: t.module.Name, Stream: t.module.Stream, HostPlatform: t.cfg.HostPlatform,
		Epoch: t.cfg.Epoch, Now: t.cfg.Now(),
	}
	if t.module.Clean {
		opts.SourceTime = t.module.Time
	}
	if j != nil {
		opts.Decided = &j.Identity
	}
	plan, err := modulebuild.NewPlan(t.doc, opts)
	if err != nil {
		return err
	}
	if j != nil {
		plan.VersionFrom = j.VersionFrom
	}
	if err := plan.CheckProfiles(t.cfg.DefaultProfiles); err != nil {
		return err
	}
	t.plan = plan
	t.finder = &source.Finder{SRPMDir: t.cfg.SRPMDir, Lookaside: t.cfg.Lookaside, WorkDir: cache, Ignore: t.ignored(), Log: t.cfg.Log}
	return t.pin(ctx)
}

// pin resolves the sources of all components, a few at once, and tells all that
// is wrong with them.
func (t *task) pin(ctx context.Context) error {
	for name := range t.cfg.SRPMs {
		if t.doc.Components.RPMs[name] == nil {
			return &modulebuild.InputError{Where: "--srpm " + name, Msg: "the module has no component of this name"}
		}
	}
	t.pinned = make([]source.Pinned, len(t.plan.Components))
	return t.each(ctx, func(i int) error {
		c := &t.plan.Components[i]
		if c.Skip != "" {
			return nil
		}
		p, err := t.finder.Resolve(ctx, source.Request{
			Component: c.Name, Alias: c.Doc.Name, Names: c.Names, Where: c.Doc.Pos.String(),
			Repository: c.Doc.Repository, Ref: c.Doc.Ref, Cache: c.Doc.Cache,
			BaseDir: t.module.Dir, Remote: t.module.Remote, Override: t.cfg.SRPMs[c.Name],
		})
		if err != nil {
			return err
		}
		t.pinned[i] = p
		c.Source = modulebuild.Source{Kind: string(p.Kind), Location: p.Location, Ref: p.Ref, Commit: p.Commit, Digest: p.Digest}
		return nil
	})
}

// fetch lays out the sources of all components that must be built, below dir.
func (t *task) fetch(ctx context.Context, dir string) error {
	return t.each(ctx, func(i int) error {
		c := &t.plan.Components[i]
		if c.Skip != "" || c.Taken != nil {
			return nil
		}
		dst := filepath.Join(dir, "src-"+c.Name)
		if err := os.MkdirAll(dst, 0o777); err != nil {
			return err
		}
		tree, err := t.finder.Fetch(ctx, t.pinned[i], dst)
		if err != nil {
			return err
		}
		c.SRPM, c.Spec = tree.SRPM, tree.Spec
		return nil
	})
}

// each calls do for all components, several at once, and joins the errors in the
// plan's order. After the context's end there is one error, its own.
func (t *task) each(ctx context.Context, do func(i int) error) error {
	errs := make([]error, len(t.plan.Components))
	slots := make(chan struct{}, 2*runtime.NumCPU())
	var wg sync.WaitGroup
	for i := range t.plan.Components {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() == nil {
				errs[i] = do(i)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(errs...)
}
