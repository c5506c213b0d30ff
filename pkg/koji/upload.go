package koji

import (
	"context"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// UploadOptions are what an upload can be told. The zero value works.
type UploadOptions struct {
	// Resume goes on where an earlier upload of the same content has ended. What is
	// there must be the content's beginning; otherwise all is sent.
	Resume bool

	// Volume is the hub's volume; the default one unless set.
	Volume string

	// Progress is called after each chunk with how many bytes the hub has; may be
	// nil.
	Progress func(done int64)
}

// An Uploaded is what the hub has of an upload.
type Uploaded struct {
	Size     int64     `xmlrpc:"size"`
	Modified time.Time `xmlrpc:"mtime"`     // zero where the hub was not asked
	Adler32  string    `xmlrpc:"hexdigest"` // 8 digits
}

// Upload sends a file to the hub's work directory: the file name in dir, which is
// for example "cli-build/1700000000.12.abcd" or that of a task, "tasks/5/5". An
// existing file is replaced. Each chunk's checksum is compared with what the hub
// got, and that of the whole in the end; the error is ErrDigest if they differ.
func (s *Session) Upload(ctx context.Context, dir, name string, src io.ReaderAt, size int64, opts UploadOptions) (Uploaded, error) {
	if err := checkUploadPath(dir, name); err != nil {
		return Uploaded{}, err
	}
	var offset int64
	if opts.Resume {
		var err error
		if offset, err = s.uploadedPrefix(ctx, dir, name, src, size, opts.Volume); err != nil {
			return Uploaded{}, err
		}
	}
	resumed := offset > 0
	buf := make([]byte, min(int64(s.client.opts.UploadChunk), max(size, 1)))
	for first := true; offset < size || first && size == 0; first = false {
		chunk := buf[:min(int64(len(buf)), size-offset)]
		if _, err := io.ReadFull(io.NewSectionReader(src, offset, int64(len(chunk))), chunk); err != nil && len(chunk) > 0 {
			return Uploaded{}, fmt.Errorf("koji: uploading %s: reading it at byte %d: %w", name, offset, err)
		}
		if err := s.UploadChunk(ctx, dir, name, chunk, offset, opts.Volume); err != nil {
			return Uploaded{}, err
		}
		offset += int64(len(chunk))
		if opts.Progress != nil {
			opts.Progress(offset)
		}
	}
	sum, err := checksumOf(src, size)
	if err != nil {
		return Uploaded{}, fmt.Errorf("koji: uploading %s: %w", name, err)
	}
	if !resumed && size <= int64(len(buf)) {
		// One chunk is the whole file, and its checksum was compared.
		return Uploaded{Size: size, Adler32: sum}, nil
	}
	got, err := s.CheckUpload(ctx, dir, name, opts.Volume)
	if err != nil {
		return Uploaded{}, err
	}
	if got.Size != size || got.Adler32 != sum {
		return Uploaded{}, &CallError{Method: "checkUpload", Attempts: 1, Err: fmt.Errorf(
			"%w: %s/%s has %d bytes with adler32 %s, not %d with %s", ErrDigest, dir, name, got.Size, got.Adler32, size, sum)}
	}
	return got, nil
}

func checkUploadPath(dir, name string) error {
	if name == "" || strings.Contains(name, "/") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("koji: uploading: %q is no file name", name)
	}
	if dir == "" || path.Clean(dir) != dir || path.IsAbs(dir) || strings.HasPrefix(dir+"/", "../") {
		return fmt.Errorf("koji: uploading %s: %q is no relative directory", name, dir)
	}
	return nil
}

// uploadedPrefix returns how much of the content the hub has already.
func (s *Session) uploadedPrefix(ctx context.Context, dir, name string, src io.ReaderAt, size int64, volume string) (int64, error) {
	got, err := s.CheckUpload(ctx, dir, name, volume)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil || got.Size > size {
		return 0, err
	}
	sum, err := checksumOf(src, got.Size)
	if err != nil {
		return 0, fmt.Errorf("koji: uploading %s: %w", name, err)
	}
	if sum != got.Adler32 {
		return 0, nil
	}
	return got.Size, nil
}

func checksumOf(src io.ReaderAt, size int64) (string, error) {
	h := adler32.New()
	n, err := io.Copy(h, io.NewSectionReader(src, 0, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("reading it at byte %d: %w", n, err)
	}
	return fmt.Sprintf("%08x", h.Sum32()), nil
}

// UploadChunk writes data into an uploaded file at offset, which is up to where the
// file ends; what followed is cut off. A log that grows is sent so, piece by piece.
func (s *Session) UploadChunk(ctx context.Context, dir, name string, data []byte, offset int64, volume string) error {
	if err := checkUploadPath(dir, name); err != nil {
		return err
	}
	query := url.Values{
		"filename":   {name},
		"filepath":   {dir},
		"fileverify": {"adler32"},
		"offset":     {strconv.FormatInt(offset, 10)},
		// Without it the first chunk cannot be sent again when the reply is lost.
		"overwrite": {"1"},
	}
	if volume != "" {
		query.Set("volume", volume)
	}
	v, err := s.do(ctx, &request{method: "rawUpload", query: query, contentType: "application/octet-stream", body: data})
	if err != nil {
		return err
	}
	var got struct {
		Size   int64  `xmlrpc:"size"`
		Offset int64  `xmlrpc:"offset"`
		Digest string `xmlrpc:"hexdigest"`
	}
	if err := xmlrpc.Assign(&got, v); err != nil {
		return badReply("rawUpload", "%v", err)
	}
	want := fmt.Sprintf("%08x", adler32.Checksum(data))
	if got.Size != int64(len(data)) || got.Offset != offset || got.Digest != want {
		return &CallError{Method: "rawUpload", Attempts: 1, Err: fmt.Errorf(
			"%w: the hub got %d bytes with adler32 %s at %d of %s/%s, not %d with %s at %d",
			ErrDigest, got.Size, got.Digest, got.Offset, dir, name, len(data), want, offset)}
	}
	return nil
}

// CheckUpload returns what the hub has of an upload; the error is ErrNotFound if it
// has nothing.
func (s *Session) CheckUpload(ctx context.Context, dir, name, volume string) (Uploaded, error) {
	named := Named{"verify": "adler32"}
	if volume != "" {
		named["volume"] = volume
	}
	var got *Uploaded
	if err := s.Call(ctx, "checkUpload", &got, dir, name, named); err != nil {
		return Uploaded{}, err
	}
	if got == nil {
		return Uploaded{}, &CallError{Method: "checkUpload", Attempts: 1, Err: fmt.Errorf("%s/%s: %w", dir, name, ErrNotFound)}
	}
	return *got, nil
}
