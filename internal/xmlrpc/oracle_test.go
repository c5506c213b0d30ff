package xmlrpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kolo/xmlrpc"
)

// values are what all readers and writers must agree on.
var values = []any{
	true, false, int64(0), int64(-7), int64(1) << 31, int64(-1) << 63, 0.25, 1e16, -1.5e-7,
	"text", "<&>\"' äöü 😀", "two\nlines",
	[]any{"a", int64(1), []any{}},
	map[string]any{"k": "v", "list": []any{true}, "inner": map[string]any{"x": int64(1) << 40}},
}

// What we write, github.com/kolo/xmlrpc reads, and the other way round, where it
// is right: it has no "" in an any, reads nothing into <value>text</value>, and
// writes the names of members unescaped.
func TestAgreesWithKolo(t *testing.T) {
	for _, v := range values {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			data, err := EncodeResponse(v)
			if err != nil {
				t.Fatal(err)
			}
			resp := xmlrpc.Response(data)
			if err := resp.Err(); err != nil {
				t.Fatal(err)
			}
			var got any
			if err := resp.Unmarshal(&got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, got); diff != "" {
				t.Errorf("it reads (-ours +its):\n%s", diff)
			}
			call, err := xmlrpc.EncodeMethodCall("m.x", v)
			if err != nil {
				t.Fatal(err)
			}
			method, params, err := DecodeCall(call, Limits{})
			if err != nil {
				t.Fatalf("%v\n%s", err, call)
			}
			if diff := cmp.Diff([]any{v}, params); diff != "" || method != "m.x" {
				t.Errorf("we read %s (-its +ours):\n%s", method, diff)
			}
		})
	}
}

// python runs a script of Python's own XML-RPC, which Koji is built on.
func python(t *testing.T, script string, stdin []byte) []byte {
	t.Helper()
	const path = "/usr/bin/python3"
	if _, err := os.Stat(path); err != nil {
		t.Skip("python3 is not installed: ", err)
	}
	cmd := exec.Command(path, "-c", script)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, stderr.Bytes())
	}
	return out
}

func TestPythonReadsOurs(t *testing.T) {
	params := append([]any{nil, "", "a\r\nb\rc", "]]>", []byte("\x00\xff bytes"), map[string]any{"<&>": ""}}, values...)
	data, err := EncodeCall("m.x", params...)
	if err != nil {
		t.Fatal(err)
	}
	out := python(t, `
import sys, json, xmlrpc.client as x
params, method = x.loads(sys.stdin.buffer.read())
def plain(v):
    if isinstance(v, x.Binary): return "bytes:" + v.data.hex()
    return v
print(json.dumps([method] + [plain(v) for v in params]))
`, data)
	var got []any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	params[4] = "bytes:00ff206279746573"
	ours, err := json.Marshal(append([]any{"m.x"}, params...))
	if err != nil {
		t.Fatal(err)
	}
	var want []any
	if err := json.Unmarshal(ours, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-ours +python's:\n%s", diff)
	}
}

func TestWeReadPython(t *testing.T) {
	out := python(t, `
import sys, xmlrpc.client as x
v = [None, "", "a\nb", "<&>", True, -5, 0.1, 1e300, b"\x00\xff", x.Binary(b"q"*100), x.DateTime("20240102T03:04:05"),
     {"a": None, "b": "", "<": [[], {}]}, ("t", 1)]
sys.stdout.buffer.write(x.dumps((v,), methodresponse=True, allow_none=True).encode())
`, nil)
	got, err := DecodeResponse(out, Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	when, _ := scalar("dateTime.iso8601", "20240102T03:04:05")
	want := []any{nil, "", "a\nb", "<&>", true, int64(-5), 0.1, 1e300, []byte("\x00\xff"), bytes.Repeat([]byte("q"), 100), when,
		map[string]any{"a": nil, "b": "", "<": []any{[]any{}, map[string]any{}}}, []any{"t", int64(1)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
