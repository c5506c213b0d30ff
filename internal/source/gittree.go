package source

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
)

// treeOf gives the id of the commit's tree at subdir.
func (c *clone) treeOf(ctx context.Context, commit, subdir string) (string, error) {
	if subdir == "" {
		id, err := c.revParse(ctx, commit+"^{tree}")
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		return id, err
	}
	id, err := c.revParse(ctx, commit+":"+subdir)
	if err == nil {
		id, err = c.revParse(ctx, id+"^{tree}")
	}
	if err != nil && ctx.Err() == nil {
		return "", badInput("", c.url.String(), fmt.Sprintf("commit %.12s has no directory %q", commit, subdir), nil)
	}
	return id, err
}

// list gives the files of a tree, sorted by path as git sorts them. Submodules
// are left out, as a clone without them does.
func (c *clone) list(ctx context.Context, tree string, maxSize int64) ([]entry, error) {
	out, err := c.git(ctx, "ls-tree", "-r", "-z", "--long", "--full-tree", tree)
	if err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		return nil, err
	}
	entries, err := parseTree(string(out))
	if err == nil {
		err = checkEntries(entries, maxSize)
	}
	if err != nil {
		return nil, badInput("", c.url.String(), "the tree is refused", err)
	}
	return entries, nil
}

// checkTargets follows the symbolic links of a tree that is not on disk, so that
// one which leads out is known before anything is built.
func checkTargets(entries []entry, targets map[string]string) error {
	for _, e := range entries {
		if e.mode == symlink && !staysInside(e.path, targets) {
			return badLink(e.path, targets[e.path])
		}
	}
	return nil
}

// maxLinks is how many links Linux follows for one path.
const maxLinks = 40

// staysInside follows a path in a tree with the given links, as the kernel would.
// A name that is no link counts as a directory or file that may be there.
func staysInside(p string, targets map[string]string) bool {
	var at []string // where we are, free of links
	todo := strings.Split(p, "/")
	for followed := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return false
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at, part)
		target, ok := targets[strings.Join(at, "/")]
		if !ok {
			continue
		}
		if followed++; followed > maxLinks || strings.HasPrefix(target, "/") || len(todo) > 10*maxTarget {
			return false
		}
		at = at[:len(at)-1]
		todo = append(strings.Split(target, "/"), todo...)
	}
	return true
}

// parseTree reads the output of git ls-tree -z --long: "MODE TYPE ID SIZE\tPATH\0".
func parseTree(out string) ([]entry, error) {
	var entries []entry
	for record := range strings.SplitSeq(out, "\x00") {
		if record == "" {
			continue
		}
		info, path, _ := strings.Cut(record, "\t")
		fields := strings.Fields(info)
		if len(fields) != 4 || !isCommitID(fields[2]) {
			return nil, fmt.Errorf("git ls-tree says %q", record)
		}
		e := entry{path: path, object: fields[2]}
		switch {
		case fields[0] == "160000":
			continue
		case fields[0] == "120000":
			e.mode = symlink
		case strings.HasPrefix(fields[0], "100") && len(fields[0]) == 6:
			e.mode = regular
			if perm, err := strconv.ParseUint(fields[0][3:], 8, 16); err == nil && perm&0o100 != 0 {
				e.mode = executable
			}
		default:
			return nil, fmt.Errorf("%q has the unknown mode %s", path, fields[0])
		}
		size, err := strconv.ParseInt(fields[3], 10, 64)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("git ls-tree says %q", record)
		}
		e.size = size
		entries = append(entries, e)
	}
	return entries, nil
}

// blobs runs use with a function that writes an entry's content, byte for byte
// as it was committed: no filter, end-of-line or keyword conversion. Each blob is
// checked against its id.
func (c *clone) blobs(ctx context.Context, use func(content func(entry, io.Writer) error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	askOut, askIn := io.Pipe()
	dataOut, dataIn := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := c.g.run(ctx, gitCall{
			url: c.url, repo: c.dir, lock: c.lock, stdin: askOut, stdout: dataIn, args: []string{"cat-file", "--batch"},
		})
		if err == nil {
			err = io.ErrUnexpectedEOF // as seen by who still reads
		}
		dataIn.CloseWithError(err)
		askOut.CloseWithError(err)
		ended <- err
	}()
	data := bufio.NewReaderSize(dataOut, 64<<10)
	err := use(func(e entry, w io.Writer) error { return readBlob(askIn, data, e, w) })
	// git ends when it is asked nothing more; after an error it may be in the
	// middle of a blob that nobody reads.
	askIn.Close()
	if err != nil {
		cancel()
	}
	dataOut.Close()
	<-ended
	return err
}

// readBlob asks git cat-file --batch for one blob and copies it to w.
func readBlob(ask io.Writer, data *bufio.Reader, e entry, w io.Writer) error {
	// What git itself breaks off with, or says wrongly, is our clone's fault; an
	// error of w or of the context is not.
	blame := func(err error) error {
		var failed *gitError
		if errors.As(err, &failed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errOther) {
			return fmt.Errorf("%w: %s: %w", errDamaged, e.path, err)
		}
		return err
	}
	if _, err := io.WriteString(ask, e.object+"\n"); err != nil {
		return blame(err)
	}
	head, err := data.ReadSlice('\n')
	if err != nil {
		return blame(err)
	}
	if want := fmt.Sprintf("%s blob %d\n", e.object, e.size); string(head) != want {
		return blame(fmt.Errorf("%w: git says %q", errOther, head))
	}
	h := blobHash(e)
	n, err := io.CopyN(io.MultiWriter(w, h), data, e.size)
	if err == io.EOF && n < e.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return blame(err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != e.object {
		return blame(fmt.Errorf("%w: its id is %s, not %s", errOther, got, e.object))
	}
	if _, err := data.ReadByte(); err != nil { // the newline after a blob
		return blame(err)
	}
	return nil
}

// errOther says that git gave something else than it was asked for.
var errOther = errors.New("other content than expected")

// blobHash starts the hash that gives a blob its id.
func blobHash(e entry) hash.Hash {
	h := sha1.New()
	if len(e.object) == 64 {
		h = sha256.New()
	}
	fmt.Fprintf(h, "blob %d\x00", e.size)
	return h
}
