package kojitask

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/koji"
)

// Protocol is the version of the documents that the builder's plugin and this
// package exchange.
const Protocol = 1

// A Request is what the builder's plugin asks for: to carry out one task.
type Request struct {
	Protocol   int        `json:"protocol"`
	TaskID     int64      `json:"task_id"`
	Method     string     `json:"method"` // "moduleBuild" or "moduleContext"
	Parameters Parameters `json:"parameters"`

	Hub         string  `json:"hub"`           // URL of the hub
	CA          string  `json:"ca"`            // file with certificate authorities; empty: the system's
	NoSSLVerify bool    `json:"no_ssl_verify"` // as the builder is configured
	Session     Session `json:"session"`

	TopDir  string `json:"topdir"`  // Koji's files on this machine; empty where they are not
	TopURL  string `json:"topurl"`  // and on the web; empty where they are not
	WorkDir string `json:"workdir"` // the task's own directory
	Source  Source `json:"source"`
	MaxJobs int    `json:"maxjobs"` // of this builder
}

// Parameters are those of both methods.
type Parameters struct {
	// Of moduleBuild.
	Source string  `json:"source"` // as the user has given it
	Target string  `json:"target"`
	Opts   *Params `json:"opts"`

	// Of moduleContext, a part of a moduleBuild.
	Name    string `json:"name"`
	Stream  string `json:"stream"`
	Version string `json:"version"` // its digits: XML-RPC has no unsigned 64 bits
	Context string `json:"context"`
	Pin     *pin   `json:"pin"`
}

// Params are the options of a module build.
type Params struct {
	Scratch    bool              `json:"scratch"`
	KeepGoing  bool              `json:"keep_going"`
	Background bool              `json:"background"`
	Resume     int64             `json:"resume"`  // id of a moduleBuild task
	Version    string            `json:"version"` // digits
	Name       string            `json:"name"`
	Stream     string            `json:"stream"`
	SRPMs      map[string]string `json:"srpms"` // uploaded source packages by component
}

// A Session is the handler's, lent.
type Session struct {
	ID      int64  `json:"id"`
	Key     string `json:"key"`
	Callnum int64  `json:"callnum"`
}

// LogValue leaves out the key.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// String leaves out the key.
func (s Session) String() string { return fmt.Sprintf("session %d", s.ID) }

// GoString leaves out the key.
func (s Session) GoString() string { return s.String() }

// A Source is where the handler has put the module's source.
type Source struct {
	Path   string `json:"path"`   // a modulemd file, or a directory with one
	Pinned string `json:"pinned"` // URL#COMMIT, or the path of an upload
}

// maxRequest bounds a request in bytes. A pin has a megabyte at most.
const maxRequest = 8 << 20

// ReadRequest reads the one line that a request is.
func ReadRequest(r *bufio.Reader) (Request, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRequest {
			return Request{}, fmt.Errorf("the request is longer than %d bytes", maxRequest)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return Request{}, fmt.Errorf("reading the request: %w", err)
		}
	}
	var req Request
	if err := json.Unmarshal(line, &req); err != nil {
		// Not the error's text: it could quote the key.
		return Request{}, errors.New("the request is not the JSON that it should be")
	}
	return req, req.check()
}

func (r Request) check() error {
	switch {
	case r.Protocol != Protocol:
		return fmt.Errorf("the plugin speaks protocol %d and this program %d: install the same version of both", r.Protocol, Protocol)
	case r.TaskID <= 0:
		return fmt.Errorf("%d is no task", r.TaskID)
	case r.Method != methodBuild && r.Method != methodContext:
		return fmt.Errorf("there is no method %q", safetext.Text(r.Method))
	case r.WorkDir == "" || r.Source.Path == "":
		return errors.New("the request names no work directory or no source")
	case r.TopDir == "" && r.TopURL == "":
		return errors.New("neither topdir nor topurl is set in kojid.conf: packages cannot be read")
	case r.Method == methodContext && (r.Parameters.Pin == nil || r.Parameters.Name == "" || r.Parameters.Stream == "" ||
		r.Parameters.Version == "" || r.Parameters.Context == ""):
		return errors.New("the task of a context lacks its identity")
	}
	return nil
}

const (
	methodBuild   = "moduleBuild"
	methodContext = "moduleContext"
)

// A Reply is what the builder's plugin gets in the end.
type Reply struct {
	Callnum int64          `json:"callnum"` // the next free number of the session
	Result  map[string]any `json:"result,omitempty"`
	Fault   *ReplyFault    `json:"fault,omitempty"`
}

// A ReplyFault is why the task fails, as Koji has it.
type ReplyFault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Write writes the reply as one line.
func (r Reply) Write(w io.Writer) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// ErrSessionExpired says that the session cannot be used any more. Its owner can
// renew it, if the task is still his, and start over.
var ErrSessionExpired = errors.New("the session has expired")

// faultOf says how an error is told to Koji: what the hub has refused keeps its
// code, and what cannot be built is a BuildError.
func faultOf(err error) *ReplyFault {
	code := koji.ErrBuild
	var f *koji.Fault
	if errors.As(err, &f) && f.Code != koji.ErrUnspecified {
		code = f.Code
	} else if isEnvironment(err) {
		code = koji.ErrGeneric
	}
	return &ReplyFault{Code: int(code), Message: safetext.Text(err.Error())}
}
