// Package doctor looks at a Koji hub and says whether it can build modules, and what
// to do where it cannot. It changes nothing, and asks only what everybody may ask;
// what cannot be seen from outside it says, with where to look.
//
//	findings, err := doctor.Run(ctx, doctor.Options{User: session, Nobody: client.Anonymous(), Target: "el9-modules"})
package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/koji/kerberos"
)

// A Status says how much a finding matters.
type Status string

const (
	OK   Status = "ok"   // as it should be
	Warn Status = "warn" // modules can be built; something is not as it should be
	Fail Status = "fail" // modules cannot be built until it is mended
	Note Status = "note" // cannot be seen from here
)

// A Finding is one thing that was looked at. It is shown to people and, as JSON, to
// programs.
type Finding struct {
	Check  string `json:"check"` // what was looked at, one word
	Status Status `json:"status"`
	Text   string `json:"text"`             // one line
	Remedy string `json:"remedy,omitempty"` // what to do, or where to look; one line
}

// String returns the finding as a line: "FAIL btype: there is no …: koji call …".
func (f Finding) String() string {
	word := string(f.Status)
	if f.Status == Fail {
		word = "FAIL"
	}
	s := fmt.Sprintf("%-4s %s: %s", word, f.Check, f.Text)
	if f.Remedy != "" {
		s += ": " + f.Remedy
	}
	return s
}

// Options say what to look at.
type Options struct {
	// User asks the hub. Policies are looked at for this user, too, if it is
	// logged in; administrators see more.
	User *koji.Session

	// Nobody is not logged in: policies are looked at for a user without
	// permissions.
	Nobody *koji.Session

	// Target is the build target that modules are for; empty for none.
	Target string

	// Report is told of each finding at once; may be nil.
	Report func(Finding)
}

// Run looks at everything, in an order in which one reads it. The error is that of
// a hub that does not answer any more; it is among the findings, too.
func Run(ctx context.Context, opts Options) ([]Finding, error) {
	return run(ctx, opts, time.Now)
}

func run(ctx context.Context, opts Options, now func() time.Time) ([]Finding, error) {
	e := &exam{Options: opts, now: now, busy: map[string]bool{}}
	for _, check := range checks() {
		check(e, ctx)
		if e.down != nil {
			break
		}
	}
	return e.findings, e.down
}

// checks are all checks. Later ones use what earlier ones have seen.
func checks() []func(*exam, context.Context) {
	return []func(*exam, context.Context){
		(*exam).checkHub, (*exam).checkLogin, (*exam).checkPlugin, (*exam).checkBuildType, (*exam).checkGenerator,
		(*exam).checkTarget, (*exam).checkDestination,
		(*exam).checkModulePolicy, (*exam).checkComponentPolicies, (*exam).checkImportPolicies, (*exam).checkSources,
		(*exam).checkModuleBuilders, (*exam).checkComponentBuilders, (*exam).checkCreaterepo,
		(*exam).checkKojira, (*exam).checkRetention, (*exam).checkLeftovers,
	}
}

// An exam is one look at a hub.
type exam struct {
	Options
	now      func() time.Time
	findings []Finding
	down     error // the hub does not answer

	// What checks have seen, for those after them.
	me       *user   // nil where nobody is logged in
	admin    bool    // whether that is an administrator
	plugin   *plugin // nil where the hub has none
	arches   []string
	target   *koji.BuildTarget
	hostData map[int64]hostData
	busy     map[string]bool // names of builders that were reported as busy
}

type user struct {
	ID   int64  `xmlrpc:"id"`
	Name string `xmlrpc:"name"`
}

func (e *exam) add(status Status, check, remedy, text string, args ...any) {
	f := Finding{Check: check, Status: status, Text: line(fmt.Sprintf(text, args...)), Remedy: line(remedy)}
	e.findings = append(e.findings, f)
	if e.Report != nil {
		e.Report(f)
	}
}

func (e *exam) ok(check, text string, args ...any) { e.add(OK, check, "", text, args...) }

func (e *exam) warn(check, remedy, text string, args ...any) {
	e.add(Warn, check, remedy, text, args...)
}

func (e *exam) fail(check, remedy, text string, args ...any) {
	e.add(Fail, check, remedy, text, args...)
}

// unseen says that something cannot be seen, and where to look.
func (e *exam) unseen(check, where, what string, args ...any) {
	e.add(Note, check, "look at "+where, what+" cannot be seen from here", args...)
}

// call asks the hub. Where that fails, it reports and returns false.
func (e *exam) call(ctx context.Context, check, method string, result any, args ...any) bool {
	return e.answered(check, e.User.Call(ctx, method, result, args...))
}

func (e *exam) answered(check string, err error) bool {
	switch {
	case err == nil:
		return true
	case e.broken(check, err):
	default:
		e.fail(check, "see the hub's log", "the hub cannot say: %v", err)
	}
	return false
}

// broken reports an error that is not the hub's answer: no other call would do
// better.
func (e *exam) broken(check string, err error) bool {
	var fault *koji.Fault
	switch {
	case errors.Is(err, koji.ErrBadReply) && errors.Is(err, koji.ErrOutcomeUnknown):
		e.fail(check, "give the address of the hub, which mostly ends in /kojihub", "what answers is not a Koji hub: %v", err)
	case errors.Is(err, koji.ErrServerOffline):
		e.fail(check, "the hub's log says why: ServerOffline in hub.conf, the database, or a plugin that cannot be loaded", "the hub is offline: %v", err)
	case errors.As(err, &fault), errors.Is(err, koji.ErrBadReply), errors.Is(err, koji.ErrNotFound):
		return false
	default:
		e.fail(check, "see that the address is right and the web server runs", "the hub does not answer: %v", err)
	}
	e.down = err
	return true
}

// lacks reports whether the hub does not know a method.
func lacks(err error) bool {
	var fault *koji.Fault
	return errors.As(err, &fault) && strings.Contains(fault.Message, "Invalid method")
}

const maxLine = 600

// line makes one line of what may have come from strangers.
func line(s string) string {
	s = safetext.Line(s)
	if r := []rune(s); len(r) > maxLine {
		s = string(r[:maxLine]) + "…"
	}
	return s
}

// list writes some names, and how many there are more.
func list(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// times writes a number of things.
func times(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// LoginFailed returns what there is to say where the login has failed, and nothing
// else can be looked at.
func LoginFailed(err error) Finding {
	e := &exam{}
	if !e.broken("login", err) {
		e.fail("login", "see that the credentials are right, and that the hub allows this kind of login", "%v", err)
	}
	f := e.findings[0]
	var k *kerberos.Error
	if errors.As(err, &k) {
		f.Text, f.Remedy = line(k.Op+": "+k.Err.Error()), line(k.Remedy)
	}
	return f
}
