package modulemd

// Defaults is a modulemd-defaults document of version 1: which stream of a
// module is enabled where none is asked for, and which profiles of a stream
// are installed.
type Defaults struct {
	Module   string
	Modified uint64     // YYYYMMDDHHMM in UTC; 0 for none
	Stream   StreamName // empty for no default stream
	Profiles map[StreamName][]string
	Intents  map[string]Intent // deprecated in the format
	Pos      Position
}

// Intent overrides the defaults on systems with a purpose, as "server".
type Intent struct {
	Stream   StreamName
	Profiles map[StreamName][]string
}

// Type gives "modulemd-defaults", 1.
func (d *Defaults) Type() (string, uint64) { return "modulemd-defaults", 1 }

// Position is where the document began.
func (d *Defaults) Position() Position { return d.Pos }
