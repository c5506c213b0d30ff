package kerberos

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
)

// An environment is what the process has from outside.
type environment struct {
	get      func(string) string
	uid      int
	username func() string
}

func systemEnvironment() environment {
	return environment{get: os.Getenv, uid: os.Getuid(), username: func() string {
		if u, err := user.Current(); err == nil {
			return u.Username
		}
		return ""
	}}
}

// When the name of a host is made canonical (dns_canonicalize_hostname).
type canonWhen int

const (
	canonAlways canonWhen = iota
	canonNever
	canonFallback // when the KDC does not know the name as it is
)

// settings are what krb5.conf says about what is done here.
type settings struct {
	files        string // where they come from
	defaultRealm string
	canonHost    canonWhen
	rdns         bool
	lookupKDC    bool
	skew         time.Duration
	cacheName    string
	enctypes     []int32
	kdcs         map[string][]string // by realm
	domains      map[string]string   // realm by host or .domain
	lib          *config.Config      // for gokrb5
}

// config reads krb5.conf. A file that is missing is none, as for MIT, unless it
// was asked for.
func (l *login) config() (*settings, error) {
	names := l.opts.Config
	if names == "" {
		names = l.env.get("KRB5_CONFIG")
	}
	asked := names != ""
	if !asked {
		names = "/etc/krb5.conf"
	}
	var p profile
	loaded := false
	var missing error
	for name := range strings.SplitSeq(names, ":") {
		if name == "" {
			continue
		}
		switch err := p.load(name, 0); {
		case err == nil:
			loaded = true
		case errors.Is(err, fs.ErrNotExist) && p.files <= 1:
			missing = err
		default:
			return nil, &Error{Op: "reading the configuration", Err: err, Remedy: "correct it, or name another by KRB5_CONFIG"}
		}
		p.files = 1
	}
	if asked && !loaded {
		return nil, &Error{Op: "reading the configuration", Err: missing, Remedy: "see KRB5_CONFIG"}
	}
	s, err := p.settings()
	if err != nil {
		return nil, &Error{Op: "reading the configuration " + names, Err: err}
	}
	s.files = names
	return s, nil
}

func (p *profile) settings() (*settings, error) {
	s := &settings{
		defaultRealm: p.first("libdefaults", "default_realm"),
		cacheName:    p.first("libdefaults", "default_ccache_name"),
		skew:         5 * time.Minute,
		kdcs:         map[string][]string{},
		domains:      map[string]string{},
		lib:          config.New(),
	}
	var err error
	if s.rdns, err = p.flag("rdns", true); err != nil {
		return nil, err
	}
	if s.lookupKDC, err = p.flag("dns_lookup_kdc", true); err != nil {
		return nil, err
	}
	if v := p.first("libdefaults", "dns_canonicalize_hostname"); v == "fallback" {
		s.canonHost = canonFallback
	} else if yes, err := p.flag("dns_canonicalize_hostname", true); err != nil {
		return nil, err
	} else if !yes {
		s.canonHost = canonNever
	}
	if v := p.first("libdefaults", "clockskew"); v != "" {
		n, err := strconv.ParseUint(strings.TrimSuffix(v, "s"), 10, 20)
		if err != nil {
			return nil, fmt.Errorf("clockskew is %q, not a number of seconds", v)
		}
		s.skew = time.Duration(n) * time.Second
	}
	s.enctypes = enctypes(p.first("libdefaults", "permitted_enctypes"))
	if len(s.enctypes) == 0 {
		return nil, errors.New("permitted_enctypes has no encryption type that is known here: aes256-cts, aes128-cts, aes256-sha2, aes128-sha2, rc4-hmac, des3-cbc-sha1")
	}
	for _, r := range p.values {
		if len(r.path) == 3 && r.path[0] == "realms" && r.path[2] == "kdc" {
			s.kdcs[r.path[1]] = append(s.kdcs[r.path[1]], r.value)
		}
	}
	for _, d := range p.below("domain_realm") {
		name := strings.ToLower(d.path[1])
		if _, ok := s.domains[name]; !ok {
			s.domains[name] = d.value
		}
	}
	s.lib.LibDefaults.DefaultTktEnctypeIDs = s.enctypes
	s.lib.LibDefaults.DefaultTGSEnctypeIDs = s.enctypes
	// A ticket is used at once, and the next login gets another.
	s.lib.LibDefaults.TicketLifetime = time.Hour
	return s, nil
}

func (p *profile) flag(name string, missing bool) (bool, error) {
	switch v := strings.ToLower(p.first("libdefaults", name)); v {
	case "":
		return missing, nil
	case "y", "yes", "true", "t", "1", "on":
		return true, nil
	case "n", "no", "false", "nil", "0", "off":
		return false, nil
	default:
		return false, fmt.Errorf("%s is %q, neither yes nor no", name, v)
	}
}

// enctypes returns the encryption types that may be used, best first. Those that
// are weak must be asked for.
func enctypes(permitted string) []int32 {
	aes := []int32{etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA1_96,
		etypeID.AES256_CTS_HMAC_SHA384_192, etypeID.AES128_CTS_HMAC_SHA256_128}
	var list []int32
	for name := range strings.FieldsFuncSeq(permitted, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		switch strings.ToLower(name) {
		case "default":
			list = append(list, aes...)
		case "aes":
			list = append(list, aes...)
		case "aes256-cts-hmac-sha1-96", "aes256-cts", "aes256-sha1":
			list = append(list, etypeID.AES256_CTS_HMAC_SHA1_96)
		case "aes128-cts-hmac-sha1-96", "aes128-cts", "aes128-sha1":
			list = append(list, etypeID.AES128_CTS_HMAC_SHA1_96)
		case "aes256-cts-hmac-sha384-192", "aes256-sha2":
			list = append(list, etypeID.AES256_CTS_HMAC_SHA384_192)
		case "aes128-cts-hmac-sha256-128", "aes128-sha2":
			list = append(list, etypeID.AES128_CTS_HMAC_SHA256_128)
		case "arcfour-hmac", "rc4-hmac", "arcfour-hmac-md5", "rc4":
			list = append(list, etypeID.RC4_HMAC)
		case "des3-cbc-sha1", "des3-hmac-sha1", "des3-cbc-sha1-kd", "des3":
			list = append(list, etypeID.DES3_CBC_SHA1_KD)
		}
	}
	if permitted == "" {
		return aes
	}
	return list
}

// realmOf returns the realm of a host, empty where krb5.conf does not say.
func (s *settings) realmOf(host string) string {
	if r := s.domains[host]; r != "" {
		return r
	}
	for rest := host; ; {
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			return ""
		}
		if r := s.domains[rest[i:]]; r != "" {
			return r
		}
		rest = rest[i+1:]
	}
}

// cacheName returns the name of the ticket cache.
func (l *login) cacheName(conf *settings) (string, error) {
	if l.opts.CCache != "" {
		return l.opts.CCache, nil
	}
	if name := l.env.get("KRB5CCNAME"); name != "" {
		return name, nil
	}
	uid := strconv.Itoa(l.env.uid)
	name := conf.cacheName
	if name == "" {
		return "FILE:/tmp/krb5cc_" + uid, nil
	}
	tmp := l.env.get("TMPDIR")
	if tmp == "" {
		tmp = "/tmp"
	}
	name = strings.NewReplacer("%{uid}", uid, "%{euid}", uid, "%{USERID}", uid, "%{username}", l.env.username(),
		"%{TEMP}", tmp, "%{null}", "").Replace(name)
	if strings.Contains(name, "%{") {
		return name, errors.New("krb5.conf's default_ccache_name has a variable that is not known here: set KRB5CCNAME")
	}
	return name, nil
}
