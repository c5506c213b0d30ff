package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

func newBuildCmd(umask os.FileMode) *cobra.Command {
	var o options
	var jobs int
	var keepGoing bool
	var logFormat string
	cmd := &cobra.Command{
		Use:   "build [flags] SOURCE",
		Short: "Build a module on this machine",
		Long: `Build a module on this machine.

SOURCE is a modulemd file, a directory with one, or a git URL with ?#ref:

    module-builder-task build greeter.yaml
    module-builder-task build --srpms ~/srpms ./greeter/
    module-builder-task build 'git+https://example.org/modules/greeter?#stream-1'

All components are rebuilt, each as soon as what must come before it is built,
and published with the module's metadata in DIR/repo. The same command again
takes over what is built and goes on where it was stopped.

Exit codes: 0 built, 1 a component or the environment failed, 2 usage or bad
input, 130 interrupted.`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			if jobs < 1 {
				return usageError{fmt.Errorf("--jobs %d: at least one is needed", jobs)}
			}
			if logFormat != "text" && logFormat != "json" {
				return usageError{fmt.Errorf("--log-format %s: there are text and json", logFormat)}
			}
			ui := &buildUI{stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), json: logFormat == "json"}
			cfg, err := o.config(cmd.Context(), cmd.Flags(), args[0], ui.logger())
			if err != nil && ui.json {
				return ui.resultJSON(cmd.Context(), nil, err)
			}
			if err != nil {
				return err
			}
			cfg.Jobs, cfg.KeepGoing, cfg.OutputMode = jobs, keepGoing, 0o777&^umask
			return ui.build(cmd.Context(), cfg)
		},
	}
	o.register(cmd.Flags())
	cmd.Flags().IntVarP(&jobs, "jobs", "j", runtime.NumCPU(), "how many components are built at once (`N`)")
	cmd.Flags().BoolVarP(&keepGoing, "keep-going", "k", false, "after a failure go on with what does not depend on it")
	cmd.Flags().StringVar(&logFormat, "log-format", "text", "how progress and messages are printed, `text|json`")
	return cmd
}
