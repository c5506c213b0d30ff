// Record makes the calls of the package scenario to a hub of Koji's and writes the
// answers to a file, for the tests of kojitest. The hub keeps what it makes: it is
// not for a production hub.
//
// The hub needs the plugin module_build, the build type "module" (koji call addBType
// module), no policy module_build, policies build_from_srpm and build_from_repo_id that
// allow everything, a builder in the channels default and createrepo, and three
// accounts that log in by password: an administrator, somebody without rights, and a
// host that no daemon uses (koji add-host recorder x86_64).
//
//	go run ./internal/kojitest/record --server https://koji.example.org/kojihub \
//	    --admin kojiadmin --admin-password-file admin.pw --user somebody --user-password-file user.pw \
//	    --host recorder --host-password-file recorder.pw --srpm hello-1-1.src.rpm \
//	    --failing-srpm bad-1-1.src.rpm \
//	    --expire 'psql koji -c "update sessions set expired = true where id = $1"' \
//	    --out internal/kojitest/testdata/recordings/koji-1.35.3.json
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kojimod/kojimod/internal/kojitest/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	var conf scenario.Config
	flags := flag.NewFlagSet("record", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&conf.URL, "server", "", "the hub's `URL`")
	flags.StringVar(&conf.Admin.User, "admin", "kojiadmin", "an administrator")
	flags.StringVar(&conf.User.User, "user", "", "somebody without rights")
	flags.StringVar(&conf.Host.User, "host", "", "a builder's account that no daemon uses")
	adminFile := flags.String("admin-password-file", "", "`file` with the administrator's password")
	userFile := flags.String("user-password-file", "", "`file` with the user's password")
	hostFile := flags.String("host-password-file", "", "`file` with the host's password")
	srpm := flags.String("srpm", "", "source `package` to be built, of one package named hello")
	failing := flags.String("failing-srpm", "", "source `package` named bad that does not build")
	expire := flags.String("expire", "", "shell `command` that lets session $1 expire")
	out := flags.String("out", "", "`file` to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if conf.URL == "" || conf.User.User == "" || conf.Host.User == "" || *srpm == "" || *failing == "" || *out == "" {
		return fmt.Errorf("--server, --user, --host, --srpm, --failing-srpm and --out are needed; see --help")
	}
	for file, password := range map[*string]*string{adminFile: &conf.Admin.Password, userFile: &conf.User.Password, hostFile: &conf.Host.Password} {
		data, err := os.ReadFile(*file)
		if err != nil {
			return fmt.Errorf("reading a password: %w", err)
		}
		*password = strings.TrimSpace(string(data))
	}
	var err error
	if conf.SRPM, err = os.ReadFile(*srpm); err != nil {
		return err
	}
	if conf.FailingSRPM, err = os.ReadFile(*failing); err != nil {
		return err
	}
	if *expire != "" {
		conf.Expire = func(ctx context.Context, session int64) error {
			cmd := exec.CommandContext(ctx, "sh", "-c", *expire, "sh", strconv.FormatInt(session, 10))
			if text, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", *expire, err, text)
			}
			return nil
		}
	}
	conf.Prefix = "rec" + strconv.FormatInt(time.Now().Unix(), 36)
	recording, err := scenario.Run(ctx, conf)
	file := *out
	if err != nil {
		file += ".part" // for whoever wants to know why
	}
	data, merr := scenario.Marshal(recording)
	if merr == nil {
		merr = os.WriteFile(file, data, 0o644)
	}
	return errors.Join(err, merr)
}
