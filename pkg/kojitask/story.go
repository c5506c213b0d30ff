package kojitask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kojimod/kojimod/internal/safetext"
	"github.com/kojimod/kojimod/pkg/koji"
)

// A story is the task's log for people: what is done and why, and what is waited
// for. It is a file of the task's, and is sent to the hub while it grows.
type story struct {
	hub     *hub
	log     *slog.Logger
	now     func() time.Time
	started time.Time
	path    string

	mu   sync.Mutex
	file *os.File
	size int64 // of the file
	sent int64 // of it, to the hub
}

const (
	storyName = "module.log"
	// storyEvery is the shortest time between two pieces that are sent.
	storyEvery = 10 * time.Second
	// maxStory bounds what is taken over from an earlier run, in bytes.
	maxStory = 16 << 20
)

// newStory goes on with what an earlier run of the task has told.
func newStory(ctx context.Context, h *hub, dir string, log *slog.Logger, now func() time.Time) (*story, error) {
	s := &story{hub: h, log: log, now: now, started: now(), path: filepath.Join(dir, storyName)}
	var earlier bytes.Buffer
	old, err := h.CheckUpload(ctx, koji.TaskDir(h.task), storyName, "")
	switch {
	case errors.Is(err, koji.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("looking for the log of an earlier run: %w", err)
	case old.Size <= maxStory:
		if _, err := h.CopyTaskOutput(ctx, &earlier, h.task, storyName, 0); err != nil {
			return nil, fmt.Errorf("reading the log of an earlier run: %w", err)
		}
	}
	told := earlier.Bytes()
	// What a run that was killed had not sent yet.
	if local, err := os.ReadFile(s.path); err == nil && len(local) <= maxStory && bytes.HasPrefix(local, told) {
		told = local
	}
	if s.file, err = os.Create(s.path); err != nil {
		return nil, err
	}
	if _, err := s.file.Write(told); err != nil {
		return nil, err
	}
	s.size, s.sent = int64(len(told)), int64(earlier.Len())
	if s.size > 0 {
		s.printf("the task has started over; what is done already is taken over")
	}
	return s, nil
}

// printf adds a line, with the time of day in UTC and how long the run has lasted.
func (s *story) printf(format string, args ...any) {
	text := safetext.Text(fmt.Sprintf(format, args...))
	now := s.now()
	line := fmt.Sprintf("%s %8s  %s\n", now.UTC().Format("15:04:05"), elapsed(now.Sub(s.started)), text)
	s.log.Info(text)
	s.raw(line)
}

// raw adds text as it is.
func (s *story) raw(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.file.WriteString(text)
	s.size += int64(n)
	if err != nil {
		s.log.Warn("writing the task's log: " + err.Error())
	}
}

func elapsed(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	if d < time.Hour {
		return fmt.Sprintf("+%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("+%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// run sends what is new from time to time, until the context ends.
func (s *story) run(ctx context.Context) {
	tick := time.NewTicker(storyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.flush(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("sending the task's log: " + err.Error())
			}
		}
	}
}

// chunk is how much of a log is sent at once, in bytes.
const chunk = 1 << 20

// flush sends all that is new. One goroutine at a time may call it.
func (s *story) flush(ctx context.Context) error {
	for {
		s.mu.Lock()
		sent, data := s.sent, make([]byte, min(chunk, s.size-s.sent))
		s.mu.Unlock()
		if len(data) == 0 {
			return nil
		}
		if _, err := s.file.ReadAt(data, sent); err != nil {
			return err
		}
		if err := s.hub.UploadChunk(ctx, koji.TaskDir(s.hub.task), storyName, data, sent, ""); err != nil {
			return err
		}
		s.mu.Lock()
		s.sent = sent + int64(len(data))
		s.mu.Unlock()
	}
}
