package doctor

import (
	"context"
	"time"
)

// States of repositories (REPO_STATES in koji/__init__.py).
const (
	repoExpired = 2
	repoDeleted = 3
)

// How long a request for a repository waits at most before kojira looks at it, and
// how long kojira is quiet at most, with much to spare: it looks every 15 seconds
// unless somebody has said otherwise.
const (
	kojiraSlow  = 10 * time.Minute
	kojiraQuiet = 5 * time.Minute
)

// checkKojira looks for signs of life of kojira, which makes repositories of build
// tags on request.
func (e *exam) checkKojira(ctx context.Context) {
	if e.admin {
		if seen := e.kojiraSession(ctx); seen || e.down != nil {
			return
		}
	}
	type request struct {
		ID      int64   `xmlrpc:"id"`
		Tag     string  `xmlrpc:"tag_name"`
		Created float64 `xmlrpc:"create_ts"`
		Updated float64 `xmlrpc:"update_ts"`
		Task    *int64  `xmlrpc:"task_id"`
	}
	fields := []string{"id", "tag_name", "create_ts", "update_ts", "task_id"}
	var waiting, served []request
	if !e.call(ctx, "kojira", "repo.queryQueue", &waiting, []any{[]any{"active", "IS", true}, []any{"task_id", "IS", nil}}, fields, map[string]any{"order": "id", "limit": 1}) {
		return
	}
	if len(waiting) > 0 && e.age(waiting[0].Created) > kojiraSlow {
		e.fail("kojira", "systemctl status kojira, and kojira.log; or the createrepo builders are busy (MaxRepoTasks in hub.conf)",
			"nobody looks at request %d for a repository of %s, made %s", waiting[0].ID, waiting[0].Tag, e.ago(waiting[0].Created))
		return
	}
	if !e.call(ctx, "kojira", "repo.queryQueue", &served, []any{[]any{"task_id", "IS NOT", nil}}, fields, map[string]any{"order": "-id", "limit": 1}) {
		return
	}
	if len(served) > 0 && e.age(served[0].Updated) < time.Hour {
		e.ok("kojira", "it served a request for a repository of %s %s", served[0].Tag, e.ago(served[0].Updated))
		return
	}
	e.unseen("kojira", "systemctl status kojira, or ask as an administrator", "nobody has asked for a repository of late; whether kojira runs")
}

func (e *exam) age(ts float64) time.Duration { return e.now().Sub(time.Unix(int64(ts), 0)) }

// kojiraSession looks for kojira's session, as an administrator: the exclusive one of
// a user with the permission repo, or rather its subsessions, which do the work.
func (e *exam) kojiraSession(ctx context.Context) (reported bool) {
	var users []user
	if !e.call(ctx, "kojira", "listUsers", &users, nil, nil, nil, "repo", true) {
		return true
	}
	if len(users) == 0 {
		e.fail("kojira", "koji grant-permission repo kojira", "no user has the permission repo, which kojira needs")
		return true
	}
	var names []string
	newest, who := 0.0, ""
	for i, u := range users {
		names = append(names, u.Name)
		if i >= 50 {
			continue
		}
		var sessions []struct {
			ID        int64   `xmlrpc:"id"`
			Master    *int64  `xmlrpc:"master"`
			Exclusive *bool   `xmlrpc:"exclusive"`
			Updated   float64 `xmlrpc:"update_ts"`
		}
		if !e.call(ctx, "kojira", "getSessionInfo", &sessions, true, u.ID) {
			return true
		}
		daemon := map[int64]bool{}
		for _, s := range sessions {
			daemon[s.ID] = s.Exclusive != nil && *s.Exclusive
		}
		for _, s := range sessions {
			if (daemon[s.ID] || s.Master != nil && daemon[*s.Master]) && s.Updated > newest {
				newest, who = s.Updated, u.Name
			}
		}
	}
	switch {
	case newest == 0:
		e.fail("kojira", "systemctl status kojira, and kojira.log", "none of %s is logged in as kojira is", list(names))
	case e.age(newest) > kojiraQuiet:
		e.fail("kojira", "systemctl status kojira, and kojira.log", "kojira (%s) was last seen %s", who, e.ago(newest))
	default:
		e.ok("kojira", "it runs as %s, seen %s", who, e.ago(newest))
	}
	return true
}

// checkRetention looks how long repositories have lasted, which kojira alone decides.
func (e *exam) checkRetention(ctx context.Context) {
	type repo struct {
		ID      int64   `xmlrpc:"id"`
		Tag     string  `xmlrpc:"tag_name"`
		Created float64 `xmlrpc:"creation_ts"`
		Changed float64 `xmlrpc:"state_ts"`
	}
	var gone []repo
	if !e.call(ctx, "retention", "repo.query", &gone, []any{[]any{"state", "IN", []int{repoExpired, repoDeleted}}, []any{"dist", "IS", false}},
		[]string{"id", "tag_name", "creation_ts", "state_ts"}, map[string]any{"order": "-id", "limit": 100}) {
		return
	}
	var short *repo
	for i, r := range gone {
		if life := r.Changed - r.Created; life > 0 && (short == nil || life < short.Changed-short.Created) {
			short = &gone[i]
		}
	}
	const where = "repo_lifetime and expired_repo_lifetime in kojira.conf (7 days unless set): a module must be done within them"
	if short == nil {
		e.unseen("retention", where, "no repository has expired yet; how long kojira keeps them")
		return
	}
	life := time.Duration(short.Changed-short.Created) * time.Second
	if life < 24*time.Hour {
		e.warn("retention", "raise repo_lifetime in kojira.conf: components that wait so long lose their repository",
			"the repository %d of %s lasted %s", short.ID, short.Tag, span(life))
		return
	}
	e.ok("retention", "the repositories that expired last had lasted %s or longer", span(life))
}
