package koji

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrRestarted: a file that was being read has become shorter than what was read of
// it, as logs do when a task starts anew.
var ErrRestarted = errors.New("the file was started anew")

// An OutputFile is a file that a task has uploaded.
type OutputFile struct {
	Name     string // relative, within the task's directory
	Volume   string // "DEFAULT" most of the time
	Size     int64
	Modified time.Time
}

// TaskOutput lists the files that a task has uploaded so far, by name and volume.
func (s *Session) TaskOutput(ctx context.Context, id int64) ([]OutputFile, error) {
	type stat struct {
		Size     string    `xmlrpc:"st_size"` // a string, because sizes outgrew XML-RPC's integers
		Modified time.Time `xmlrpc:"st_mtime"`
	}
	var reply map[string]map[string]stat
	if err := s.Call(ctx, "listTaskOutput", &reply, id, Named{"stat": true, "all_volumes": true}); err != nil {
		return nil, err
	}
	files := []OutputFile{}
	for name, volumes := range reply {
		if !filepath.IsLocal(name) {
			return nil, badReply("listTaskOutput", "%q is outside the task's directory", name)
		}
		for volume, st := range volumes {
			size, err := strconv.ParseInt(st.Size, 10, 64)
			if err != nil || size < 0 {
				return nil, badReply("listTaskOutput", "size %q of %s", st.Size, name)
			}
			files = append(files, OutputFile{Name: name, Volume: volume, Size: size, Modified: st.Modified})
		}
	}
	slices.SortFunc(files, func(a, b OutputFile) int {
		return strings.Compare(a.Name+"\x00"+a.Volume, b.Name+"\x00"+b.Volume)
	})
	return files, nil
}

// outputChunk is how much of a file is asked for at once, in bytes.
const outputChunk = 1 << 20

// ReadTaskOutput returns up to size bytes of a file of a task's, from offset on;
// none at its end. The error is ErrNotFound if there is no such file.
func (s *Session) ReadTaskOutput(ctx context.Context, id int64, name string, offset int64, size int) ([]byte, error) {
	var text string
	err := s.Call(ctx, "downloadTaskOutput", &text, id, name, Named{"offset": offset, "size": size})
	if err != nil {
		var f *Fault
		if errors.As(err, &f) && f.Code == ErrGeneric && strings.HasPrefix(f.Message, "no file ") {
			return nil, &CallError{Method: "downloadTaskOutput", Attempts: 1, Err: fmt.Errorf("%s of task %d: %w", name, id, ErrNotFound)}
		}
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil || len(data) > size {
		return nil, badReply("downloadTaskOutput", "%s of task %d is not up to %d bytes in base64", name, id, size)
	}
	return data, nil
}

// CopyTaskOutput writes a file of a task's to w, from offset on, and returns the
// offset of what follows: that to continue from after an error.
func (s *Session) CopyTaskOutput(ctx context.Context, w io.Writer, id int64, name string, offset int64) (int64, error) {
	for {
		data, err := s.ReadTaskOutput(ctx, id, name, offset, outputChunk)
		if err != nil || len(data) == 0 {
			return offset, err
		}
		n, err := w.Write(data)
		offset += int64(n)
		if err != nil {
			return offset, fmt.Errorf("koji: writing %s of task %d: %w", name, id, err)
		}
	}
}

// FollowTaskOutput is CopyTaskOutput for a file that grows, or is not there yet: it
// goes on until the task has finished. The error is ErrRestarted, and the offset 0,
// if the file is started anew.
func (s *Session) FollowTaskOutput(ctx context.Context, w io.Writer, id int64, name string, offset int64, opts WatchOptions) (int64, error) {
	opts = opts.withDefaults()
	pause := opts.Min
	for {
		// The task first: what it uploads before it ends is then seen after that.
		t, err := s.Task(ctx, id)
		if err != nil {
			return offset, err
		}
		next, err := s.CopyTaskOutput(ctx, w, id, name, offset)
		missing := errors.Is(err, ErrNotFound)
		if err != nil && (!missing || t.State.Finished()) {
			return next, err
		}
		if next == offset && !missing {
			if err := s.notShorter(ctx, id, name, offset); err != nil {
				return 0, err
			}
		}
		if t.State.Finished() {
			return next, nil
		}
		if next != offset {
			pause = opts.Min
		}
		offset = next
		if err := s.client.sleep(ctx, pause); err != nil {
			return offset, fmt.Errorf("koji: following %s of task %d: %w", name, id, err)
		}
		pause = min(pause*3/2, opts.Max)
	}
}

// notShorter returns ErrRestarted if a file of a task's ends before offset.
func (s *Session) notShorter(ctx context.Context, id int64, name string, offset int64) error {
	if offset == 0 {
		return nil
	}
	last, err := s.ReadTaskOutput(ctx, id, name, offset-1, 1)
	if err == nil && len(last) == 0 {
		err = fmt.Errorf("koji: %s of task %d: %w", name, id, ErrRestarted)
	}
	return err
}
