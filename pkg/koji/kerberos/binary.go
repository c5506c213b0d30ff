package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/kojimod/kojimod/internal/regularfile"
)

// What files and replies may have in them at most. A ticket of Active Directory with
// many groups has some 64 KiB.
const (
	maxFile      = 4 << 20
	maxNameParts = 16
	maxEntries   = 4096
	maxReply     = 1 << 20
)

var errShort = errors.New("it ends too early, or has a length that cannot be")

// A cutter takes numbers and byte strings off a file. After the first failure it
// gives zeroes, and err stays.
type cutter struct {
	b   []byte
	err error
}

func (c *cutter) bytes(n int) []byte {
	if c.err != nil || n < 0 || n > len(c.b) {
		c.err = errShort
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cutter) u8() int {
	if b := c.bytes(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (c *cutter) u16() int {
	if b := c.bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cutter) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// data takes what stands behind a length of four bytes.
func (c *cutter) data() []byte {
	n := c.u32()
	if n > uint32(len(c.b)) {
		c.err = errShort
		return nil
	}
	return c.bytes(int(n))
}

// count takes a number of things that have at least size bytes each.
func (c *cutter) count(size int) int {
	n := c.u32()
	if uint64(n)*uint64(size) > uint64(len(c.b)) {
		c.err = errShort
		return 0
	}
	return int(n)
}

// filePath takes the type off the name of a cache or keytab, which must be FILE.
func filePath(name string) (string, error) {
	kind, path, typed := strings.Cut(name, ":")
	switch {
	case !typed || strings.ContainsRune(kind, '/'):
		return name, nil
	case kind == "FILE" || kind == "WRFILE":
		return path, nil
	}
	return "", fmt.Errorf("it is of the type %s", kind)
}

func readFile(path string) ([]byte, error) { return regularfile.ReadFile(path, maxFile) }

// safely calls f, which has gokrb5 look at something that a stranger wrote: its
// functions index slices whose length they did not check.
func safely(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it is malformed")
		}
	}()
	return f()
}
