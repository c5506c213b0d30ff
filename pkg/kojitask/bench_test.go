package kojitask

import (
	"fmt"
	"testing"
	"time"

	"github.com/kojimod/kojimod/internal/kojitest"
)

// BenchmarkModule builds modules of 34 components with 102 RPMs. It tells how long
// our own work takes before the first repository is asked for and after the last
// component is tagged, and how many calls a component costs.
func BenchmarkModule(b *testing.B) {
	var names []string
	for i := range 34 {
		names = append(names, fmt.Sprintf("tree%02d", i))
	}
	var before, after time.Duration
	calls := 0
	for range b.N {
		w := newWorld(b, names)
		var first, tagged, finished time.Time
		w.hub.Observe(func(e kojitest.Event) {
			switch {
			case e.Kind == kojitest.TaskChanged && e.Method == "newRepo" && first.IsZero():
				first = time.Now()
			case e.Kind == kojitest.BuildTagged && e.Tag != "f40-modules":
				tagged = time.Now()
			case e.Kind == kojitest.ModuleFinished:
				finished = time.Now()
			}
		})
		id := w.submit(nil, names...)
		w.hub.Open(id, "builder1")
		lent := w.hub.Lend("builder1")
		start := time.Now()
		reply, err := w.engine(b.Context(), id, lent)
		if err != nil || reply.Fault != nil {
			b.Fatal(err, reply.Fault)
		}
		before += first.Sub(start)
		after += finished.Sub(tagged)
		calls += w.hub.Count("") - 3*w.hub.Count("host.taskWait")
	}
	b.ReportMetric(before.Seconds()/float64(b.N), "s-before/op")
	b.ReportMetric(after.Seconds()/float64(b.N), "s-after/op")
	b.ReportMetric(float64(calls)/float64(b.N*len(names)), "calls/component")
}
