package kerberos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

func TestParsePrincipal(t *testing.T) {
	tests := map[string]struct {
		name  []string
		realm string
	}{
		"packager":                     {[]string{"packager"}, ""},
		"packager@HOME.TEST":           {[]string{"packager"}, "HOME.TEST"},
		"compose/host.test@HOME":       {[]string{"compose", "host.test"}, "HOME"},
		`a\@b\/c\\d@HOME`:              {[]string{`a@b/c\d`}, "HOME"},
		"a/@HOME":                      {[]string{"a", ""}, "HOME"},
		"":                             {},
		"@HOME":                        {},
		"a@":                           {},
		"a@b@c":                        {},
		`a\`:                           {},
		"a\nb":                         {},
		strings.Repeat("a/", 20) + "b": {},
	}
	for in, want := range tests {
		p, err := parsePrincipal(in)
		if (err != nil) != (want.name == nil) || !cmp.Equal(p.name, want.name) || p.realm != want.realm {
			t.Errorf("%q: got %q, %q, %v", in, p.name, p.realm, err)
		}
	}
}

func TestParseKeytab(t *testing.T) {
	k := key{owner: principal{name: []string{"HTTP", "koji.test"}, realm: "HOME.TEST", kind: 1}, version: 300,
		value: types.EncryptionKey{KeyType: 18, KeyValue: []byte("a secret of thirty-two bytes, or so")}}
	whole := keytab(k)
	hole := append(builder{5, 2, 0xff, 0xff, 0xff, 0xfc, 1, 2, 3, 4}, whole[2:]...)
	same := cmp.AllowUnexported(key{}, principal{})
	for name, b := range map[string][]byte{"whole": whole, "with a hole": hole, "with zeroes after it": append(append([]byte(nil), whole...), 0, 0, 0, 0)} {
		got, err := parseKeytab(b)
		if diff := cmp.Diff([]key{k}, got, same); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for n := range whole {
		keys, err := parseKeytab(whole[:n])
		if err == nil && n >= 6 {
			t.Errorf("cut after %d bytes: %d keys", n, len(keys))
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a key in an error: %v", err)
		}
	}
	keys := []key{{owner: k.owner, version: 1}, {owner: k.owner, version: 3}, {owner: k.owner, version: 2}}
	for version, want := range map[uint32]uint32{0: 3, 2: 2, 7: 3} {
		if got, ok := find(keys, k.owner, 0, version); !ok || got.version != want {
			t.Errorf("version %d: got %d, %v", version, got.version, ok)
		}
	}
}

func TestChoosePrincipal(t *testing.T) {
	owner := func(s string) key { return key{owner: mustPrincipal(t, s)} }
	keys := []key{owner("host/a@ONE"), owner("user@ONE"), owner("user@TWO"), owner("user@TWO")}
	for _, test := range []struct{ want, realm, got string }{
		{"", "", "host/a@ONE"},
		{"host/a", "TWO", "host/a@ONE"},
		{"user", "TWO", "user@TWO"},
		{"user@ONE", "TWO", "user@ONE"},
		{"user", "THREE", ""},
		{"user@THREE", "", ""},
		{"nobody", "", ""},
	} {
		p, err := choosePrincipal(test.want, keys, test.realm)
		if (err != nil) != (test.got == "") || err == nil && p.String() != test.got {
			t.Errorf("%q in %s: got %s, %v", test.want, test.realm, p, err)
		}
	}
}

// As Red Hat has it, and more.
const krb5conf = `# a comment
includedir %[1]s/krb5.conf.d/

[logging]
    default = FILE:/var/log/krb5libs.log
[libdefaults]
    dns_canonicalize_hostname = fallback
    rdns = false
	default_realm = HOME.TEST
    default_ccache_name = "FILE:/tmp/%%{uid}/\"cc\"_%%{username}" 
    default_realm = SECOND.TEST
    permitted_enctypes = aes256-cts-hmac-sha384-192 rc4 camellia256-cts
    clockskew = 60
[realms]
 HOME.TEST = {
  kdc = kdc1.home.test
  auth_to_local_names = {
     fred = wilma
  }
  kdc = kdc2.home.test:750
  v4_name_convert =
  {
   host = {
    rcmd = host
   }
  }*
 }
[domain_realm]
 .Home.Test = HOME.TEST
 home.test = HOME.TEST
 .apart.home.test = APART.TEST
`

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "krb5.conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"krb5.conf":                fmt.Sprintf(krb5conf, dir),
		"second.conf":              "[realms]\nOTHER.TEST = {\nkdc = [::1]:88\nkdc = ::2\n}\n",
		"krb5.conf.d/crypto":       "[libdefaults]\npermitted_enctypes = aes256-cts-hmac-sha1-96 des-cbc-crc aes128-sha2\ninclude " + dir + "/first\n",
		"krb5.conf.d/more.conf":    "[libdefaults]\ndns_lookup_kdc = FALSE\n",
		"krb5.conf.d/.hidden.conf": "nonsense",
		"krb5.conf.d/old.conf~":    "nonsense",
		"first":                    "[libdefaults]\nclockskew = 120\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &login{now: time.Now, env: environment{uid: 1000, username: func() string { return "me" }, get: func(name string) string {
		return map[string]string{"KRB5_CONFIG": filepath.Join(dir, "none") + ":" + filepath.Join(dir, "krb5.conf") + ":" + filepath.Join(dir, "second.conf")}[name]
	}}}
	s, err := l.config()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{"realm": s.defaultRealm, "canon": s.canonHost, "rdns": s.rdns, "dns": s.lookupKDC, "skew": s.skew.String(), "enctypes": s.enctypes, "kdcs": s.kdcs}
	want := map[string]any{"realm": "HOME.TEST", "canon": canonFallback, "rdns": false, "dns": false, "skew": "2m0s", "enctypes": []int32{18, 19},
		"kdcs": map[string][]string{"HOME.TEST": {"kdc1.home.test", "kdc2.home.test:750"}, "OTHER.TEST": {"[::1]:88", "::2"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for host, realm := range map[string]string{"home.test": "HOME.TEST", "koji.home.test": "HOME.TEST", "koji.apart.home.test": "APART.TEST", "apart.home.test": "HOME.TEST", "test": "", "nothome.test": ""} {
		if got := s.realmOf(host); got != realm {
			t.Errorf("realm of %s: %q", host, got)
		}
	}
	if name, err := l.cacheName(s); name != `FILE:/tmp/1000/"cc"_me` || err != nil {
		t.Errorf("cache %q, %v", name, err)
	}
	x := &exchange{conf: s}
	if addrs, err := x.kdcs(t.Context(), "OTHER.TEST"); !cmp.Equal(addrs, []string{"[::1]:88", "[::2]:88"}) {
		t.Errorf("KDCs %q, %v", addrs, err)
	}
}

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	for name, test := range map[string]struct{ text, want string }{
		"no section":            {"a = b\n", "1: not within a [section]"},
		"no equals sign":        {"[realms]\nabc\n", "2: neither NAME = VALUE nor [SECTION]"},
		"brace too many":        {"[realms]\n}\n", "2: a } without a {"},
		"brace missing":         {"[realms]\nA = {\n", "a } is missing at the end"},
		"value missing":         {"[realms]\nA =\nb = c\n", "3: expected a { for A"},
		"section within braces": {"[realms]\nA = {\n[libdefaults]\n", "3: a section begins"},
		"too deep":              {"[realms]\n" + strings.Repeat("A = {\n", 20), "in too many braces"},
		"includes itself":       {"include " + loop + "\n", "too many files include each other"},
		"includes nothing":      {"include " + loop + ".missing\n", "no such file"},
		"a word":                {"[libdefaults]\nrdns = perhaps\n", "neither yes nor no"},
		"clocks":                {"[libdefaults]\nclockskew = soon\n", "not a number of seconds"},
		"no encryption":         {"[libdefaults]\npermitted_enctypes = des-cbc-crc\n", "no encryption type that is known"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(loop, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := (&login{opts: Options{Config: loop}}).config()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	none := &login{env: environment{get: func(string) string { return "" }}}
	if _, err := none.config(); err != nil {
		t.Errorf("without a KRB5_CONFIG: %v", err)
	}
}

// Names of hubs that need no resolver.
func TestHosts(t *testing.T) {
	for _, test := range []struct {
		option, url string
		conf        settings
		want        string
	}{
		{"", "Koji.Example.ORG.", settings{canonHost: canonNever, rdns: true}, "koji.example.org"},
		{"Hub.Example.ORG", "koji.example.org", settings{}, "hub.example.org"},
		{"", "192.0.2.1", settings{}, "192.0.2.1"},
		{"", "no-such-host.invalid", settings{canonHost: canonFallback}, "no-such-host.invalid"},
	} {
		l := &login{opts: Options{Host: test.option}}
		if got := l.hosts(t.Context(), &test.conf, test.url); len(got) != 1 || got[0] != test.want {
			t.Errorf("%q, %s: got %q, want %s", test.option, test.url, got, test.want)
		}
	}
}

func FuzzKeytab(f *testing.F) {
	f.Add(keytab(key{owner: principal{name: []string{"a", "b"}, realm: "R"}, version: 1, value: types.EncryptionKey{KeyType: 18, KeyValue: make([]byte, 32)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeytab(b)
		if err != nil {
			return
		}
		for _, k := range keys {
			if len(k.owner.name) == 0 || len(k.value.KeyValue) > len(b) {
				t.Errorf("%d names", len(k.owner.name))
			}
		}
		// What was read is what is written.
		again, err := parseKeytab(keytab(keys...))
		if err != nil || len(again) != len(keys) {
			t.Fatalf("%d keys, written and read %d: %v", len(keys), len(again), err)
		}
	})
}

func FuzzCache(f *testing.F) {
	who := principal{name: []string{"a"}, realm: "R"}
	e := cacheEntry{client: who, server: grantingService("R", "R"), key: types.EncryptionKey{KeyType: 18, KeyValue: make([]byte, 32)},
		end: time.Now().Add(100 * time.Hour), ticket: []byte("\x61\x03\x02\x01\x05")}
	f.Add(ticketCache(4, who, e, e))
	f.Add(ticketCache(3, who, e))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCache(b)
		if err != nil {
			return
		}
		creds, err := c.valid(time.Unix(0, 0))
		if (err == nil) != (len(creds) > 0) {
			t.Errorf("%d credentials, %v", len(creds), err)
		}
		for _, cred := range creds {
			if _, _, err := negotiate(cred, time.Now()); err == nil && len(cred.key.KeyValue) == 0 {
				t.Error("a token without a key")
			}
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add(fmt.Sprintf(krb5conf, "/nowhere"))
	f.Fuzz(func(t *testing.T, text string) {
		var p profile
		if p.parse("krb5.conf", text, func(string, string) error { return nil }) != nil {
			return
		}
		for _, s := range p.values {
			if len(s.path) < 2 || len(s.path) > maxProfileDepth+1 {
				t.Errorf("%q", s.path)
			}
		}
		_, _ = p.settings()
	})
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("\xa1\x14\x30\x12\xa0\x03\x0a\x01\x00\xa1\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		key := types.EncryptionKey{KeyType: 17, KeyValue: make([]byte, 16)}
		if safely(func() error { return checkReply(b, key, types.Authenticator{Cusec: -1}) }) == nil {
			t.Error("a proof out of nothing")
		}
	})
}

func FuzzKDCReply(f *testing.F) {
	f.Add([]byte("\x6b\x03\x02\x01\x05"))
	f.Fuzz(func(t *testing.T, b []byte) {
		who := principal{name: []string{"a"}, realm: "R"}
		k := key{owner: who, value: types.EncryptionKey{KeyType: 17, KeyValue: make([]byte, 16)}}
		x := &exchange{conf: &settings{}, now: time.Now}
		if _, err := x.openInitial(b, messages.ASReq{}, who, []key{k}); err == nil {
			t.Error("a ticket out of nothing")
		}
		_, _ = timestamp(b, who, []key{k}, []int32{17})
	})
}
