package kojitest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/adler32"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
)

// upload takes a chunk of a file (kojihub.handle_upload).
func (c *call) upload(r *http.Request, body []byte) (any, error) {
	if c.user == nil {
		return nil, fault(errActionNotAllowed, "you must be logged-in to upload a file")
	}
	q := r.URL.Query()
	offset, err := strconv.ParseInt(q.Get("offset"), 10, 64)
	if err != nil && q.Get("offset") != "" {
		return nil, unspecified("<class 'ValueError'>: invalid literal for int() with base 10: '%s'", q.Get("offset"))
	}
	overwrite := q.Get("overwrite") != ""
	name, err := c.uploadPath(q.Get("filepath"), q.Get("filename"), true)
	if err != nil {
		return nil, err
	}
	if st, err := os.Lstat(name); err == nil {
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			return nil, fault(errGeneric, "destination is a symlink: %s", name)
		case !st.Mode().IsRegular():
			return nil, fault(errGeneric, "destination not a file: %s", name)
		case offset == 0 && !overwrite:
			return nil, fault(errGeneric, "upload path exists: %s", name)
		}
	}
	sum, err := hashOf(q.Get("fileverify"))
	if err != nil {
		return nil, err
	}
	if offset, err = writeChunk(name, offset, overwrite, c.h.opts.UpTo1353, body); err != nil {
		return nil, err
	}
	reply := map[string]any{"size": len(body), "fileverify": q.Get("fileverify"), "offset": offset}
	if sum != nil {
		sum.Write(body)
		reply["hexdigest"] = hex.EncodeToString(sum.Sum(nil))
	}
	c.h.note(Event{Kind: UploadReceived, Name: strings.TrimPrefix(name, filepath.Join(c.h.Topdir, "work")+"/"), User: c.user.name})
	return reply, nil
}

func writeChunk(name string, offset int64, overwrite, unchecked bool, body []byte) (int64, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, unspecified("%v", err)
	}
	defer f.Close()
	switch {
	case offset == -1:
		offset, err = f.Seek(0, io.SeekEnd)
	case overwrite:
		err = f.Truncate(offset)
	}
	if err == nil {
		_, err = f.WriteAt(body, offset)
	}
	if err != nil {
		return 0, unspecified("%v", err)
	}
	if st, err := f.Stat(); err == nil && !overwrite && !unchecked && st.Size() != offset+int64(len(body)) {
		return 0, fault(errGeneric, "Incorrect upload length for %s - Expected %d, actual %d", name, offset+int64(len(body)), st.Size())
	}
	return offset, nil
}

func hashOf(name string) (hash.Hash, error) {
	switch name {
	case "":
		return nil, nil
	case "adler32":
		return adler32.New(), nil
	case "md5":
		return md5.New(), nil
	case "sha1":
		return sha1.New(), nil
	case "sha256":
		return sha256.New(), nil
	}
	return nil, fault(errGeneric, "Unsupported verify type: %s", name)
}

// uploadPath returns where an uploaded file is (get_upload_path). Into a task's
// directory only the host writes that holds the task; others are their first
// user's.
func (c *call) uploadPath(dir, name string, create bool) (string, error) {
	if name == "" || strings.Contains(name, "/") || strings.HasPrefix(name, ".") {
		return "", fault(errGeneric, "Invalid upload filename: %s", name)
	}
	clean := path.Clean(dir)
	if strings.HasPrefix(clean, "..") || path.IsAbs(clean) {
		return "", fault(errGeneric, "Invalid upload directory: %s", dir)
	}
	full := filepath.Join(c.h.Topdir, "work", clean)
	if !create {
		return filepath.Join(full, name), nil
	}
	parts := strings.Split(clean, "/")
	owned := true
	if parts[0] == "tasks" {
		id := int64(-1)
		if len(parts) > 2 {
			if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
				id = n
			}
		}
		if id < 0 {
			return "", fault(errGeneric, "Invalid task upload directory: %s", dir)
		}
		if _, err := c.needTask(id); err != nil {
			return "", err
		}
		owned = false
	}
	if err := os.MkdirAll(full, 0o755); err != nil {
		return "", unspecified("%v", err)
	}
	if owned {
		mark := filepath.Join(full, ".user")
		who := strconv.FormatInt(c.user.id, 10)
		if old, err := os.ReadFile(mark); err == nil && string(old) != who {
			return "", fault(errGeneric, "Invalid upload directory, not owner: %s", dir)
		} else if err != nil {
			if err := os.WriteFile(mark, []byte(who), 0o644); err != nil {
				return "", unspecified("%v", err)
			}
		}
	}
	return filepath.Join(full, name), nil
}

func outputMethods() map[string]method {
	return map[string]method{
		"checkUpload":        handle(2, (*call).checkUpload),
		"listTaskOutput":     handle(1, (*call).listTaskOutput),
		"downloadTaskOutput": handle(2, (*call).downloadTaskOutput),
	}
}

type checkUploadParams struct {
	Path   string  `xmlrpc:"path"`
	Name   string  `xmlrpc:"name"`
	Verify string  `xmlrpc:"verify"`
	Tail   *int    `xmlrpc:"tail"`
	Volume *string `xmlrpc:"volume"`
}

func (c *call) checkUpload(p checkUploadParams) (any, error) {
	name, err := c.uploadPath(p.Path, p.Name, false)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, unspecified("%v", err)
	}
	reply := map[string]any{"size": st.Size(), "mtime": ts(st.ModTime())}
	sum, err := hashOf(p.Verify)
	if err != nil {
		return nil, err
	}
	if sum != nil {
		if p.Tail != nil {
			if *p.Tail < 0 {
				return nil, fault(errGeneric, "Invalid tail value: %d", *p.Tail)
			}
			data = data[max(0, len(data)-*p.Tail):]
		}
		sum.Write(data)
		reply["sumlength"], reply["hexdigest"] = len(data), hex.EncodeToString(sum.Sum(nil))
	}
	return reply, nil
}

// TaskDir returns the directory of what a task has uploaded.
func (h *Hub) TaskDir(id int64) string {
	return filepath.Join(h.Topdir, "work", "tasks", strconv.FormatInt(id%10000, 10), strconv.FormatInt(id, 10))
}

type outputParams struct {
	Task       int64 `xmlrpc:"taskID"`
	Stat       bool  `xmlrpc:"stat"`
	AllVolumes bool  `xmlrpc:"all_volumes"`
	Strict     bool  `xmlrpc:"strict"`
}

func (c *call) listTaskOutput(p outputParams) (any, error) {
	if p.Strict && c.h.state.tasks[p.Task] == nil {
		return nil, fault(errGeneric, "Task doesn't exist")
	}
	dir := c.h.TaskDir(p.Task)
	names, infos := []any{}, map[string]any{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, file)
		names = append(names, rel)
		st, err := os.Stat(file)
		if err != nil {
			return err
		}
		t := float64(st.ModTime().UnixMicro()) / 1e6
		infos[rel] = map[string]any{"st_size": strconv.FormatInt(st.Size(), 10), "st_atime": t, "st_mtime": t, "st_ctime": t}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unspecified("%v", err)
	}
	onVolume := func(k string, v any) {
		infos[k] = map[string]any{"DEFAULT": v}
	}
	switch {
	case p.AllVolumes && p.Stat:
		for k, v := range infos {
			onVolume(k, v)
		}
	case p.AllVolumes:
		for k := range infos {
			infos[k] = []any{"DEFAULT"}
		}
	case !p.Stat:
		slices.SortFunc(names, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		return names, nil
	}
	return infos, nil
}

type downloadParams struct {
	Task   int64   `xmlrpc:"taskID"`
	Name   string  `xmlrpc:"fileName"`
	Offset int64   `xmlrpc:"offset"`
	Size   *int    `xmlrpc:"size"`
	Volume *string `xmlrpc:"volume"`
}

// downloadTaskOutput returns a piece of a file in base64, as text.
func (c *call) downloadTaskOutput(p downloadParams) (any, error) {
	if strings.Contains(p.Name, "..") {
		return nil, fault(errGeneric, "Invalid file name: %s", p.Name)
	}
	data, err := os.ReadFile(filepath.Join(c.h.TaskDir(p.Task), p.Name))
	if err != nil {
		return nil, fault(errGeneric, `no file "%s" output by task %d`, p.Name, p.Task)
	}
	if p.Offset < 0 {
		p.Offset = max(0, int64(len(data))+p.Offset)
	}
	data = data[min(p.Offset, int64(len(data))):]
	if p.Size != nil && *p.Size >= 0 {
		data = data[:min(*p.Size, len(data))]
	}
	return base64.StdEncoding.EncodeToString(data), nil
}
