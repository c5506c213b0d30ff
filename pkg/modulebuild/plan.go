package modulebuild

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A Plan is everything that is decided about a module build before it starts.
type Plan struct {
	Identity Identity
	// VersionFrom says where the version is from, for people.
	VersionFrom string
	Doc         *modulemd.Stream // the packager's document, for one context
	Platform    *ModuleStream    // what is built for; nil where nothing names a platform
	// Enable are the module streams that must be enabled to build, sorted by
	// name; the platform is not among them.
	Enable []ModuleStream
	// Dependencies are those of the finished module.
	Dependencies []modulemd.Dependencies
	Macros       []Macro
	Graph        *Graph
	Components   []Component // numbered as in Graph
}

// A Component is one source package of the module and what is to happen to it.
type Component struct {
	Name   string
	Doc    *modulemd.ComponentRPM
	Names  []string // what its source package may be called
	Skip   string   // why it is not built at all; empty if it is
	Source Source
	// SRPM or Spec is where the sources lie once they are fetched; see [Job].
	SRPM, Spec string

	// Set by [Plan.TakeOver].
	Inputs Inputs
	Key    string
	Taken  *Record // the earlier build that is taken over; nil if it must be built
	Reason string  // why it is built or taken over
	Weight float64 // how long it is expected to take, in seconds
}

// A Source is where a component comes from, pinned.
type Source struct {
	Kind     string `json:"kind"`             // "srpm", "git" or "dir"
	Location string `json:"location"`         // path or URL, without secrets
	Ref      string `json:"ref,omitempty"`    // what was asked for: a branch, a tag
	Commit   string `json:"commit,omitempty"` // what that is, in git
	Digest   string `json:"digest"`           // equal if and only if the content is
}

// Resolved is the one word that pins the source: the commit, or the digest.
func (s Source) Resolved() string {
	if s.Commit != "" {
		return s.Commit
	}
	return s.Digest
}

// Options are a user's part in what a module build is.
type Options struct {
	Version  uint64           // 0: the document's, or from a time
	Context  modulemd.Context // empty: the document's, or computed
	Platform *ModuleStream    // nil: the document's
	Enable   []ModuleStream   // streams to build with
	Arch     string           // RPM architecture; empty where one build is for several
	Index    int64            // in the dist tag; 0 is 1
	Marking  string           // of the platform, in the dist tag; empty: the platform's stream
	Scratch  bool             // the build is for trying out: its packages must not be taken for others

	// Name and Stream are taken where the document has none.
	Name, Stream string
	// HostPlatform is the platform stream of this host, where it has one.
	HostPlatform string
	// SourceTime is the time of the commit that the document is from; zero
	// where there is none or the tree has changes.
	SourceTime time.Time
	// Epoch, where not zero, is "now" for all that packages record.
	Epoch time.Time
	Now   time.Time

	// Decided is the identity that an earlier run has decided on; what it holds
	// is not decided again. A contradiction to the other options is an error.
	Decided *Identity
}

// oldestTime is "now" where nothing in the input has a date: the oldest that all
// archive formats can hold.
var oldestTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// NewPlan decides what the build of a module is. It reads no file and asks
// nobody. Errors are of type *InputError.
func NewPlan(doc *modulemd.Stream, opts Options) (*Plan, error) {
	name, stream, err := nameAndStream(doc, opts)
	if err != nil {
		return nil, err
	}
	if len(doc.Components.Modules) > 0 {
		first := slices.Sorted(maps.Keys(doc.Components.Modules))[0]
		return nil, &InputError{Where: doc.Pos.String(), Msg: fmt.Sprintf("component module %q: modules inside modules cannot be built; list its components under components.rpms", first)}
	}
	if len(doc.Components.RPMs) == 0 {
		return nil, &InputError{Where: doc.Pos.String(), Msg: "the module has no components.rpms: there is nothing to build"}
	}
	if arches := doc.BuildOpts.Arches; opts.Arch != "" && len(arches) > 0 && !slices.Contains(arches, opts.Arch) {
		return nil, &InputError{Where: doc.Pos.String(), Msg: fmt.Sprintf("buildopts.arches allows only %v, not %s", arches, opts.Arch)}
	}
	if opts.Arch != "" {
		if err := checkWord(opts.Arch); err != nil {
			return nil, &InputError{Msg: "the architecture", Err: err}
		}
	}
	chosen, err := choose(doc, wantedStreams(opts), opts.HostPlatform)
	if err != nil {
		return nil, err
	}
	for module, stream := range chosen.buildRequires {
		if err := errors.Join(checkWord(module), checkWord(stream)); err != nil {
			return nil, &InputError{Where: doc.Pos.String(), Msg: "the dependency " + (ModuleStream{module, stream}).String(), Err: err}
		}
	}
	if err := checkInstalled(doc); err != nil {
		return nil, err
	}
	graph, err := NewGraph(doc.Components.RPMs)
	if err != nil {
		return nil, err
	}
	p := &Plan{Doc: doc, Platform: chosen.platform, Dependencies: chosen.dependencies, Graph: graph}
	for _, module := range slices.Sorted(maps.Keys(chosen.buildRequires)) {
		if module != PlatformModule {
			p.Enable = append(p.Enable, ModuleStream{module, chosen.buildRequires[module]})
		}
	}
	if slices.IndexFunc(graph.Names, func(n string) bool { return builtFor(doc.Components.RPMs[n], opts.Arch) }) < 0 {
		return nil, &InputError{Where: doc.Pos.String(), Msg: "no component of the module is built for " + opts.Arch + ": see their \"arches\""}
	}
	if p.Identity, p.VersionFrom, err = decide(doc, name, stream, chosen, opts); err != nil {
		return nil, err
	}
	if p.Macros, err = moduleMacros(p.Identity, doc); err != nil {
		return nil, err
	}
	for _, n := range graph.Names {
		p.Components = append(p.Components, newComponent(n, doc, opts.Arch))
	}
	return p, nil
}

func nameAndStream(doc *modulemd.Stream, opts Options) (name, stream string, err error) {
	name, stream = doc.Name, string(doc.Stream)
	if name == "" {
		name = opts.Name
	}
	if stream == "" {
		stream = opts.Stream
	}
	for _, f := range []struct{ field, value string }{{"name", name}, {"stream", stream}} {
		if f.value == "" {
			return "", "", &InputError{Where: doc.Pos.String(), Msg: fmt.Sprintf("the document has no data.%s, and its source suggests none: write one", f.field)}
		}
		if err := checkWord(f.value); err != nil {
			return "", "", &InputError{Where: doc.Pos.String(), Msg: "data." + f.field, Err: err}
		}
	}
	return name, stream, nil
}

// word is what names and streams may be made of where they become macros,
// releases, file names and configuration.
var word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}$`)

func checkWord(s string) error {
	if !word.MatchString(s) {
		return fmt.Errorf("%q cannot be built under: use letters, digits, '.', '_', '+' and '-', up to 200, and begin with none of the last three but '_'", s)
	}
	return nil
}

// checkInstalled looks at the packages that are installed into buildroots without
// being asked for: their names reach a package manager's command line.
func checkInstalled(doc *modulemd.Stream) error {
	for _, profile := range []string{"buildroot", "srpm-buildroot"} {
		for _, name := range doc.Profiles[profile].RPMs {
			if err := checkWord(name); err != nil {
				return &InputError{Where: doc.Pos.String(), Msg: "data.profiles." + profile, Err: err}
			}
		}
	}
	return nil
}

func builtFor(c *modulemd.ComponentRPM, arch string) bool {
	return arch == "" || len(c.Arches) == 0 || slices.Contains(c.Arches, arch)
}

func wantedStreams(opts Options) map[string]string {
	wanted := map[string]string{}
	for _, m := range opts.Enable {
		wanted[m.Name] = m.Stream
	}
	if opts.Platform != nil {
		wanted[opts.Platform.Name] = opts.Platform.Stream
	}
	return wanted
}

// decide settles the identity, or takes the one settled before.
func decide(doc *modulemd.Stream, name, stream string, chosen choice, opts Options) (Identity, string, error) {
	if d := opts.Decided; d != nil {
		return *d, "an earlier run into this output", contradiction(*d, name, stream, opts)
	}
	if e := opts.Epoch; !e.IsZero() && (e.Unix() < 0 || e.After(newestTime)) {
		return Identity{}, "", &InputError{Msg: fmt.Sprintf("%d seconds since 1970 is no time that a package can record: 0 to %d are", e.Unix(), newestTime.Unix())}
	}
	id := Identity{Name: name, Stream: stream, Arch: opts.Arch, BuildRequires: chosen.buildRequires}
	platform := ""
	if chosen.platform != nil {
		platform = chosen.platform.Stream
	}
	var from string
	switch {
	case opts.Version != 0:
		id.Version, from = opts.Version, "--version"
	case doc.Version != 0:
		id.Version, from = doc.Version, "the document"
	case !opts.SourceTime.IsZero():
		id.Version, from = TimeVersion(platform, opts.SourceTime), "the commit's time"
	default:
		id.Version, from = TimeVersion(platform, opts.Now), "the time of the first run"
	}
	switch {
	case opts.Context != "":
		id.Context = opts.Context
	case doc.Context != "":
		id.Context = doc.Context
	default:
		id.Context = Context(chosen.buildRequires, chosen.dependencies)
	}
	if err := checkWord(string(id.Context)); err != nil {
		return Identity{}, "", &InputError{Where: doc.Pos.String(), Msg: "context", Err: err}
	}
	id.Time = buildTime(id.Version, opts)
	marking := platform
	if opts.Marking != "" {
		marking = opts.Marking
	}
	tag, err := DistTag(marking, max(1, opts.Index), name, stream, id.Version, id.Context)
	if err != nil {
		return Identity{}, "", &InputError{Where: doc.Pos.String(), Msg: err.Error()}
	}
	if opts.Scratch {
		tag = strings.Replace(tag, "module+", "scrmod+", 1)
	}
	id.DistTag = tag
	return id, from, nil
}

// buildTime is "now" for packages and metadata: it must come from the input, so
// that the same input gives the same bytes.
func buildTime(version uint64, opts Options) time.Time {
	if !opts.Epoch.IsZero() {
		return opts.Epoch.UTC().Truncate(time.Second)
	}
	if !opts.SourceTime.IsZero() && opts.SourceTime.Unix() >= 0 && !opts.SourceTime.After(newestTime) {
		return opts.SourceTime.UTC().Truncate(time.Second)
	}
	if t, ok := VersionDate(version); ok {
		return t
	}
	return oldestTime
}

func contradiction(d Identity, name, stream string, opts Options) error {
	say := func(what, have, want string) error {
		return &InputError{Msg: fmt.Sprintf("the output holds a build of %s %s, and %s is asked for: use another --output", what, have, want)}
	}
	for module, stream := range wantedStreams(opts) {
		if have := d.BuildRequires[module]; have != stream {
			return &InputError{Msg: fmt.Sprintf("the output holds a build with %s, and %s:%s is asked for: use another --output",
				ModuleStream{module, have}, module, stream)}
		}
	}
	switch {
	case d.Name != name || d.Stream != stream:
		return say("module", d.Name+":"+d.Stream, name+":"+stream)
	case opts.Version != 0 && opts.Version != d.Version:
		return say("version", fmt.Sprint(d.Version), fmt.Sprint(opts.Version))
	case opts.Context != "" && opts.Context != d.Context:
		return say("context", string(d.Context), string(opts.Context))
	case opts.Arch != d.Arch:
		return say("architecture", d.Arch, opts.Arch)
	case !opts.Epoch.IsZero() && opts.Epoch.Unix() != d.Time.Unix():
		return say("time", fmt.Sprint(d.Time.Unix()), fmt.Sprint(opts.Epoch.Unix()))
	}
	return nil
}

func newComponent(name string, doc *modulemd.Stream, arch string) Component {
	c := Component{Name: name, Doc: doc.Components.RPMs[name], Names: []string{name}}
	if c.Doc.Name != "" {
		c.Names = append(c.Names, c.Doc.Name)
	}
	// The whitelist exists for source packages that are not called like their
	// component.
	c.Names = append(c.Names, doc.BuildOpts.RPMs.Whitelist...)
	slices.Sort(c.Names)
	c.Names = slices.Compact(c.Names)
	if !builtFor(c.Doc, arch) {
		c.Skip = fmt.Sprintf("it is only for %v", c.Doc.Arches)
	}
	return c
}
