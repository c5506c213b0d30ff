package kerberos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/kojimod/kojimod/pkg/koji"
)

// client is a client of a hub in the world, which is HTTP/127.0.0.1 for Kerberos.
func (w *world) client() *koji.Client {
	w.t.Helper()
	srv := httptest.NewTLSServer(w)
	w.t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	c, err := koji.New(srv.URL+"/kojihub", koji.Options{TLS: &tls.Config{RootCAs: pool}, RetryFor: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// builder writes the binary formats.
type builder []byte

func (b *builder) u8(n int)       { *b = append(*b, byte(n)) }
func (b *builder) u16(n int)      { *b = binary.BigEndian.AppendUint16(*b, uint16(n)) }
func (b *builder) u32(n int64)    { *b = binary.BigEndian.AppendUint32(*b, uint32(n)) }
func (b *builder) str16(s string) { b.u16(len(s)); *b = append(*b, s...) }
func (b *builder) str32(s string) { b.u32(int64(len(s))); *b = append(*b, s...) }

func keytab(keys ...key) []byte {
	out := builder{5, 2}
	for _, k := range keys {
		var e builder
		e.u16(len(k.owner.name))
		e.str16(k.owner.realm)
		for _, part := range k.owner.name {
			e.str16(part)
		}
		e.u32(1)
		e.u32(1700000000)
		e.u8(int(k.version & 0xff))
		e.u16(int(k.value.KeyType))
		e.str16(string(k.value.KeyValue))
		e.u32(int64(k.version))
		out.u32(int64(len(e)))
		out = append(out, e...)
	}
	return out
}

func (b *builder) principal(p principal) {
	b.u32(1)
	b.u32(int64(len(p.name)))
	b.str32(p.realm)
	for _, part := range p.name {
		b.str32(part)
	}
}

func ticketCache(version int, client principal, entries ...cacheEntry) []byte {
	out := builder{5, byte(version)}
	if version == 4 {
		out.str16("\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00")
	}
	out.principal(client)
	for _, e := range entries {
		out.principal(e.client)
		out.principal(e.server)
		out.u16(int(e.key.KeyType))
		if version == 3 {
			out.u16(int(e.key.KeyType))
		}
		out.str32(string(e.key.KeyValue))
		out.u32(0)
		out.u32(0)
		out.u32(e.end.Unix())
		out.u32(0)
		out.u8(0)
		out.u32(0)
		out.u32(1) // an address
		out.u16(2)
		out.str32("\x7f\x00\x00\x01")
		out.u32(0)
		out.str32(string(e.ticket))
		out.str32("")
	}
	return out
}

func mustPrincipal(t *testing.T, s string) principal {
	t.Helper()
	p, err := parsePrincipal(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// home is a world with a user, his keytab, and a hub in the same realm.
func home(t *testing.T) (w *world, opts Options) {
	w = newWorld(t, "HOME.TEST")
	k := key{owner: mustPrincipal(t, "packager@HOME.TEST"), version: 3, value: w.newKey()}
	w.users["packager@HOME.TEST"] = k.value
	w.services["HTTP/127.0.0.1"] = "HOME.TEST"
	old := key{owner: k.owner, version: 2, value: w.newKey()}
	return w, Options{Config: file(t, "krb5.conf", []byte(w.config(""))), Keytab: file(t, "keytab", keytab(old, k))}
}

func TestLogin(t *testing.T) {
	w, opts := home(t)
	c := w.client()
	for _, name := range []string{"", "packager", "packager@HOME.TEST"} {
		opts.Principal = name
		s, err := Login(t.Context(), c, opts)
		if err != nil {
			t.Fatalf("as %q: %v", name, err)
		}
		if s.ID() != 7 {
			t.Errorf("session %d", s.ID())
		}
		s.Close()
	}
	want := []string{"HOME.TEST login", "HOME.TEST login", "HOME.TEST HTTP/127.0.0.1"}
	if diff := cmp.Diff(want, w.asked[:3]); diff != "" || len(w.asked) != 9 {
		t.Errorf("asked of the KDC %d times (-want +got):\n%s", len(w.asked), diff)
	}
	plain, err := koji.New("http://127.0.0.1/kojihub", koji.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Login(t.Context(), plain, opts); err == nil || !strings.Contains(err.Error(), "https://") {
		t.Errorf("without TLS: %v", err)
	}
}

// Keys may be of another type than those of the tickets.
func TestLoginKeyTypes(t *testing.T) {
	for _, test := range []struct {
		etype int32
		conf  string
	}{{17, ""}, {18, ""}, {19, ""}, {20, ""}, {23, " permitted_enctypes = rc4 aes\n"}, {16, " permitted_enctypes = aes des3-cbc-sha1\n"}} {
		w := newWorld(t, "HOME.TEST")
		k := key{owner: mustPrincipal(t, "packager@HOME.TEST"), version: 1, value: w.newKeyOf(test.etype)}
		w.users["packager@HOME.TEST"], w.services["HTTP/127.0.0.1"] = k.value, "HOME.TEST"
		opts := Options{Config: file(t, "krb5.conf", []byte(w.config(test.conf))), Keytab: file(t, "keytab", keytab(k))}
		s, err := Login(t.Context(), w.client(), opts)
		if err != nil {
			t.Errorf("encryption type %d: %v", test.etype, err)
			continue
		}
		s.Close()
	}
}

// The realms between the client's and the hub's are asked one after the other, by
// referral, by [domain_realm], or by the name of the hub's domain.
func TestLoginOtherRealm(t *testing.T) {
	for _, test := range []struct {
		name, conf string
		direct     bool // the home KDC does not refer
		host       string
		want       []string
	}{
		{name: "referred", host: "koji.far.test", want: []string{"HOME.TEST HTTP/koji.far.test", "MID.TEST HTTP/koji.far.test", "FAR.TEST HTTP/koji.far.test"}},
		{name: "domain_realm", host: "koji.far.test", conf: "[domain_realm]\n.far.test = FAR.TEST\n",
			want: []string{"HOME.TEST krbtgt/FAR.TEST", "MID.TEST krbtgt/FAR.TEST", "FAR.TEST HTTP/koji.far.test"}},
		{name: "guessed", host: "koji.far.example", direct: true,
			want: []string{"HOME.TEST HTTP/koji.far.example", "HOME.TEST krbtgt/FAR.EXAMPLE", "FAR.EXAMPLE HTTP/koji.far.example"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, "HOME.TEST", "MID.TEST", "FAR.TEST", "FAR.EXAMPLE")
			k := key{owner: mustPrincipal(t, "packager@HOME.TEST"), version: 3, value: w.newKey()}
			w.users["packager@HOME.TEST"] = k.value
			w.next = map[string]string{"HOME.TEST FAR.TEST": "MID.TEST", "MID.TEST FAR.TEST": "FAR.TEST", "HOME.TEST FAR.EXAMPLE": "FAR.EXAMPLE"}
			w.services["HTTP/koji.far.test"] = "FAR.TEST"
			if test.direct {
				w.answer = func(realm string, b []byte) []byte {
					if realm == "HOME.TEST" && strings.Contains(string(b), test.host) {
						w.asked = append(w.asked, realm+" HTTP/"+test.host)
						return w.refuse(realm, errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN, nil)
					}
					return nil
				}
				w.services["HTTP/"+test.host] = "FAR.EXAMPLE"
			}
			opts := Options{Config: file(t, "krb5.conf", []byte(w.config("")+test.conf)), Keytab: file(t, "keytab", keytab(k)), Host: test.host}
			s, err := Login(t.Context(), w.client(), opts)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if diff := cmp.Diff(test.want, w.asked[2:]); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoginRefused(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, w *world, opts *Options)
		want  []string
	}{
		{"no proof of the hub", func(_ *testing.T, w *world, _ *Options) { w.hub = "no proof" }, []string{"did not prove that it is the hub"}},
		{"a proof with another key", func(_ *testing.T, w *world, _ *Options) { w.hub = "other key" }, []string{"not made with the key of the hub", "between you and the hub"}},
		{"a proof for another request", func(_ *testing.T, w *world, _ *Options) { w.hub = "replay" }, []string{"for another request"}},
		{"a proof that is none", func(_ *testing.T, w *world, _ *Options) { w.hub = "garbage" }, []string{"looking who answers"}},
		{"a negotiation without end", func(_ *testing.T, w *world, _ *Options) { w.hub = "incomplete" }, []string{"has not taken the ticket"}},
		{"the hub refuses", func(_ *testing.T, w *world, _ *Options) { w.hub = "refuses" }, []string{"showing the ticket to the hub", "HTTP status 401", "clocks agree"}},
		{"clocks", func(_ *testing.T, w *world, _ *Options) { w.off = time.Hour }, []string{"KRB_AP_ERR_SKEW", "this machine's"}},
		{"an old key", func(_ *testing.T, w *world, _ *Options) { w.users["packager@HOME.TEST"] = w.newKey() }, []string{"PREAUTH_FAILED", "get a new keytab"}},
		{"an unknown client", func(_ *testing.T, w *world, _ *Options) { clear(w.users) }, []string{"C_PRINCIPAL_UNKNOWN", "see that the name and the realm HOME.TEST are right"}},
		{"an unknown hub", func(_ *testing.T, w *world, _ *Options) { clear(w.services) }, []string{"S_PRINCIPAL_UNKNOWN", "known to Kerberos by another name"}},
		{"a reply without sense", func(_ *testing.T, w *world, _ *Options) {
			w.answer = func(string, []byte) []byte { return []byte("HTTP/1.1 400 Bad Request") }
		}, []string{"the KDC's reply: it is malformed"}},
		{"a reply of nothing", func(_ *testing.T, w *world, _ *Options) {
			w.answer = func(string, []byte) []byte { return []byte{} }
		}, []string{"the KDC's reply: it is malformed"}},
		{"no KDC", func(t *testing.T, _ *world, o *Options) {
			o.Config = file(t, "krb5.conf", []byte("[libdefaults]\ndns_lookup_kdc = no\ndns_canonicalize_hostname = no\n"))
		}, []string{"no KDC of HOME.TEST is known", "under [realms] in /"}},
		{"a KDC behind a proxy", func(t *testing.T, _ *world, o *Options) {
			o.Config = file(t, "krb5.conf", []byte("[libdefaults]\ndns_canonicalize_hostname = no\n[realms]\nHOME.TEST = {\nkdc = https://kdc/KdcProxy\n}\n"))
		}, []string{"behind HTTPS proxies"}},
		{"only weak keys", func(t *testing.T, _ *world, o *Options) {
			o.Keytab = file(t, "keytab", keytab(key{owner: principal{name: []string{"packager"}, realm: "HOME.TEST"},
				value: types.EncryptionKey{KeyType: 23, KeyValue: make([]byte, 16)}}))
		}, []string{"other encryption types", "permitted_enctypes"}},
		{"a key too short", func(t *testing.T, _ *world, o *Options) {
			o.Keytab = file(t, "keytab", keytab(key{owner: principal{name: []string{"packager"}, realm: "HOME.TEST"},
				value: types.EncryptionKey{KeyType: 17, KeyValue: []byte("short")}}))
		}, []string{"not one of its encryption type"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, opts := home(t)
			test.spoil(t, w, &opts)
			s, err := Login(t.Context(), w.client(), opts)
			if err == nil {
				s.Close()
				t.Fatal("logged in")
			}
			var e *Error
			if !errors.As(err, &e) || e.Temporary() {
				t.Errorf("not an *Error, or one that goes away: %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestLoginNoAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w, opts := home(t)
	w.addrs["HOME.TEST"] = l.Addr().String()
	opts.Config = file(t, "krb5.conf", []byte(w.config("")))
	_, err = Login(t.Context(), w.client(), opts)
	var e *Error
	if !errors.As(err, &e) || !e.Temporary() || !strings.Contains(err.Error(), "no KDC of HOME.TEST answers") {
		t.Errorf("a KDC that is down: %v", err)
	}
	// The next one is asked.
	up := newWorld(t, "HOME.TEST")
	up.users, up.services = w.users, w.services
	conf := "[libdefaults]\ndns_canonicalize_hostname = no\n[realms]\nHOME.TEST = {\nkdc = " + l.Addr().String() + "\nkdc = " + up.addrs["HOME.TEST"] + "\n}\n"
	opts.Config = file(t, "krb5.conf", []byte(conf))
	s, err := Login(t.Context(), up.client(), opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// A KDC that says that it sends gigabytes, and one that says nothing.
func TestKDCLimits(t *testing.T) {
	for name, send := range map[string][]byte{"too much": {0x7f, 0xff, 0xff, 0xff}, "nothing": nil} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go func() {
				_, _ = theirs.Read(make([]byte, 100))
				if send != nil {
					_, _ = theirs.Write(send)
				}
			}()
			ctx, cancel := context.WithCancel(t.Context())
			if send == nil {
				cancel()
			}
			defer cancel()
			x := &exchange{conf: &settings{}, dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}
			if b, err := x.ask(ctx, "kdc:88", []byte("request")); err == nil {
				t.Errorf("got %d bytes", len(b))
			}
		})
	}
}

func TestLoginCache(t *testing.T) {
	w, opts := home(t)
	client := mustPrincipal(t, "packager@HOME.TEST")
	entry := func(server principal, end time.Time) cacheEntry {
		f := w.issue(client, server, 1, w.newKey(), 8)
		b, err := f.Ticket.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return cacheEntry{client: client, server: server, key: w.issued[string(f.Ticket.EncPart.Cipher)].key, end: end, ticket: b}
	}
	now := time.Now()
	tgt := entry(grantingService("HOME.TEST", "HOME.TEST"), now.Add(time.Hour))
	old := entry(grantingService("HOME.TEST", "HOME.TEST"), now.Add(-time.Hour))
	hub := entry(principal{name: []string{"HTTP", "127.0.0.1"}, realm: "HOME.TEST"}, now.Add(time.Hour))
	note := cacheEntry{client: client, server: principal{name: []string{"krb5_ccache_conf_data", "pa_type"}, realm: "X-CACHECONF:"}, ticket: []byte("2")}
	for _, test := range []struct {
		name  string
		cache []byte
		as    string
		want  string // of the error
		asked int
	}{
		{name: "a ticket to get others with", cache: ticketCache(4, client, note, old, tgt), asked: 1},
		{name: "version 3", cache: ticketCache(3, client, tgt), asked: 1},
		{name: "one for the hub", cache: ticketCache(4, client, old, hub)},
		{name: "named", cache: ticketCache(4, client, tgt), as: "packager@HOME.TEST", asked: 1},
		{name: "of somebody else", cache: ticketCache(4, client, tgt), as: "admin@HOME.TEST", want: "run kinit admin@HOME.TEST"},
		{name: "expired", cache: ticketCache(4, client, note, old), want: "has expired at"},
		{name: "none", cache: ticketCache(4, client, note), want: "it has no ticket of packager@HOME.TEST; run kinit"},
		{name: "cut off", cache: ticketCache(4, client, tgt)[:200], want: "ends too early"},
		{name: "empty", cache: []byte{}, want: "it is empty"},
		{name: "old", cache: []byte{5, 1}, want: "version 3 or 4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.asked = nil
			path := file(t, "cache", test.cache)
			t.Setenv("KRB5CCNAME", "FILE:"+path)
			s, err := Login(t.Context(), w.client(), Options{Config: opts.Config, Principal: test.as})
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if len(w.asked) != test.asked {
				t.Errorf("asked %q", w.asked)
			}
		})
	}
	for _, name := range []string{"KEYRING:persistent:0", "KCM:", "DIR:/run/user/0/krb5cc", "MEMORY:x", "API:"} {
		_, err := Login(t.Context(), w.client(), Options{Config: opts.Config, CCache: name})
		if err == nil || !strings.Contains(err.Error(), "export KRB5CCNAME=FILE:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Login(t.Context(), w.client(), Options{Config: opts.Config, CCache: filepath.Join(t.TempDir(), "missing")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "run kinit") {
		t.Errorf("a cache that is missing: %v", err)
	}
}
