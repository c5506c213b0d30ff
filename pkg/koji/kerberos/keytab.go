package kerberos

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jcmturner/gokrb5/v8/types"
)

// A key is an entry of a keytab.
type key struct {
	owner   principal
	version uint32
	value   types.EncryptionKey
}

func readKeytab(path string) ([]key, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parseKeytab(b)
}

// parseKeytab reads a keytab of version 2:
// https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html.
// The package of gokrb5 for it puts keys into its errors.
func parseKeytab(b []byte) ([]key, error) {
	if len(b) < 2 || b[0] != 5 || b[1] != 2 {
		return nil, errors.New("it is not a keytab of version 2")
	}
	var keys []key
	for c := (&cutter{b: b[2:]}); len(c.b) >= 4; {
		size := int64(int32(c.u32()))
		switch {
		case size == 0:
			return keys, nil
		case size < 0: // a deleted entry
			// The last one may say more than there is.
			if -size > int64(len(c.b)) {
				return keys, nil
			}
			c.bytes(int(-size))
			continue
		case size > int64(len(c.b)):
			return nil, errShort
		}
		k, err := parseKey(c.bytes(int(size)))
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(keys)+1, err)
		}
		if keys = append(keys, k); len(keys) > maxEntries {
			return nil, fmt.Errorf("it has more than %d entries", maxEntries)
		}
	}
	return keys, nil
}

func parseKey(b []byte) (key, error) {
	c := &cutter{b: b}
	var k key
	parts := c.u16()
	if parts < 1 || parts > maxNameParts {
		return k, errors.New("a principal of no or too many parts")
	}
	k.owner.realm = string(c.bytes(c.u16()))
	for range parts {
		k.owner.name = append(k.owner.name, string(c.bytes(c.u16())))
	}
	k.owner.kind = int32(c.u32())
	c.u32() // when it was made
	k.version = uint32(c.u8())
	k.value.KeyType = int32(int16(c.u16()))
	k.value.KeyValue = c.bytes(c.u16())
	if len(c.b) >= 4 {
		if v := c.u32(); v != 0 {
			k.version = v
		}
	}
	return k, c.err
}

// find returns the owner's key of an encryption type: the one of a version, or the
// newest where version is 0 or there is no such one.
func find(keys []key, owner principal, etype int32, version uint32) (key, bool) {
	var best key
	found := false
	for _, k := range keys {
		if !k.owner.same(owner) || k.value.KeyType != etype {
			continue
		}
		if k.version == version {
			return k, true
		}
		if !found || k.version > best.version {
			best, found = k, true
		}
	}
	return best, found
}

// usable returns those of the wanted encryption types that the owner has keys of.
func usable(keys []key, owner principal, want []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(want), func(etype int32) bool {
		_, ok := find(keys, owner, etype, 0)
		return !ok
	})
}
