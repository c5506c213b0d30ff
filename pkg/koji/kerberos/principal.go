package kerberos

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/kojimod/kojimod/internal/safetext"
)

const hostService = nametype.KRB_NT_SRV_HST

// A principal is somebody or something in a realm.
type principal struct {
	name  []string // the parts between slashes
	realm string
	kind  int32 // RFC 4120, 6.2; only a hint
}

func (p principal) String() string {
	s := strings.Join(p.name, "/")
	if p.realm != "" {
		s += "@" + p.realm
	}
	return safetext.Line(s)
}

func (p principal) sameName(q principal) bool {
	if len(p.name) != len(q.name) {
		return false
	}
	for i := range p.name {
		if p.name[i] != q.name[i] {
			return false
		}
	}
	return true
}

func (p principal) same(q principal) bool { return p.realm == q.realm && p.sameName(q) }

// isTGT reports whether p is the ticket-granting service of a realm.
func (p principal) isTGT(realm string) bool {
	return len(p.name) == 2 && p.name[0] == "krbtgt" && p.name[1] == realm
}

func (p principal) wire() types.PrincipalName {
	kind := p.kind
	if kind == 0 {
		kind = nametype.KRB_NT_PRINCIPAL
	}
	return types.PrincipalName{NameType: kind, NameString: p.name}
}

func fromWire(n types.PrincipalName, realm string) principal {
	return principal{name: n.NameString, realm: realm, kind: n.NameType}
}

func grantingService(of, realm string) principal {
	return principal{name: []string{"krbtgt", of}, realm: realm, kind: nametype.KRB_NT_SRV_INST}
}

// parsePrincipal reads "name/instance@REALM", where a backslash takes the meaning of
// the character after it. The realm may be missing.
func parsePrincipal(s string) (principal, error) {
	p := principal{name: []string{""}, kind: nametype.KRB_NT_PRINCIPAL}
	realm, escaped := false, false
	for _, r := range s {
		last := &p.name[len(p.name)-1]
		if realm {
			last = &p.realm
		}
		switch {
		case escaped:
			*last += string(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '@' && realm, r < ' ':
			return principal{}, fmt.Errorf("%q is not like name@REALM", s)
		case r == '@':
			realm = true
		case r == '/' && !realm:
			p.name = append(p.name, "")
		default:
			*last += string(r)
		}
	}
	if escaped || p.name[0] == "" || realm && p.realm == "" || len(p.name) > maxNameParts {
		return principal{}, fmt.Errorf("%q is not like name@REALM", s)
	}
	return p, nil
}

// choosePrincipal returns whose keys of a keytab are used.
func choosePrincipal(want string, keys []key, defaultRealm string) (principal, error) {
	if want == "" {
		if len(keys) == 0 {
			return principal{}, errors.New("it has no keys")
		}
		return keys[0].owner, nil
	}
	p, err := parsePrincipal(want)
	if err != nil {
		return principal{}, err
	}
	var named []principal // in several realms
	for _, k := range keys {
		if k.owner.sameName(p) && (p.realm == "" || p.realm == k.owner.realm) {
			if k.owner.realm == defaultRealm {
				return k.owner, nil
			}
			if len(named) == 0 || !named[0].same(k.owner) {
				named = append(named, k.owner)
			}
		}
	}
	switch len(named) {
	case 0:
		return principal{}, fmt.Errorf("it has no key of %s", p)
	case 1:
		return named[0], nil
	}
	return principal{}, fmt.Errorf("it has %s of several realms: name one, as in %s", p, named[0])
}
