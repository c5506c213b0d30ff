package source

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strings"
)

// A File is one line of a sources file: a file that is kept outside the
// repository, in a lookaside cache.
type File struct {
	Name string // of the file, without a directory
	Type string // of the checksum: "md5", "sha1", "sha224", "sha256", "sha384" or "sha512"
	Hash string // the checksum, lower-case hex
	Line int    // in the sources file, from 1
}

const (
	maxSourcesSize  = 1 << 20
	maxSourcesFiles = 4096
)

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224,
	"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// hashByLength tells the checksum of the old format from its length in hex
// digits.
var hashByLength = map[int]string{32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}

var (
	newLine = regexp.MustCompile(`^([A-Za-z0-9-]+) \((.+)\) ?= ?([0-9A-Fa-f]+)$`)
	oldLine = regexp.MustCompile(`^([0-9A-Fa-f]+)[ \t]+\*?(.+)$`)
)

// ParseSources reads a sources file of dist-git, in the format of BSD checksum
// tools ("SHA512 (file) = hex") or the older one of md5sum ("hex  file"). Blank
// lines and lines with '#' are skipped. The error names the line.
func ParseSources(data []byte) ([]File, error) {
	if len(data) > maxSourcesSize {
		return nil, fmt.Errorf("it is larger than %d bytes", maxSourcesSize)
	}
	var files []File
	seen := map[string]File{}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, maxSourcesSize+1)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		file, err := parseSourcesLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		file.Line = n
		if old, ok := seen[file.Name]; ok {
			if old.Type == file.Type && old.Hash == file.Hash {
				continue
			}
			return nil, fmt.Errorf("line %d: %s is listed with another checksum in line %d", n, file.Name, old.Line)
		}
		seen[file.Name] = file
		if files = append(files, file); len(files) > maxSourcesFiles {
			return nil, fmt.Errorf("line %d: more than %d files", n, maxSourcesFiles)
		}
	}
	return files, scanner.Err()
}

func parseSourcesLine(line string) (File, error) {
	var file File
	if m := newLine.FindStringSubmatch(line); m != nil {
		file = File{Name: m[2], Type: strings.ToLower(m[1]), Hash: strings.ToLower(m[3])}
	} else if m := oldLine.FindStringSubmatch(line); m != nil {
		file = File{Name: m[2], Type: hashByLength[len(m[1])], Hash: strings.ToLower(m[1])}
		if file.Type == "" {
			return File{}, fmt.Errorf("a checksum of %d hex digits is of no known kind", len(m[1]))
		}
	} else {
		return File{}, fmt.Errorf("%.200q is neither 'SHA512 (file) = checksum' nor 'checksum  file'", line)
	}
	newHash, ok := hashes[file.Type]
	if !ok {
		return File{}, fmt.Errorf("the checksum %.40q is not supported: use SHA512", file.Type)
	}
	if want := newHash().Size() * 2; len(file.Hash) != want {
		return File{}, fmt.Errorf("the %s checksum of %.200q has %d hex digits, not %d", file.Type, file.Name, len(file.Hash), want)
	}
	if err := checkFileName(file.Name); err != nil {
		return File{}, fmt.Errorf("the file name %.300q %w", file.Name, err)
	}
	return file, nil
}

// checkFileName refuses names that are not of a file in the directory itself, or
// that a shell or a terminal would take for something else.
func checkFileName(s string) error {
	switch {
	case strings.ContainsAny(s, `/\`) || s == "." || s == "..":
		return errors.New("leaves the directory")
	case strings.EqualFold(s, ".git") || s == "sources":
		return errors.New("is not one that a source can have")
	}
	return checkText(s, 255)
}

// verify compares what was hashed with what the sources file says.
func (f File) verify(h hash.Hash, where string) error {
	got := hex.EncodeToString(h.Sum(nil))
	if got == f.Hash {
		return nil
	}
	return badInput("", "", fmt.Sprintf("sources line %d: %s from %s has the %s checksum\n  %s, not\n  %s",
		f.Line, f.Name, where, f.Type, got, f.Hash), nil)
}

func (f File) newHash() hash.Hash { return hashes[f.Type]() }
