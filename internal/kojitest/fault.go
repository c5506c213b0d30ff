package kojitest

import (
	"math/rand/v2"
	"time"
)

// A Trouble is one way in which a request can fail.
type Trouble int

// The kinds of trouble.
const (
	// Refuse closes the hub's port for the fault's Delay (20 ms unless set): this
	// request's connection is reset, and new ones are refused.
	Refuse Trouble = iota + 1
	// ResetBefore resets the connection and does nothing.
	ResetBefore
	// ResetAfter does what was asked and resets the connection instead of answering.
	ResetAfter
	// CutReply does what was asked and sends half of the answer.
	CutReply
	// BadGateway answers with status 502 and does nothing.
	BadGateway
	// BadGatewayAfter does what was asked and answers with status 502.
	BadGatewayAfter
	// ServerOffline answers with the fault that hubs have while maintained.
	ServerOffline
	// Slow waits for the fault's Delay (100 ms unless set) before it does anything.
	Slow
	// Garbage does nothing and answers with a web page instead of XML-RPC.
	Garbage
	// Expire lets all sessions expire before the request is looked at.
	Expire
)

// A Fault says when which trouble happens.
type Fault struct {
	Kind Trouble

	// Method is what the request must call; "" for any, "rawUpload" for a chunk of a
	// file.
	Method string

	// Nth is which of the requests from now on that call Method fails, 1 for the
	// next. 0 stands for each, or with a Rate for some.
	Nth int

	// Times is how many fail then; 1 with Nth and without limit otherwise, unless set.
	Times int

	// Rate is how likely each request fails, up to 1. With 0 all do.
	Rate float64

	Delay time.Duration // of Refuse and Slow
}

// Fault makes requests fail from now on. Faults are looked at in their order; the
// first that fits happens.
func (h *Hub) Fault(faults ...Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 && f.Nth > 0 {
			f.Times = 1
		}
		h.troubles.list = append(h.troubles.list, &pending{Fault: f})
	}
}

// ClearFaults ends all faults.
func (h *Hub) ClearFaults() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubles.list = nil
}

// Down closes the hub's port until Up: connections are refused.
func (h *Hub) Down() { h.net.shut(0) }

// Up opens the port again after Down.
func (h *Hub) Up() {
	if err := h.net.open(); err != nil {
		h.t.Errorf("opening the hub's port again: %v", err)
	}
}

type pending struct {
	Fault
	seen, done int
}

type troubles struct {
	list   []*pending
	random *rand.Rand
}

func (t *troubles) seed(n uint64) { t.random = rand.New(rand.NewPCG(n, n)) }

// next returns the fault that happens to a request, or nil.
func (t *troubles) next(method string) *Fault {
	var hit *pending
	for _, f := range t.list {
		if f.Method != "" && f.Method != method {
			continue
		}
		f.seen++
		if hit != nil || f.seen < f.Nth || f.Times > 0 && f.done >= f.Times {
			continue
		}
		if f.Rate > 0 && t.random.Float64() >= f.Rate {
			continue
		}
		f.done++
		hit = f
	}
	if hit == nil {
		return nil
	}
	return &hit.Fault
}
