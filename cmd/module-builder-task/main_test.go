package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kojimod/kojimod/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Init()
	testscript.Main(m, map[string]func(){"module-builder-task": main})
}

// TestScripts runs testdata/script: one file for each thing that a user can see.
// Beside the usual commands there is
//
//	exits CODE COMMAND [ARG...]
//
// which runs a command and looks at its exit code.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("MODULES", filepath.Join(root, "testdata", "modules"))
			env.Setenv("RPMS", filepath.Join(root, "testdata", "rpms"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
			for _, who := range []string{"AUTHOR", "COMMITTER"} {
				env.Setenv("GIT_"+who+"_NAME", "A Packager")
				env.Setenv("GIT_"+who+"_EMAIL", "packager@example.org")
				env.Setenv("GIT_"+who+"_DATE", "2024-01-02T03:04:05Z")
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if program, ok := strings.CutPrefix(cond, "has:"); ok {
				_, err := exec.LookPath(program)
				return err == nil, nil
			}
			return false, errors.New("unknown condition")
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    exits,
			"generate": generate,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// generate writes a document that is too much of something.
func generate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: generate KIND FILE")
	}
	var b bytes.Buffer
	b.WriteString("document: modulemd\nversion: 2\ndata:\n  name: big\n  xmd:\n    a: ")
	switch args[0] {
	case "deep":
		b.WriteString(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000))
	case "nodes":
		b.WriteString("[" + strings.Repeat("x,", 250_000) + "x]")
	case "large":
		b.WriteString(strings.Repeat("x", 5<<20))
	default:
		ts.Fatalf("unknown kind %s", args[0])
	}
	b.WriteByte('\n')
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o666))
}
