package kojitest

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// Whatever is asked, by somebody who may do everything, the hub answers.
func FuzzRequest(f *testing.F) {
	h := New(f, Options{})
	h.AddTag(Tag{Name: "a", Arches: "x86_64"})
	h.AddTag(Tag{Name: "b", Parents: []string{"a"}, Packages: []string{"p"}})
	h.AddTarget("t", "a", "b")
	h.state.user("builder1").perms = []string{"admin"}
	lent := h.Lend("builder1")
	task := h.MakeTask("builder1", "moduleBuild", map[string]any{"source": "x://y#z", "target": "t", "opts": map[string]any{}})
	h.Open(task, "builder1")
	delete(h.methods, "logout") // the end of what is tried
	delete(h.methods, "host.closeTask")
	delete(h.methods, "host.failTask")
	for _, method := range slices.Sorted(maps.Keys(h.methods)) {
		for _, args := range [][]any{{}, {1}, {task, 1}, {"a", "b", true}, {task, map[string]any{"name": "n", "stream": "s", "version": "1", "context": "c"}},
			{"a", map[string]any{"extra": map[string]any{"x": 1}, "remove_extra": []any{1}, "__starstar": true}}, {"x", []any{}, task}} {
			body, err := xmlrpc.EncodeCall(method, args...)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req := httptest.NewRequest(http.MethodPost, "/kojihub", bytes.NewReader(body))
		req.Header.Set("Koji-Session-Id", strconv.FormatInt(lent.ID, 10))
		req.Header.Set("Koji-Session-Key", lent.Key)
		rec := httptest.NewRecorder()
		h.serveRPC(rec, req)
		if rec.Code == http.StatusOK {
			_, err := xmlrpc.DecodeResponse(rec.Body.Bytes(), xmlrpc.Limits{})
			if _, isFault := err.(*xmlrpc.Fault); err != nil && !isFault {
				t.Fatalf("the answer cannot be read: %v\n%s", err, rec.Body)
			}
		}
	})
}
