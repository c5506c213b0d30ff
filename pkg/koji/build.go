package koji

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// A BuildState is the state of a build (koji.BUILD_STATES).
type BuildState int

// The states of a build.
const (
	BuildBuilding BuildState = 0
	BuildComplete BuildState = 1
	BuildDeleted  BuildState = 2
	BuildFailed   BuildState = 3
	BuildCanceled BuildState = 4
)

// String returns Koji's name of the state, for example "COMPLETE".
func (s BuildState) String() string {
	names := [...]string{"BUILDING", "COMPLETE", "DELETED", "FAILED", "CANCELED"}
	if s < 0 || int(s) >= len(names) {
		return "state " + strconv.Itoa(int(s))
	}
	return names[s]
}

// A Build is what Koji says about a build. Fields that the call at hand does not
// return are zero.
type Build struct {
	ID        int64      `xmlrpc:"id"`
	PackageID int64      `xmlrpc:"package_id"`
	Name      string     `xmlrpc:"name"`
	Version   string     `xmlrpc:"version"`
	Release   string     `xmlrpc:"release"`
	Epoch     *int64     `xmlrpc:"epoch"` // nil for none, which is not 0 in Koji
	NVR       string     `xmlrpc:"nvr"`
	State     BuildState `xmlrpc:"state"`
	Draft     bool       `xmlrpc:"draft"`
	TaskID    *int64     `xmlrpc:"task_id"` // nil for an imported build
	OwnerID   int64      `xmlrpc:"owner_id"`
	OwnerName string     `xmlrpc:"owner_name"`
	Volume    string     `xmlrpc:"volume_name"`
	Source    *string    `xmlrpc:"source"`  // where it was built from, pinned
	CGName    *string    `xmlrpc:"cg_name"` // the content generator that made it

	Extra map[string]any `xmlrpc:"extra"` // nil for none

	CreationEvent int64      `xmlrpc:"creation_event_id"`
	Created       time.Time  `xmlrpc:"creation_ts"` // of getBuild only
	Started       *time.Time `xmlrpc:"start_ts"`
	Completed     *time.Time `xmlrpc:"completion_ts"`

	// Of tagged builds only: the tag that it is in, which may be an inherited one,
	// and the event of its tagging.
	TagID    int64  `xmlrpc:"tag_id"`
	TagName  string `xmlrpc:"tag_name"`
	TagEvent int64  `xmlrpc:"create_event"`
}

// Build returns the build with a name-version-release; the error is ErrNotFound if
// there is none.
func (s *Session) Build(ctx context.Context, nvr string) (Build, error) {
	return lookup[Build](ctx, s, "getBuild", nvr)
}

// BuildByID returns the build with an id; the error is ErrNotFound if there is none.
func (s *Session) BuildByID(ctx context.Context, id int64) (Build, error) {
	return lookup[Build](ctx, s, "getBuild", id)
}

// TaskBuilds returns the builds that a task has made.
func (s *Session) TaskBuilds(ctx context.Context, task int64) ([]Build, error) {
	var reply []any
	if err := s.Call(ctx, "listBuilds", &reply, Named{"taskID": task}); err != nil {
		return nil, err
	}
	for _, b := range reply {
		if m, ok := b.(map[string]any); ok {
			m["id"] = m["build_id"] // as other calls have it
		}
	}
	var builds []Build
	return builds, put("listBuilds", &builds, reply)
}

// lookup calls a method that returns nil for what does not exist.
func lookup[T any](ctx context.Context, s *Session, method string, args ...any) (T, error) {
	var found *T
	var zero T
	if err := s.Call(ctx, method, &found, args...); err != nil {
		return zero, err
	}
	if found == nil {
		return zero, &CallError{Method: method, Attempts: 1, Err: fmt.Errorf("%v: %w", args[0], ErrNotFound)}
	}
	return *found, nil
}

// An RPM is what Koji says about an RPM.
type RPM struct {
	ID           int64     `xmlrpc:"id"`
	BuildID      int64     `xmlrpc:"build_id"`
	Name         string    `xmlrpc:"name"`
	Version      string    `xmlrpc:"version"`
	Release      string    `xmlrpc:"release"`
	Arch         string    `xmlrpc:"arch"`  // "src" for a source RPM
	Epoch        *int64    `xmlrpc:"epoch"` // nil for none
	Draft        bool      `xmlrpc:"draft"`
	Size         int64     `xmlrpc:"size"`
	PayloadHash  string    `xmlrpc:"payloadhash"` // SIGMD5, in hexadecimal
	BuildTime    time.Time `xmlrpc:"buildtime"`
	BuildrootID  *int64    `xmlrpc:"buildroot_id"` // nil for an imported RPM
	MetadataOnly bool      `xmlrpc:"metadata_only"`

	// SigKey is the key of one signature, where signatures were asked for: an RPM
	// is then listed once for each; nil or empty for the unsigned copy.
	SigKey *string `xmlrpc:"sigkey"`

	Extra map[string]any `xmlrpc:"extra"`
}
