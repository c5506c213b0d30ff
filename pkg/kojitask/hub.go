package kojitask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/kojimod/kojimod/pkg/koji"
)

// hub makes the calls of one task. All of them can be repeated: asked twice, the
// hub answers as before.
type hub struct {
	*koji.Session
	task int64
}

// repeats is how often a call is made again whose reply was lost.
const repeats = 5

// call makes a call, and again where its reply was lost.
func (h *hub) call(ctx context.Context, method string, result any, args ...any) error {
	return repeat(ctx, func() error { return h.Call(ctx, method, result, args...) })
}

// multiCall makes the calls that add adds as one, and again where the reply was lost.
// That must be looked for even where nothing is changed: the hub takes note of each
// multiCall, as it does not of other calls that only ask.
func (h *hub) multiCall(ctx context.Context, add func(*koji.MultiCall)) error {
	return repeat(ctx, func() error {
		var calls koji.MultiCall
		add(&calls)
		return calls.Do(ctx, h.Session)
	})
}

func repeat(ctx context.Context, call func() error) error {
	var err error
	for range repeats {
		err = call()
		if !errors.Is(err, koji.ErrReplyLost) && !errors.Is(err, koji.ErrOutcomeUnknown) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// A pin is what is decided before anything is built, and found again by a run that
// starts over.
type pin struct {
	Source     string            `json:"source" xmlrpc:"source"`         // of the module's document
	Time       int64             `json:"time" xmlrpc:"time"`             // of that source, in seconds
	Components map[string]string `json:"components" xmlrpc:"components"` // their sources, as a build task takes them
	Requires   []int64           `json:"requires" xmlrpc:"requires"`     // builds of the modules that it is built with
}

// An identity as the hub's plugin has it: all text.
type identity struct {
	Name    string `xmlrpc:"name"`
	Stream  string `xmlrpc:"stream"`
	Version string `xmlrpc:"version"`
	Context string `xmlrpc:"context"`
}

func (id identity) version() (uint64, error) {
	v, err := strconv.ParseUint(id.Version, 10, 64)
	if err != nil || v == 0 {
		return 0, fmt.Errorf("the hub has reserved the version %q, which is none", id.Version)
	}
	return v, nil
}

// A reservation is what the hub keeps for the task.
type reservation struct {
	Identity  identity   `xmlrpc:"identity"`
	NVR       string     `xmlrpc:"nvr"`
	BuildID   *int64     `xmlrpc:"build_id"` // nil for a scratch build
	Tag       string     `xmlrpc:"tag"`
	TagID     int64      `xmlrpc:"tag_id"`
	Pin       *pin       `xmlrpc:"pin"`
	FirstTask int64      `xmlrpc:"first_task"` // of those that resume one another
	Finished  *published `xmlrpc:"finished"`   // nil until it is
}

// published is what moduleFinish answers.
type published struct {
	BuildID *int64 `xmlrpc:"build_id"`
	NVR     string `xmlrpc:"nvr"`
	Tag     string `xmlrpc:"tag"`
	RepoID  int64  `xmlrpc:"repo_id"`
	DestTag string `xmlrpc:"dest_tag"`
}

// reserved returns the task's reservation, nil if it has none.
func (h *hub) reserved(ctx context.Context) (*reservation, error) {
	var r *reservation
	return r, h.call(ctx, "host.moduleReserve", &r, h.task)
}

func (h *hub) reserve(ctx context.Context, id identity, p pin) (*reservation, error) {
	var r reservation
	return &r, h.call(ctx, "host.moduleReserve", &r, h.task, id, p)
}

// tagPlan is what the module's tags are made from.
type tagPlan struct {
	Packages []string            `xmlrpc:"packages"`
	Requires []int64             `xmlrpc:"requires"`
	Groups   map[string][]string `xmlrpc:"groups"`
	Macros   map[string]string   `xmlrpc:"macros"`
	Arches   []string            `xmlrpc:"arches"`
}

type moduleTags struct {
	Tag      string   `xmlrpc:"tag"`
	BuildTag string   `xmlrpc:"build_tag"`
	Arches   []string `xmlrpc:"arches"`
}

func (h *hub) makeTags(ctx context.Context, plan tagPlan) (moduleTags, error) {
	var tags moduleTags
	return tags, h.call(ctx, "host.moduleTags", &tags, h.task, plan)
}

func (h *hub) tagBuild(ctx context.Context, build int64) error {
	return h.call(ctx, "host.moduleTagBuild", nil, h.task, build)
}

type moduleRepo struct {
	ID int64 `xmlrpc:"repo_id"`
}

func (h *hub) makeRepo(ctx context.Context) (moduleRepo, error) {
	var repo moduleRepo
	return repo, h.call(ctx, "host.moduleRepo", &repo, h.task)
}

func (h *hub) finish(ctx context.Context, finish map[string]any) (published, error) {
	var p published
	return p, h.call(ctx, "host.moduleFinish", &p, h.task, finish)
}

// subtask starts a child, or returns the one that has its label.
func (h *hub) subtask(ctx context.Context, method string, args []any, label, channel string) (int64, error) {
	opts := koji.Named{"parent": h.task, "label": label}
	if channel != "" {
		opts["channel"] = channel
	}
	var id int64
	if err := h.call(ctx, "host.subtask", &id, method, args, opts); err != nil {
		return 0, fmt.Errorf("starting the task %s: %w", label, err)
	}
	return id, nil
}

// buildsOf returns what a task has built.
func (h *hub) buildsOf(ctx context.Context, task int64) ([]koji.Build, error) {
	return h.TaskBuilds(ctx, task)
}

// cancelChildren ends what the task has started.
func (h *hub) cancelChildren(ctx context.Context) error {
	return h.call(ctx, "cancelTaskChildren", nil, h.task)
}

// decodeInto turns a hub's free-form value into a struct by way of JSON.
func decodeInto(v, result any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, result)
}
