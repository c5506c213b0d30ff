package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/safetext"
)

// A jsonHandler writes messages in the form of the progress: {"time": …, "event":
// "message", "level": …, "message": …}.
type jsonHandler struct {
	w     io.Writer
	attrs []slog.Attr
}

func (h *jsonHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h *jsonHandler) Handle(_ context.Context, r slog.Record) error {
	line := map[string]any{"time": r.Time.UTC().Format(time.RFC3339Nano), "event": "message", "level": strings.ToLower(r.Level.String()), "message": r.Message}
	add := func(a slog.Attr) bool {
		if _, ok := line[a.Key]; !ok {
			line[a.Key] = a.Value.String()
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = h.w.Write(append(data, '\n'))
	return err
}

func (h *jsonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &jsonHandler{h.w, append(append([]slog.Attr(nil), h.attrs...), attrs...)}
}

func (h *jsonHandler) WithGroup(string) slog.Handler { return h }

// A textHandler writes messages as people read them: "warning: text (key value)".
type textHandler struct {
	w     io.Writer
	min   slog.Level
	attrs []slog.Attr
}

func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	if r.Level >= slog.LevelWarn {
		b.WriteString(strings.Replace(strings.ToLower(r.Level.String()), "warn", "warning", 1) + ": ")
	}
	b.WriteString(safetext.Line(r.Message))
	write := func(a slog.Attr) bool {
		fmt.Fprintf(&b, "; %s: %s", a.Key, safetext.Line(a.Value.String()))
		return true
	}
	for _, a := range h.attrs {
		write(a)
	}
	r.Attrs(write)
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &textHandler{h.w, h.min, append(append([]slog.Attr(nil), h.attrs...), attrs...)}
}

func (h *textHandler) WithGroup(string) slog.Handler { return h }
