package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A gitPin is a commit that is in our clone.
type gitPin struct {
	commit string
	branch string // the branch it was found by; empty for a tag or an id
}

// pin finds the commit that url's ref names and fetches it.
func (g *git) pin(ctx context.Context, url GitURL) (gitPin, error) {
	if url.Scheme == "file" {
		if _, err := os.Stat(url.Remote); err != nil {
			return gitPin{}, badInput("", url.base(), "there is no git repository", err)
		}
	}
	if isCommitID(url.Ref) {
		return gitPin{commit: url.Ref}, g.withClone(ctx, url, len(url.Ref), func(c *clone) error {
			return c.ensure(ctx, url.Ref, "")
		})
	}
	adv, err := g.lsRemote(ctx, url)
	if err != nil {
		return gitPin{}, err
	}
	found, ok := adv.find(url.Ref)
	switch {
	case ok:
		return gitPin{found.commit, found.branch}, g.withClone(ctx, url, len(found.commit), func(c *clone) error {
			if err := c.ensure(ctx, found.commit, found.ref); err != nil {
				return err
			}
			if id, err := c.revParse(ctx, found.commit+"^{commit}"); err != nil || id != found.commit {
				return badInput("", url.String(), "the ref is of something that is not a commit", nil)
			}
			return nil
		})
	case url.Ref == "":
		return gitPin{}, badInput("", url.String(), "the repository has no HEAD; name a branch, tag or commit", nil)
	case isShortID(url.Ref):
		return g.pinShort(ctx, url, adv.idLength)
	}
	return gitPin{}, noRef(url)
}

func noRef(url GitURL) error {
	return badInput("", url.base(), fmt.Sprintf("there is no branch, tag or commit %q", url.Ref), nil)
}

// pinShort finds an abbreviated id among all commits of the repository.
func (g *git) pinShort(ctx context.Context, url GitURL, idLength int) (gitPin, error) {
	var pin gitPin
	err := g.withClone(ctx, url, idLength, func(c *clone) error {
		if err := c.fetchAll(ctx); err != nil {
			return err
		}
		id, err := c.revParse(ctx, url.Ref+"^{commit}")
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || !strings.HasPrefix(id, url.Ref) {
			return noRef(url)
		}
		pin.commit = id
		return c.ensure(ctx, id, "")
	})
	return pin, err
}

// withClone runs do with url's clone. If the clone turns out to be damaged, it
// is made anew and do runs once more.
func (g *git) withClone(ctx context.Context, url GitURL, idLength int, do func(*clone) error) error {
	for again := false; ; again = true {
		c, err := g.openClone(ctx, url, idLength)
		if err != nil {
			return err
		}
		err = do(c)
		damaged := errors.Is(err, errDamaged)
		if damaged {
			err = errors.Join(err, c.discard())
		}
		c.close()
		if err == nil || !damaged || again {
			return g.explain(url, err)
		}
		g.log.Warn("a damaged clone is made anew", "url", url.String(), "error", err)
	}
}

// errDamaged marks an error as one of our clone's content.
var errDamaged = errors.New("the clone is damaged")

// explain says which repository a failure of git is about.
func (g *git) explain(url GitURL, err error) error {
	var typed *Error
	if err == nil || errors.As(err, &typed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if typed != nil && typed.Subject == "" {
			typed.Subject = url.String()
		}
		return err
	}
	fault := Environment
	var failed *gitError
	if errors.As(err, &failed) && (url.Scheme == "file" || strings.Contains(failed.stderr, "fsck error")) {
		fault = BadInput
	}
	return &Error{Subject: url.base(), Msg: "cannot read the git repository", Fault: fault, Err: err}
}

// An advert is what a remote says about the refs that may be meant.
type advert struct {
	refs     map[string]string // full ref to object id; "^{}" at the end of a peeled tag
	head     string            // the branch that HEAD stands for
	idLength int
}

// lsRemote asks the remote for the refs that url may mean.
func (g *git) lsRemote(ctx context.Context, url GitURL) (advert, error) {
	args := []string{"ls-remote", "--symref", "--end-of-options", url.Remote, "HEAD"}
	if r := url.Ref; r != "" && r != "HEAD" {
		args = append(args, "refs/heads/"+r, "refs/tags/"+r, "refs/tags/"+r+"^{}")
		if strings.HasPrefix(r, "refs/") {
			args = append(args, r, r+"^{}")
		}
	}
	out, err := g.run(ctx, gitCall{url: url, args: args})
	if err != nil {
		return advert{}, g.explain(url, err)
	}
	adv := advert{refs: map[string]string{}, idLength: 40}
	for line := range strings.SplitSeq(string(out), "\n") {
		value, name, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		if target, ok := strings.CutPrefix(value, "ref: "); ok {
			if branch, ok := strings.CutPrefix(target, "refs/heads/"); ok && name == "HEAD" && CheckRef(branch) == nil {
				adv.head = branch
			}
			continue
		}
		if isCommitID(value) {
			adv.refs[name] = value
			adv.idLength = len(value)
		}
	}
	return adv, nil
}

type advertised struct{ commit, ref, branch string }

// find gives the commit of a branch, tag or full ref, in this order, or of HEAD.
// Patterns of ls-remote match the end of names, so only exact ones count here.
func (a advert) find(ref string) (advertised, bool) {
	if ref == "" || ref == "HEAD" {
		id, ok := a.refs["HEAD"]
		return advertised{id, "HEAD", a.head}, ok
	}
	for _, full := range []string{"refs/heads/" + ref, "refs/tags/" + ref, ref} {
		if !strings.HasPrefix(full, "refs/") {
			continue
		}
		id, ok := a.refs[full+"^{}"]
		if !ok {
			id, ok = a.refs[full]
		}
		if ok {
			branch, _ := strings.CutPrefix(full, "refs/heads/")
			if branch == full {
				branch = ""
			}
			return advertised{id, full, branch}, true
		}
	}
	return advertised{}, false
}

// ResolveCommit asks the remote which commit url's ref names, and fetches nothing
// but where the ref is an abbreviated id. A full id is taken for granted. workDir
// is for git's own files.
func ResolveCommit(ctx context.Context, url GitURL, workDir string, o Options) (string, error) {
	if isCommitID(url.Ref) {
		return url.Ref, nil
	}
	g, err := newGit(workDir, o.Log, o.Stall)
	if err != nil {
		return "", err
	}
	adv, err := g.lsRemote(ctx, url)
	if err != nil {
		return "", err
	}
	found, ok := adv.find(url.Ref)
	switch {
	case ok:
		return found.commit, nil
	case url.Ref != "" && isShortID(url.Ref):
		pin, err := g.pinShort(ctx, url, adv.idLength)
		return pin.commit, err
	case url.Ref == "":
		return "", badInput("", url.String(), "the repository has no HEAD; name a branch, tag or commit", nil)
	}
	return "", noRef(url)
}
