package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A clone is the bare repository that keeps what was fetched of one URL. It is
// locked as long as it is open. A commit that was fetched whole has the ref
// refs/pinned/COMMIT, which git writes after the objects.
type clone struct {
	g    *git
	url  GitURL
	dir  string
	lock *os.File
}

// openClone opens the clone for url, making it where there is none, and removes
// what a killed run has left in it. idLength is the length of the repository's
// object ids in hex digits.
func (g *git) openClone(ctx context.Context, url GitURL, idLength int) (*clone, error) {
	format := "sha1"
	if idLength == 64 {
		format = "sha256"
	}
	sum := sha256.Sum256([]byte(url.base()))
	dir := filepath.Join(g.dir, fmt.Sprintf("%x-%s.git", sum[:12], format))
	lock, err := lockFile(ctx, dir+".lock", g.log)
	if err != nil {
		return nil, err
	}
	c := &clone{g: g, url: url, dir: dir, lock: lock}
	if err := c.prepare(ctx, format); err != nil {
		lock.Close()
		return nil, fmt.Errorf("preparing the clone: %w", err)
	}
	return c, nil
}

func (c *clone) close() { c.lock.Close() }

func (c *clone) prepare(ctx context.Context, format string) error {
	if _, err := os.Lstat(c.dir); err == nil {
		if err := c.sweep(); err != nil {
			return err
		}
		if c.healthy(ctx, format) {
			return nil
		}
		c.g.log.Warn("a damaged clone is made anew", "url", c.url.String())
		if err := os.RemoveAll(c.dir); err != nil {
			return err
		}
	}
	// Made under another name, so that a clone with the right name is complete.
	fresh := c.dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	_, err := c.g.run(ctx, gitCall{lock: c.lock, args: []string{
		"init", "--quiet", "--bare", "--template=", "--object-format=" + format, "--", fresh,
	}})
	if err != nil {
		return err
	}
	return os.Rename(fresh, c.dir)
}

// healthy reports whether git takes the clone for a repository of the format.
func (c *clone) healthy(ctx context.Context, format string) bool {
	out, err := c.git(ctx, "rev-parse", "--is-bare-repository", "--show-object-format")
	if err != nil || strings.Join(strings.Fields(string(out)), " ") != "true "+format {
		return false
	}
	_, err = c.git(ctx, "for-each-ref", "--count=1")
	return err == nil
}

// sweep removes lock files and half-written packs. We hold the lock that all
// writers share, so nobody is using them.
func (c *clone) sweep() error {
	return filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == c.dir {
			return err
		}
		name := d.Name()
		inObjects := strings.HasPrefix(path, filepath.Join(c.dir, "objects")+"/")
		stale := strings.HasSuffix(name, ".lock") ||
			inObjects && (strings.HasPrefix(name, "tmp_") || strings.HasPrefix(name, "incoming-"))
		if !stale {
			return nil
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

func (c *clone) git(ctx context.Context, args ...string) ([]byte, error) {
	return c.g.run(ctx, gitCall{url: c.url, repo: c.dir, lock: c.lock, args: args})
}

// discard forgets the clone, so that the next use fetches again.
func (c *clone) discard() error { return os.RemoveAll(c.dir) }

// has reports whether the commit was fetched whole.
func (c *clone) has(ctx context.Context, commit string) bool {
	id, err := c.revParse(ctx, "refs/pinned/"+commit+"^{commit}")
	return err == nil && id == commit
}

func (c *clone) revParse(ctx context.Context, rev string) (string, error) {
	out, err := c.git(ctx, "rev-parse", "--quiet", "--verify", "--end-of-options", rev)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(out))
	if !isCommitID(id) {
		return "", fmt.Errorf("git rev-parse answers %q", id)
	}
	return id, nil
}

// ensure fetches the commit unless the clone has it. ref is where the remote
// advertises it; empty if it does not.
//
// Most servers give any commit by its id, and the id cannot move while we look.
// Older ones give only what they advertise, and some no part of a history.
func (c *clone) ensure(ctx context.Context, commit, ref string) error {
	if c.has(ctx, commit) {
		return nil
	}
	c.g.log.Info("fetching", "url", c.url.base(), "commit", commit)
	tries := [][]string{{"--depth=1", "+" + commit + ":refs/pinned/" + commit}}
	if ref != "" {
		tries = append(tries, []string{"--depth=1", "+" + ref + ":refs/advertised/ref"})
	}
	for _, args := range tries {
		err := c.fetch(ctx, args...)
		if ctx.Err() != nil || errors.Is(err, errStalled) {
			return err
		}
		if err == nil && c.pin(ctx, commit) == nil {
			return nil
		}
	}
	if err := c.fetchAll(ctx); err != nil {
		return err
	}
	if err := c.pin(ctx, commit); err != nil {
		if ctx.Err() != nil || errors.Is(err, errDamaged) {
			return err
		}
		return badInput("", "", fmt.Sprintf("no branch or tag has the commit %s", commit), nil)
	}
	return nil
}

// pin marks the commit as there.
func (c *clone) pin(ctx context.Context, commit string) error {
	if _, err := c.revParse(ctx, commit+"^{tree}"); err != nil {
		return err
	}
	_, err := c.git(ctx, "update-ref", "refs/pinned/"+commit, commit)
	if err != nil && ctx.Err() == nil {
		// The object is there, so it is the ref: a power cut can leave it empty.
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}

// fetchAll fetches all branches and tags with their history.
func (c *clone) fetchAll(ctx context.Context) error {
	args := []string{"--update-shallow", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}
	if _, err := os.Stat(filepath.Join(c.dir, "shallow")); err == nil {
		args = append([]string{"--unshallow"}, args...)
	}
	return c.fetch(ctx, args...)
}

// fetch runs git fetch with the options and refspecs in args.
func (c *clone) fetch(ctx context.Context, args ...string) error {
	all := []string{
		"fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
		"--no-recurse-submodules", "--force",
	}
	var refspecs []string
	for _, a := range args {
		if strings.HasPrefix(a, "--") {
			all = append(all, a)
		} else {
			refspecs = append(refspecs, a)
		}
	}
	all = append(append(all, "--end-of-options", c.url.Remote), refspecs...)
	_, err := c.git(ctx, all...)
	return err
}

// commitTime reads the committer's time from the commit object. It does not use
// git-show or git-log, which may run gpg when a repository's configuration says so.
func (g *git) commitTime(ctx context.Context, call gitCall, commit string) (time.Time, error) {
	call.args = []string{"cat-file", "commit", commit}
	out, err := g.run(ctx, call)
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if line == "" {
			break
		}
		if rest, ok := strings.CutPrefix(line, "committer "); ok {
			fields := strings.Fields(rest)
			if len(fields) < 2 {
				break
			}
			seconds, err := strconv.ParseInt(fields[len(fields)-2], 10, 64)
			if err != nil || seconds < 0 || seconds > 253402300799 { // the year 9999
				break
			}
			return time.Unix(seconds, 0).UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("commit %s has no committer time", commit)
}
