package modulemd

// Stream is a modulemd document of version 2 (also named modulemd-stream): one
// stream of a module, in one version and context.
type Stream struct {
	Name          string
	Stream        StreamName
	Version       uint64 // 0 for none
	Context       Context
	StaticContext bool // the context was chosen, not computed
	Arch          string
	Summary       string
	Description   string
	ServiceLevels map[string]ServiceLevel
	License       License
	XMD           *Node // a mapping, or nil
	Dependencies  []Dependencies
	References    References
	Profiles      map[string]Profile
	API           []string // names of packages; a set
	Filter        []string // names of packages that are left out; a set
	Demodularized []string // names of packages that left the module; a set
	BuildOpts     BuildOpts
	Components    Components
	Artifacts     Artifacts
	Pos           Position
}

// Type gives "modulemd", 2.
func (s *Stream) Type() (string, uint64) { return "modulemd", 2 }

// Position is where the document began.
func (s *Stream) Position() Position { return s.Pos }

// NSVCA gives name, stream, version, context and architecture joined by ':',
// as "nodejs:10:20180816123422:6c81f848:x86_64". Parts that are missing are
// empty, and those at the end are left out.
func (s *Stream) NSVCA() string {
	version := ""
	if s.Version != 0 {
		version = formatUint(s.Version)
	}
	return joinParts(s.Name, string(s.Stream), version, string(s.Context), s.Arch)
}
