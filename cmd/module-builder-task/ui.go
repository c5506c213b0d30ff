package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/kojimod/kojimod/internal/localbuild"
	"github.com/kojimod/kojimod/internal/progress"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// A buildUI shows a build to whoever started it: progress and messages on
// standard error, the result on standard output.
type buildUI struct {
	stdout, stderr io.Writer
	json           bool

	mu       sync.Mutex
	progress *progress.Progress // while components are built
}

// logger writes messages, above the progress while there is one.
func (ui *buildUI) logger() *slog.Logger {
	if ui.json {
		return slog.New(&jsonHandler{w: ui})
	}
	return slog.New(&textHandler{w: ui})
}

// Write takes one message of the logger.
func (ui *buildUI) Write(p []byte) (int, error) {
	ui.mu.Lock()
	defer ui.mu.Unlock()
	if ui.progress != nil && !ui.json {
		ui.progress.Println(strings.TrimSuffix(string(p), "\n"))
		return len(p), nil
	}
	return ui.stderr.Write(p)
}

func (ui *buildUI) begin(plan *modulebuild.Plan) {
	var names []string
	for _, c := range plan.Components {
		names = append(names, c.Name)
	}
	opts := progress.Options{Components: names, JSON: ui.json}
	if f, ok := ui.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		opts.Terminal = true
		opts.Size = func() (int, int) {
			w, h, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80, 24
			}
			return w, h
		}
	}
	if !ui.json {
		fmt.Fprintf(ui.stderr, "Building %s, dist tag .%s\n", plan.Identity.NSVCA(), plan.Identity.DistTag)
	}
	ui.mu.Lock()
	defer ui.mu.Unlock()
	ui.progress = progress.New(ui.stderr, opts)
}

func (ui *buildUI) end() error {
	ui.mu.Lock()
	defer ui.mu.Unlock()
	if ui.progress == nil {
		return nil
	}
	p := ui.progress
	ui.progress = nil
	return p.Close()
}

// build runs the build and shows it from its first message to its result.
func (ui *buildUI) build(ctx context.Context, cfg localbuild.Config) error {
	cfg.Begin = ui.begin
	cfg.Observe = func(ev modulebuild.Event) { ui.progress.Observe(ev) }
	res, err := localbuild.Build(ctx, cfg)
	if endErr := ui.end(); endErr != nil && err == nil {
		err = fmt.Errorf("showing the progress: %w", endErr)
	}
	if res != nil {
		for _, w := range res.Warnings {
			cfg.Log.Warn(w)
		}
	}
	if ui.json {
		return ui.resultJSON(ctx, res, err)
	}
	return ui.resultText(ctx, res, err)
}

func (ui *buildUI) resultText(ctx context.Context, res *localbuild.Result, err error) error {
	if err != nil {
		sayError(ctx, ui.stderr, err)
		if res != nil && res.Report != "" {
			fmt.Fprintf(ui.stderr, "Report: %s\n", res.Report)
		}
		return reportedError{err}
	}
	built, taken := 0, 0
	for _, o := range res.Outcomes {
		switch o.State {
		case modulebuild.Built:
			built++
		case modulebuild.TakenOver:
			taken++
		}
	}
	fmt.Fprintf(ui.stdout, "Module %s: %d components built, %d taken over, %d packages\n",
		res.Plan.Identity.NSVCA(), built, taken, len(res.Finished.Packages))
	fmt.Fprintf(ui.stdout, "Report: %s\n", res.Report)
	_, err = fmt.Fprintf(ui.stdout, "Repository: %s; use it: %s\n", res.Repo, res.Usage()[0])
	return err
}

// resultJSON writes one object, whatever the result is.
func (ui *buildUI) resultJSON(ctx context.Context, res *localbuild.Result, err error) error {
	type component struct {
		Name     string   `json:"name"`
		State    string   `json:"state"`
		Reason   string   `json:"reason,omitempty"`
		Packages []string `json:"packages,omitempty"`
		Error    string   `json:"error,omitempty"`
	}
	out := struct {
		Result     string      `json:"result"` // "built", "failed" or "interrupted"
		NSVCA      string      `json:"nsvca,omitempty"`
		Repository string      `json:"repository,omitempty"`
		Report     string      `json:"report,omitempty"`
		Artifacts  []string    `json:"artifacts,omitempty"`
		Usage      []string    `json:"usage,omitempty"`
		Warnings   []string    `json:"warnings,omitempty"`
		Error      string      `json:"error,omitempty"`
		Components []component `json:"components,omitempty"`
	}{Result: "built"}
	if err != nil {
		out.Result, out.Error = "failed", err.Error()
		if ctx.Err() != nil {
			out.Result = "interrupted"
		}
	}
	if res != nil {
		out.NSVCA, out.Report, out.Warnings = res.Plan.Identity.NSVCA(), res.Report, res.Warnings
		for _, o := range res.Outcomes {
			c := component{Name: o.Component, State: string(o.State), Reason: o.Reason}
			for _, pkg := range o.Packages {
				c.Packages = append(c.Packages, pkg.NEVRA.String())
			}
			if o.Err != nil {
				c.Error = o.Err.Error()
			}
			out.Components = append(out.Components, c)
		}
	}
	if err == nil {
		out.Repository, out.Usage = res.Repo, res.Usage()
		for _, pkg := range res.Finished.Packages {
			out.Artifacts = append(out.Artifacts, pkg.NEVRA.String())
		}
	}
	enc := json.NewEncoder(ui.stdout)
	enc.SetEscapeHTML(false)
	if writeErr := enc.Encode(out); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	if err != nil {
		return reportedError{err}
	}
	return nil
}
