// Package sandbox runs programs that nobody trusts, such as the build scripts
// of packages, over a copy of the host's file system that costs nothing.
//
// A Session is a set of namespaces of its own (user where we are not root,
// mount, PID, network, IPC, UTS) in which the directories that hold software
// (/usr, /etc, /var, /opt …) are overlays of the host's: what is written there
// lands in a private directory and is gone afterwards. Everything else that the
// host has (/home, /root, /run, /srv, /mnt …) is not there at all, except for
// what the caller binds. There is no network but the loopback device.
//
// The first process of the namespaces is this very program, started again, so a
// program that uses this package begins its main (and a test its TestMain) with
// Init:
//
//	func main() {
//		sandbox.Init()
//		…
//		s, err := sandbox.Start(ctx, sandbox.Config{WorkDir: dir})
//		if err != nil { … }
//		defer s.Close()
//		err = s.Run(ctx, sandbox.Command{Args: []string{"id"}, Stdout: os.Stdout})
//	}
//
// Nothing survives us: when this process ends, by kill -9 too, the kernel kills
// all that runs in the session, and the mounts go with the last process.
package sandbox

import (
	"io"
	"log/slog"
	"os"
)

// BuilderID is the user and group number that commands with AsBuilder set run
// under, the same as root and as an ordinary user. It is from the range that
// neither distributions nor systemd hand out, so that no other process on the
// host has it.
const BuilderID = 60747

// BuilderName is the name of that user in the sandbox's /etc/passwd.
const BuilderName = "mockbuild"

// Hostname is the name of every sandbox, so that a build cannot record the
// host's.
const Hostname = "sandbox.localdomain"

// Path is the value of PATH that commands get unless their Env has another. It
// leaves /usr/local out: what an administrator put there is not what a package
// is built with.
const Path = "/usr/bin:/usr/sbin:/bin:/sbin"

// A Config says what a Session looks like. Only WorkDir is needed.
type Config struct {
	// WorkDir is an existing directory in which the session makes a private one
	// for everything that is written, and removes it in the end.
	WorkDir string

	// Binds are directories of the host that are to be seen in the sandbox.
	Binds []Bind

	// Hide are absolute directories of the host that are empty in the sandbox, where
	// it would have them at all. What not everybody may read below /etc, /opt and
	// /var is empty in any case.
	Hide []string

	// Writable are absolute directories that commands not run as the builder
	// will make files in. An ordinary user cannot write in an overlay of a
	// directory that the host's root owns unless this is known beforehand.
	Writable []string

	// Files are put in place before the first command runs, over what the host has.
	Files []File

	Log *slog.Logger // nil for none
}

// A Bind shows a directory of the host in the sandbox.
type Bind struct {
	Source string // absolute path on the host
	Target string // absolute path in the sandbox
	Write  bool   // may be written; else read-only
}

// A File is put into the sandbox. It belongs to the sandbox's root.
type File struct {
	Path string // absolute
	Data []byte
	Mode os.FileMode
}

// A Command is a program to run in a Session.
type Command struct {
	Args []string // program, looked up in Path, and its arguments
	Env  []string // the whole environment, "NAME=value"; Path is added where it has no PATH
	Dir  string   // in the sandbox; "/" if empty

	// Stdout and Stderr get what the program and its children write; nil
	// discards it. They may be the same writer: then writes do not overlap.
	Stdout, Stderr io.Writer

	// AsBuilder runs the program under BuilderID without any privilege. Else it
	// is root in the sandbox, with the few capabilities that installing packages
	// needs.
	AsBuilder bool
}

// An ExitError is a command that ran and did not end well.
type ExitError struct {
	Program string
	Code    int    // exit status, or -1
	Signal  string // what ended it, for example "killed"; empty if it exited
}

func (e *ExitError) Error() string {
	if e.Signal != "" {
		return e.Program + " was ended by a signal: " + e.Signal
	}
	return e.Program + " ended with exit status " + itoa(e.Code)
}
