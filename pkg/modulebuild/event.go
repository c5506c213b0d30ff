package modulebuild

import "time"

// State is where a component stands in a build.
type State string

// The states of a component. Waiting and Building are passing, the others final.
const (
	Waiting   State = "waiting"
	Building  State = "building"
	Built     State = "built"      // by this run
	TakenOver State = "taken over" // from an earlier run
	Failed    State = "failed"
	Skipped   State = "skipped"   // not for this architecture
	NotBuilt  State = "not built" // something before it failed, or the run ended early
)

// An Event tells that something about a component has changed. Observers get
// events one at a time, in order.
type Event struct {
	Time      time.Time
	Component string
	State     State
	Line      string // with Building: the last line of the log; else empty
	Reason    string // why it is built, taken over, skipped or not built
	Err       error  // with Failed
}
