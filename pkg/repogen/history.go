package repogen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/kojimod/kojimod/internal/atomicfile"
)

// historyName is the file in repodata that remembers which files older metadata have
// named. It is there only as long as there are such files, or while a run is between
// placing its files and publishing them.
const historyName = ".previous.json"

// A history says which files in repodata are ours to remove.
type history struct {
	Repomd   string   `json:"repomd"`          // SHA-256 of the repomd.xml that was to be published
	Previous []string `json:"previous"`        // files that the one before named
	Older    []string `json:"older,omitempty"` // files that still older ones named
	Next     []string `json:"next,omitempty"`  // files of the one that was to be published
}

func newHistory(text []byte, previous, known, next map[string]bool) history {
	sum := sha256.Sum256(text)
	h := history{
		Repomd:   hex.EncodeToString(sum[:]),
		Previous: slices.Sorted(maps.Keys(previous)),
		Next:     slices.Sorted(maps.Keys(next)),
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !previous[name] && !next[name] {
			h.Older = append(h.Older, name)
		}
	}
	return h
}

// all gives every file that the history knows of.
func (h history) all() map[string]bool {
	out := make(map[string]bool)
	for _, list := range [][]string{h.Previous, h.Older, h.Next} {
		for _, name := range list {
			if isMetadataName(name) {
				out[name] = true
			}
		}
	}
	return out
}

// previousOf gives the files that were named before the repomd.xml with this text was
// published, if that is what the history tells of.
func (h history) previousOf(text []byte) map[string]bool {
	out := make(map[string]bool)
	sum := sha256.Sum256(text)
	if h.Repomd == hex.EncodeToString(sum[:]) {
		for _, name := range h.Previous {
			out[name] = true
		}
	}
	return out
}

func (h history) empty() bool { return len(h.Previous)+len(h.Older)+len(h.Next) == 0 }

// loadHistory reads the history. One that cannot be read is as good as none: then some
// old files stay.
func loadHistory(repodata string) history {
	var h history
	text, err := readBounded(filepath.Join(repodata, historyName), 1<<20)
	if err != nil || json.Unmarshal(text, &h) != nil {
		return history{}
	}
	return h
}

// save makes the file say what h says; an empty history is no file. What is
// already so is not written again.
func (h history) save(repodata string) error {
	path := filepath.Join(repodata, historyName)
	if h.empty() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return atomicfile.Write(path, text, 0o644)
}
