package kojitask

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kojimod/kojimod/internal/regularfile"
	"github.com/kojimod/kojimod/internal/source"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A document is the module as its packager has written it.
type document struct {
	text     []byte
	file     string    // what messages call it
	name     string    // from the source, where the document has none
	stream   string    // likewise
	commit   string    // of the source; empty for an upload
	time     time.Time // of the commit; zero for an upload
	contexts []moduleContext
}

// A moduleContext is one of the streams that are built from a document.
type moduleContext struct {
	name            string // of the context; empty where it is computed
	doc             *modulemd.Stream
	defaultProfiles []string
}

// maxDocument bounds a document in bytes.
const maxDocument = 16 << 20

// readDocument reads the source that the handler has laid out. asked is the source
// as the user has given it: its ref may be the name of the stream.
func readDocument(ctx context.Context, src Source, asked, workDir string, log *slog.Logger) (*document, error) {
	m, err := source.OpenModule(ctx, src.Path, workDir, source.Options{Log: log})
	if err != nil {
		return nil, err
	}
	d := &document{}
	d.file = filepath.Base(m.File)
	if d.text, err = readInside(filepath.Dir(m.File), d.file); err != nil {
		return nil, err
	}
	if u, err := source.ParseURL(src.Pinned); err == nil && strings.Contains(src.Pinned, "://") {
		d.commit, d.name = u.Ref, u.Name()
		if m.Commit == u.Ref {
			d.time = m.Time
		}
		if a, err := source.ParseURL(asked); err == nil {
			d.stream = branchOf(m.Dir, a.Ref)
		}
	}
	docs, err := modulemd.Read(strings.NewReader(string(d.text)), d.file)
	if err != nil {
		return nil, input("", "reading the module's document", err)
	}
	return d, d.take(docs, log)
}

// readInside reads a file of a checkout, which git has laid out as strangers want
// it: no link leads out of it.
func readInside(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Opening does not wait, should it be a pipe.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, input(name, "the module's document", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, input(name, "the module's document is not a file", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxDocument {
		return nil, input(name, fmt.Sprintf("the module's document is larger than %d bytes", maxDocument), nil)
	}
	return text, nil
}

// take finds the one document that can be built.
func (d *document) take(docs []modulemd.Document, log *slog.Logger) error {
	for _, doc := range docs {
		var found []moduleContext
		switch doc := doc.(type) {
		case *modulemd.Stream:
			found = []moduleContext{{doc: doc}}
		case *modulemd.PackagerV2:
			found = []moduleContext{{doc: doc.ToStream()}}
			for _, p := range doc.Foreign {
				log.Warn(p.Error())
			}
		case *modulemd.PackagerV3:
			for _, name := range doc.Contexts() {
				stream, _, err := doc.ToStream(string(name))
				if err != nil {
					return input(d.file, "context "+string(name), err)
				}
				found = append(found, moduleContext{string(name), stream, markedProfiles(doc)})
			}
		default:
			continue
		}
		if d.contexts != nil {
			return input(doc.Position().String(), "another module: one can be built at a time", nil)
		}
		d.contexts = found
	}
	for i := range d.contexts {
		if err := d.contexts[i].asWritten(); err != nil {
			return err
		}
	}
	if len(d.contexts) == 0 {
		return input(d.file, "it holds no module that could be built", nil)
	}
	return nil
}

// asWritten refuses what would be passed over in silence, and takes out a context
// that is not for keeps: only a static one is the packager's, as in the Module Build
// Service.
func (c *moduleContext) asWritten() error {
	options := c.doc.XMD.Get("mbs_options")
	for _, key := range []string{"contexts", "blocked_packages"} {
		if options.Get(key) != nil {
			return input(c.doc.Pos.String(), "xmd.mbs_options."+key+" is not supported here: leave it out; contexts are the configurations of a document of version 3", nil)
		}
	}
	if !c.doc.StaticContext && c.doc.Context != "" {
		doc := *c.doc
		doc.Context = ""
		c.doc = &doc
	}
	return nil
}

// maxPackedRefs bounds the list of refs that git keeps in one file, in bytes.
const maxPackedRefs = 4 << 20

// branchOf is the name of the remote's branch that a ref is, or empty: what was
// asked for may as well be a tag or a commit. dir is in the clone that Koji's SCM
// class has made.
func branchOf(dir, ref string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "origin/")
	if name == "" || name == "HEAD" || source.CheckRef(name) != nil {
		return ""
	}
	const deepest = 50
	for range deepest {
		git := filepath.Join(dir, ".git")
		if info, err := os.Lstat(git); err == nil && info.IsDir() {
			remote := filepath.Join("refs", "remotes", "origin", filepath.FromSlash(name))
			if info, err := os.Lstat(filepath.Join(git, remote)); err == nil && info.Mode().IsRegular() {
				return name
			}
			packed, err := regularfile.Open(filepath.Join(git, "packed-refs"))
			if err != nil {
				return ""
			}
			defer packed.Close()
			text, _ := io.ReadAll(io.LimitReader(packed, maxPackedRefs))
			if strings.Contains(string(text), " refs/remotes/origin/"+name+"\n") {
				return name
			}
			return ""
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

// markedProfiles are the default ones, which streams do not keep.
func markedProfiles(p *modulemd.PackagerV3) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.Profiles)) {
		if p.Profiles[name].Default {
			names = append(names, name)
		}
	}
	return names
}

// forPlatform leaves the contexts that are for the platform: those that name no
// other. A platform that is not known goes with all, if they agree.
func (d *document) forPlatform(stream string) error {
	var fit []moduleContext
	streams := map[string]bool{}
	for _, c := range d.contexts {
		fits := len(c.doc.Dependencies) == 0
		for _, block := range c.doc.Dependencies {
			list, names := block.BuildRequires[modulebuild.PlatformModule]
			if !names || stream == "" || modulebuild.Admits(list, stream) {
				fits = true
			}
			for _, s := range list {
				streams[s] = true
			}
		}
		if fits {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return input(d.file, fmt.Sprintf("it is not for platform:%s, which the target is", stream), nil)
	}
	if len(fit) > 1 && stream == "" && len(streams) > 1 {
		return input(d.file, "its contexts are for several platforms, and the target does not say which it is: "+
			"an administrator must set the extra "+platformKey+" of the target's build tag", nil)
	}
	d.contexts = fit
	for i := range d.contexts {
		if err := d.contexts[i].explicit(stream); err != nil {
			return err
		}
	}
	return nil
}

// explicit refuses a document that would have to be built several times over, with
// each combination of streams that it allows.
func (c *moduleContext) explicit(platform string) error {
	if len(c.doc.Dependencies) == 0 {
		return nil
	}
	var fit []modulemd.Dependencies
	for _, block := range c.doc.Dependencies {
		list, names := block.BuildRequires[modulebuild.PlatformModule]
		if !names || platform == "" || modulebuild.Admits(list, platform) {
			fit = append(fit, block)
		}
	}
	if len(fit) > 1 {
		return input(fit[1].Pos.String(), "several blocks of dependencies are for the platform; a module is not expanded into several builds: leave one, or write a document of version 3 with a configuration for each", nil)
	}
	for _, block := range fit {
		for _, name := range slices.Sorted(maps.Keys(block.BuildRequires)) {
			list := block.BuildRequires[name]
			single := len(list) == 1 && !strings.HasPrefix(list[0], "-")
			switch {
			case single, name == modulebuild.PlatformModule && platform != "":
			case name == modulebuild.PlatformModule:
				return input(block.Pos.String(), "it can be built for several platforms, and the target does not say which it is: an administrator must set the extra "+platformKey+" of the target's build tag", nil)
			default:
				return input(block.Pos.String(), fmt.Sprintf("it can be built with several streams of %s; a module is not expanded into several builds: name one stream, or write a document of version 3 with a configuration for each", name), nil)
			}
		}
	}
	return nil
}
