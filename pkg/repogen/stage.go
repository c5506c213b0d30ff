package repogen

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kojimod/kojimod/internal/atomicfile"
)

// A stagedFile is a metadata file that is written but does not have its name yet,
// because the name starts with the checksum.
type stagedFile struct {
	file   *atomicfile.File
	base   string // name without the checksum: "primary.xml.gz"
	record Record // complete after finish, but for the timestamp

	buffered *bufio.Writer
	packed   sumWriter // what goes to the file
	zip      *gzip.Writer
	plain    sumWriter // what is written
}

// sumWriter hashes and counts what passes through.
type sumWriter struct {
	w     io.Writer
	sum   hash.Hash
	count int64
}

func (s *sumWriter) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.sum.Write(b[:n])
	s.count += int64(n)
	return n, err
}

func newStagedFile(repodata, record, base string) (*stagedFile, error) {
	f, err := atomicfile.Create(filepath.Join(repodata, base), 0o644)
	if err != nil {
		return nil, err
	}
	s := &stagedFile{file: f, base: base, record: Record{Type: record}}
	s.buffered = bufio.NewWriterSize(f, 128<<10)
	s.packed = sumWriter{w: s.buffered, sum: sha256.New()}
	// The gzip header has neither name nor time, so that equal text is equal bytes. The
	// zero time.Time would be written as some day in 2042.
	s.zip = gzip.NewWriter(&s.packed)
	s.zip.ModTime = time.Unix(0, 0)
	s.plain = sumWriter{w: s.zip, sum: sha256.New()}
	return s, nil
}

func (s *stagedFile) Write(b []byte) (int, error) { return s.plain.Write(b) }

// finish completes the file and its record, and makes the content durable.
func (s *stagedFile) finish() error {
	if err := s.zip.Close(); err != nil {
		return err
	}
	if err := s.buffered.Flush(); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.record.Checksum = Checksum{"sha256", hex.EncodeToString(s.packed.sum.Sum(nil))}
	s.record.OpenChecksum = Checksum{"sha256", hex.EncodeToString(s.plain.sum.Sum(nil))}
	s.record.Size, s.record.OpenSize = s.packed.count, s.plain.count
	s.record.Location = repodataDir + "/" + s.record.Checksum.Value + "-" + s.base
	return nil
}

// place gives the file its final name in repodata.
func (s *stagedFile) place(repodata string) error {
	return os.Rename(s.file.Name(), s.finalPath(repodata))
}

func (s *stagedFile) finalPath(repodata string) string {
	return filepath.Join(repodata, filepath.Base(s.record.Location))
}

// stageAll writes all metadata but repomd.xml under temporary names. It looks at
// one package at a time.
func stageAll(ctx context.Context, pub *publisher, packages []*Package, modules []byte) ([]*stagedFile, []string, error) {
	formats := metadataFormats()
	for _, f := range formats {
		if err := pub.stage(f.record, f.record+".xml.gz"); err != nil {
			return nil, nil, err
		}
		head := xmlProlog + "<" + f.root + f.head + ` packages="` + strconv.Itoa(len(packages)) + `">` + "\n"
		if _, err := io.WriteString(pub.staged[len(pub.staged)-1], head); err != nil {
			return nil, nil, err
		}
	}
	var warnings []string
	unsaid := 0
	var x buffer
	for _, p := range packages {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		d, w, err := describe(p)
		if err != nil {
			return nil, nil, err
		}
		room := min(len(w), maxWarnings-len(warnings))
		warnings = append(warnings, w[:room]...)
		unsaid += len(w) - room
		for i, f := range formats {
			x.b = x.b[:0]
			f.write(&x, d)
			if _, err := pub.staged[i].Write(x.b); err != nil {
				return nil, nil, err
			}
		}
	}
	if unsaid > 0 {
		warnings = append(warnings, fmt.Sprintf("%d more warnings of this kind", unsaid))
	}
	for i, f := range formats {
		if _, err := io.WriteString(pub.staged[i], "</"+f.root+">"); err != nil {
			return nil, nil, err
		}
	}
	if len(modules) > 0 {
		if err := pub.stage("modules", "modules.yaml.gz"); err != nil {
			return nil, nil, err
		}
		if _, err := pub.staged[len(pub.staged)-1].Write(modules); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range pub.staged {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if err := s.finish(); err != nil {
			return nil, nil, fmt.Errorf("writing %s: %w", s.base, err)
		}
	}
	return pub.staged, warnings, nil
}
