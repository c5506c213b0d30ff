package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kojimod/kojimod/internal/localbuild"
	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

func newPlanCmd() *cobra.Command {
	var o options
	var format string
	cmd := &cobra.Command{
		Use:   "plan [flags] SOURCE",
		Short: "Show what build would do, and build nothing",
		Long: `Show what would be built, in which order, under which identity and with which
macros, from which sources, and why each component is built or taken over from
an earlier build in the output directory. Nothing is built, and nothing changed.

    module-builder-task plan greeter.yaml
    module-builder-task plan --format dot greeter.yaml | dot -Tsvg > greeter.svg

A version that is not decided yet is from the time of this run, and will be
another one when the module is built.`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := map[string]func(io.Writer, planView) error{
				"table": writePlanTable, "json": writePlanJSON, "dot": writePlanDot,
			}[format]
			if !ok {
				return usageError{fmt.Errorf("--format %s: there are table, json and dot", format)}
			}
			log := slog.New(&textHandler{w: cmd.ErrOrStderr(), min: slog.LevelWarn})
			cfg, err := o.config(cmd.Context(), cmd.Flags(), args[0], log)
			if err != nil {
				return err
			}
			plan, err := localbuild.Plan(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return write(cmd.OutOrStdout(), viewPlan(plan, cfg.BuilderName))
		},
	}
	o.register(cmd.Flags())
	cmd.Flags().StringVar(&format, "format", "table", "how the plan is printed, `table|json|dot`")
	return cmd
}

// A planView is a plan as it is shown. Its JSON form is an interface: members are
// added, not changed.
type planView struct {
	NSVCA       string                     `json:"nsvca"`
	Name        string                     `json:"name"`
	Stream      string                     `json:"stream"`
	Version     string                     `json:"version"` // a string: it may need more digits than a JSON number keeps
	VersionFrom string                     `json:"version_from"`
	Context     string                     `json:"context"`
	Arch        string                     `json:"arch"`
	DistTag     string                     `json:"dist_tag"` // as %dist is, with its dot
	Time        string                     `json:"time"`
	Platform    string                     `json:"platform,omitempty"`
	Enable      []modulebuild.ModuleStream `json:"enable,omitempty"`
	Builder     string                     `json:"builder"`
	Macros      []modulebuild.Macro        `json:"macros"`
	Components  []componentView            `json:"components"` // in an order in which they can be built
}

type componentView struct {
	Name      string             `json:"name"`
	Action    string             `json:"action"` // "build", "take over" or "skip"
	Reason    string             `json:"reason"`
	After     []string           `json:"after"` // what comes directly before it
	BuildOnly bool               `json:"buildonly,omitempty"`
	Source    modulebuild.Source `json:"source"`
}

func viewPlan(p *modulebuild.Plan, builder string) planView {
	id := p.Identity
	v := planView{
		NSVCA: id.NSVCA(), Name: id.Name, Stream: id.Stream,
		Version: strconv.FormatUint(id.Version, 10), VersionFrom: p.VersionFrom,
		Context: string(id.Context), Arch: id.Arch, DistTag: "." + id.DistTag,
		Time: id.Time.UTC().Format("2006-01-02T15:04:05Z"), Enable: p.Enable, Builder: builder, Macros: p.Macros,
	}
	if p.Platform != nil {
		v.Platform = p.Platform.String()
	}
	for i, c := range p.Components {
		view := componentView{
			Name: c.Name, Action: "build", Reason: c.Reason, After: []string{},
			BuildOnly: c.Doc.BuildOnly, Source: c.Source,
		}
		switch {
		case c.Skip != "":
			view.Action = "skip"
		case c.Taken != nil:
			view.Action = "take over"
		}
		for _, b := range p.Graph.Before(i) {
			view.After = append(view.After, p.Components[b].Name)
		}
		v.Components = append(v.Components, view)
	}
	return v
}

func writePlanJSON(w io.Writer, v planView) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func writePlanTable(w io.Writer, v planView) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fact := func(name, value string) {
		if value != "" {
			fmt.Fprintf(tw, "%s\t%s\n", name, value)
		}
	}
	fact("module", v.NSVCA)
	fact("version", "from "+v.VersionFrom)
	fact("dist tag", v.DistTag)
	fact("platform", v.Platform)
	for _, m := range v.Enable {
		fact("enable", m.String())
	}
	fact("builder", v.Builder)
	fact("package time", v.Time)
	for i, m := range v.Macros {
		name := ""
		if i == 0 {
			name = "macros"
		}
		for j, line := range strings.Split(m.Body, "\n") {
			if j == 0 {
				line = "%" + m.Name + " " + line
			} else {
				line = "    " + line
			}
			fmt.Fprintf(tw, "%s\t%s\n", name, safetext.Line(line))
			name = ""
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "#\tCOMPONENT\tACTION\tAFTER\tSOURCE\tWHY")
	for i, c := range v.Components {
		after := strings.Join(c.After, ", ")
		if len(c.After) > 3 {
			after = fmt.Sprintf("%s and %d more", strings.Join(c.After[:2], ", "), len(c.After)-2)
		}
		name := c.Name
		if c.BuildOnly {
			name += " (buildonly)"
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\n", i+1, name, c.Action, dash(after), dash(sourceText(c.Source)), safetext.Line(c.Reason))
	}
	return tw.Flush()
}

func sourceText(s modulebuild.Source) string {
	if s.Kind == "" {
		return ""
	}
	text := s.Kind + " " + s.Location
	switch {
	case s.Commit != "" && s.Ref != "" && s.Ref != s.Commit:
		text += fmt.Sprintf(" %s (%.12s)", s.Ref, s.Commit)
	case s.Commit != "":
		text += " " + s.Commit
	default:
		text += fmt.Sprintf(" (%.19s)", s.Digest)
	}
	return safetext.Line(text)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func writePlanDot(w io.Writer, v planView) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n\trankdir=LR;\n\tnode [shape=box];\n", dotString(v.NSVCA))
	for _, c := range v.Components {
		style := "solid"
		switch c.Action {
		case "take over":
			style = "filled"
		case "skip":
			style = "dashed"
		}
		fmt.Fprintf(&b, "\t%s [style=%s, tooltip=%s];\n", dotString(c.Name), style, dotString(c.Reason))
	}
	for _, c := range v.Components {
		for _, before := range c.After {
			fmt.Fprintf(&b, "\t%s -> %s;\n", dotString(before), dotString(c.Name))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func dotString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(s) + `"`
}
