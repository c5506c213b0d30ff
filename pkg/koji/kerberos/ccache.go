package kerberos

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// A credential is a ticket, and the key with which it may be used.
type credential struct {
	client, server principal
	key            types.EncryptionKey
	end            time.Time
	ticket         messages.Ticket
}

// A cache is what a ticket cache has in it.
type cache struct {
	client  principal
	entries []cacheEntry
}

type cacheEntry struct {
	client, server principal
	key            types.EncryptionKey
	end            time.Time
	ticket         []byte
}

// cached returns the valid credentials of the ticket cache, those that end last
// first.
func (l *login) cached(conf *settings) ([]*credential, error) {
	name, err := l.cacheName(conf)
	op := "reading the ticket cache " + name
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	path, err := filePath(name)
	if err != nil {
		return nil, &Error{Op: op, Err: err,
			Remedy: "only caches in files can be read: export KRB5CCNAME=FILE:/tmp/krb5cc_$(id -u) and run kinit again, or use a keytab"}
	}
	b, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{Op: op, Err: err, Remedy: "run kinit, or use a keytab"}
	case err != nil:
		return nil, &Error{Op: op, Err: err}
	}
	var held *cache
	if err := safely(func() (err error) { held, err = parseCache(b); return err }); err != nil {
		return nil, &Error{Op: op, Err: err, Remedy: "run kdestroy and kinit"}
	}
	if l.opts.Principal != "" {
		want, err := parsePrincipal(l.opts.Principal)
		if err != nil {
			return nil, &Error{Op: op, Err: err}
		}
		if want.realm == "" {
			want.realm = conf.defaultRealm
		}
		if !want.same(held.client) {
			return nil, &Error{Op: op, Err: fmt.Errorf("it has tickets of %s, not of %s", held.client, want),
				Remedy: fmt.Sprintf("run kinit %s, or use a keytab", want)}
		}
	}
	creds, err := held.valid(l.now())
	if err != nil {
		return nil, &Error{Op: op, Err: err, Remedy: "run kinit"}
	}
	return creds, nil
}

// valid returns the credentials that have not ended, the last to end first.
func (c *cache) valid(now time.Time) ([]*credential, error) {
	var creds []*credential
	var ended time.Time
	for _, e := range c.entries {
		if !e.client.same(c.client) || strings.HasPrefix(e.server.realm, "X-CACHECONF:") {
			continue // what programs note in caches
		}
		if !now.Before(e.end) {
			if e.server.isTGT(c.client.realm) && e.end.After(ended) {
				ended = e.end
			}
			continue
		}
		cred := &credential{client: e.client, server: e.server, key: e.key, end: e.end}
		if safely(func() error { return cred.ticket.Unmarshal(e.ticket) }) != nil || len(cred.ticket.SName.NameString) == 0 {
			continue
		}
		at := 0
		for at < len(creds) && !creds[at].end.Before(e.end) {
			at++
		}
		creds = append(creds[:at], append([]*credential{cred}, creds[at:]...)...)
	}
	switch {
	case len(creds) > 0:
		return creds, nil
	case !ended.IsZero():
		return nil, fmt.Errorf("the ticket of %s has expired at %s", c.client, ended.Local().Format("2006-01-02 15:04:05"))
	}
	return nil, fmt.Errorf("it has no ticket of %s", c.client)
}

// parseCache reads a ticket cache of version 3 or 4:
// https://web.mit.edu/kerberos/krb5-latest/doc/formats/ccache_file_format.html.
// That of gokrb5 makes arrays as long as the file says.
func parseCache(b []byte) (*cache, error) {
	if len(b) == 0 {
		return nil, errors.New("it is empty")
	}
	if len(b) < 2 || b[0] != 5 || b[1] != 3 && b[1] != 4 {
		return nil, errors.New("it is not a ticket cache of version 3 or 4")
	}
	v3 := b[1] == 3
	c := &cutter{b: b[2:]}
	if !v3 {
		c.bytes(c.u16()) // the header: how far the KDC's clock is off
	}
	held := &cache{client: c.principal()}
	for c.err == nil && len(c.b) > 0 {
		held.entries = append(held.entries, c.entry(v3))
		if len(held.entries) > maxEntries {
			return nil, fmt.Errorf("it has more than %d tickets", maxEntries)
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	if len(held.client.name) == 0 {
		return nil, errors.New("it is nobody's")
	}
	return held, nil
}

func (c *cutter) principal() principal {
	p := principal{kind: int32(c.u32())}
	parts := c.count(4)
	if parts > maxNameParts {
		c.err = errShort
		return principal{}
	}
	p.realm = string(c.data())
	for range parts {
		p.name = append(p.name, string(c.data()))
	}
	return p
}

func (c *cutter) entry(v3 bool) cacheEntry {
	e := cacheEntry{client: c.principal(), server: c.principal()}
	e.key.KeyType = int32(int16(c.u16()))
	if v3 {
		c.u16() // once more
	}
	e.key.KeyValue = c.data()
	c.bytes(8) // when it was given out, when it starts
	e.end = time.Unix(int64(c.u32()), 0)
	c.bytes(4 + 1 + 4) // until when it can be renewed; for whom it is encrypted; flags
	for range 2 {      // addresses, and authorization data
		for range c.count(6) {
			c.u16()
			c.data()
		}
	}
	e.ticket = c.data()
	c.data() // a second ticket
	return e
}
