package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kojimod/kojimod/internal/doctor"
	"github.com/kojimod/kojimod/internal/regularfile"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/koji/kerberos"
)

func newDoctorCmd() *cobra.Command {
	var o doctorOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [flags] --server URL",
		Short: "Say whether a Koji hub can build modules, and what to do where it cannot",
		Long: `Look at a Koji hub and say, one line each, whether it can build modules, and
what to do where it cannot. Nothing is changed.

    module-builder-task doctor --server https://koji.example.org/kojihub --target el9-modules

Each line begins with what it means:

    ok    as it should be
    warn  modules can be built; see whether it is meant so
    FAIL  modules cannot be built until this is mended
    note  cannot be seen from here: look yourself

Nobody is logged in unless flags say who. Policies are looked at for a user
without permissions, and for the one who is logged in; an administrator sees
more of kojira.

Exit codes: 0 nothing fails, 1 something does, 2 usage.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("an argument %q that no flag takes; see %s --help", args[0], cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), o, asJSON, cmd.OutOrStdout())
		},
	}
	o.register(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array of check, status, text and remedy")
	return cmd
}

// doctorOptions say which hub, and who looks.
type doctorOptions struct {
	server, serverCA, target string
	cert                     string
	keytab, principal        string
	user, passwordFile       string
}

func (o *doctorOptions) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.server, "server", "", "the hub's `URL`, as https://koji.example.org/kojihub")
	f.StringVar(&o.target, "target", "", "build `TARGET` that modules are for")
	f.StringVar(&o.serverCA, "serverca", "", "PEM `FILE` of the certificate authority that the hub's certificate is from (default the system's)")
	f.StringVar(&o.cert, "cert", "", "log in by certificate, with this PEM `FILE` of certificate and key")
	f.StringVar(&o.keytab, "keytab", "", "log in by Kerberos, with this keytab (`FILE`)")
	f.StringVar(&o.principal, "principal", "", "log in by Kerberos, as `PRINCIPAL` of the keytab or the ticket cache")
	f.StringVar(&o.user, "user", "", "log in by password, as `USER`")
	f.StringVar(&o.passwordFile, "password-file", "", "`FILE` whose first line is the password (default what KOJI_PASSWORD_FILE names)")
}

func runDoctor(ctx context.Context, o doctorOptions, asJSON bool, stdout io.Writer) error {
	client, err := o.client()
	if err != nil {
		return usageError{err}
	}
	var out doctorOutput
	session, err := o.login(ctx, client)
	if errors.As(err, new(usageError)) {
		return err
	}
	opts := doctor.Options{User: session, Nobody: client.Anonymous(), Target: o.target}
	defer opts.Nobody.Close()
	if !asJSON {
		opts.Report = func(f doctor.Finding) { out.line(stdout, f) }
	}
	if err == nil {
		defer session.Close()
		defer logout(session)
		// A hub that stops answering is among the findings.
		out.findings, _ = doctor.Run(ctx, opts)
	} else {
		out.findings = []doctor.Finding{doctor.LoginFailed(err)}
		if opts.Report != nil {
			opts.Report(out.findings[0])
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		out.err = enc.Encode(out.findings)
	}
	if out.err != nil {
		return fmt.Errorf("writing the findings: %w", out.err)
	}
	for _, f := range out.findings {
		if f.Status == doctor.Fail {
			return exitError(exitFailed)
		}
	}
	return nil
}

// doctorOutput keeps the first error of writing.
type doctorOutput struct {
	findings []doctor.Finding
	err      error
}

func (o *doctorOutput) line(w io.Writer, f doctor.Finding) {
	if _, err := fmt.Fprintln(w, f); err != nil && o.err == nil {
		o.err = err
	}
}

// logout ends a session, also where the user has interrupted us.
func logout(s *koji.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = s.Logout(ctx) // it expires by itself
}

// client checks the flags that are about the hub.
func (o *doctorOptions) client() (*koji.Client, error) {
	if o.server == "" {
		return nil, errors.New("--server is needed: the hub's address, as https://koji.example.org/kojihub")
	}
	ways := 0
	for _, set := range []bool{o.cert != "", o.keytab != "" || o.principal != "", o.user != ""} {
		if set {
			ways++
		}
	}
	switch {
	case ways > 1:
		return nil, errors.New("--cert, --keytab or --principal, and --user are three ways to log in: give one")
	case o.passwordFile != "" && o.user == "":
		return nil, errors.New("--password-file needs --user")
	}
	// Whoever runs this waits for it: no long patience.
	opts := koji.Options{RetryFor: -1, OfflineFor: -1, RequestTimeout: 2 * time.Minute}
	if o.serverCA != "" {
		pem, err := regularfile.ReadFile(o.serverCA, 4<<20)
		if err != nil {
			return nil, fmt.Errorf("--serverca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--serverca %s: no certificate in PEM is in it", o.serverCA)
		}
		opts.TLS = &tls.Config{RootCAs: pool}
	}
	client, err := koji.New(o.server, opts)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	return client, nil
}

// login logs in as the flags say; with none it gives the session of nobody.
func (o *doctorOptions) login(ctx context.Context, client *koji.Client) (*koji.Session, error) {
	switch {
	case o.cert != "":
		pem, err := regularfile.ReadFile(o.cert, 4<<20)
		if err != nil {
			return nil, usageError{fmt.Errorf("--cert: %w", err)}
		}
		cert, err := tls.X509KeyPair(pem, pem)
		if err != nil {
			return nil, usageError{fmt.Errorf("--cert %s: %w", o.cert, err)}
		}
		return client.LoginCertificate(ctx, cert)
	case o.keytab != "" || o.principal != "":
		return kerberos.Login(ctx, client, kerberos.Options{Keytab: o.keytab, Principal: o.principal})
	case o.user != "":
		password, err := o.password()
		if err != nil {
			return nil, usageError{err}
		}
		return client.LoginPassword(ctx, o.user, password)
	}
	return client.Anonymous(), nil
}

func (o *doctorOptions) password() (string, error) {
	file := o.passwordFile
	if file == "" {
		file = os.Getenv("KOJI_PASSWORD_FILE")
	}
	if file == "" {
		return "", errors.New("--user needs --password-file, or KOJI_PASSWORD_FILE in the environment")
	}
	b, err := regularfile.ReadFile(file, 64<<10)
	if err != nil {
		return "", fmt.Errorf("the password: %w", err)
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	password := string(bytes.TrimSuffix(first, []byte("\r")))
	if password == "" {
		return "", fmt.Errorf("the first line of %s is empty, and should be the password", file)
	}
	return password, nil
}
