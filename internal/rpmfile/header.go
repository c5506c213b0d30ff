package rpmfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Limits on what a header may claim. Those on entries and data are rpm's own; the
// one on values bounds what decoding costs, at several times the largest
// package known.
const (
	maxEntries       = 0xffff
	maxData          = 0x0fffffff
	maxSigEntries    = 32
	maxSigData       = 64 << 20
	maxValues        = 1 << 22
	maxPathBytes     = maxData // sum of the lengths of all file names
	introSize        = 16
	entrySize        = 16
	regionDataLength = 16
)

// headerMagic starts every header: three bytes, the version, four reserved.
var headerMagic = [8]byte{0x8e, 0xad, 0xe8, 0x01}

// dataType is the type of an entry's values.
type dataType uint32

const (
	typeChar        dataType = 1
	typeInt8        dataType = 2
	typeInt16       dataType = 3
	typeInt32       dataType = 4
	typeInt64       dataType = 5
	typeString      dataType = 6
	typeBin         dataType = 7
	typeStringArray dataType = 8
	typeI18NString  dataType = 9
)

// width is the size of one value, 0 for strings.
func (t dataType) width() int {
	switch t {
	case typeChar, typeInt8, typeBin:
		return 1
	case typeInt16:
		return 2
	case typeInt32:
		return 4
	case typeInt64:
		return 8
	}
	return 0
}

// A Header is a checked header. It is immutable, and safe for concurrent use.
type Header struct {
	raw     []byte
	entries map[Tag]entry
}

type entry struct {
	typ   dataType
	count int
	data  []byte // all values, strings with their NULs
}

// ParseHeader reads a header from its 8-byte magic to the end of its data. All
// entries are checked: that their data are there, do not overlap, and that the
// lists that belong together fit each other. The header keeps raw, which must
// not be changed.
func ParseHeader(raw []byte) (*Header, error) {
	return parseHeader(raw, "header")
}

func parseHeader(raw []byte, part string) (*Header, error) {
	bad := func(offset int, err error, format string, args ...any) (*Header, error) {
		return nil, &Error{Offset: int64(offset), Part: part, Err: err, Detail: fmt.Sprintf(format, args...)}
	}
	if len(raw) < introSize {
		return bad(len(raw), ErrTruncated, "%d bytes are too few", len(raw))
	}
	entryCount, dataSize, err := parseIntro(raw, part, maxEntries, maxData)
	if err != nil {
		return nil, err
	}
	want := introSize + entrySize*entryCount + dataSize
	if len(raw) < want {
		return bad(len(raw), ErrTruncated, "%d of %d bytes are there", len(raw), want)
	}
	if len(raw) > want {
		return bad(want, ErrMalformed, "%d bytes follow its end", len(raw)-want)
	}
	h := &Header{raw: raw, entries: make(map[Tag]entry, entryCount)}
	data := raw[introSize+entrySize*entryCount:]
	type span struct{ start, end, index int }
	spans := make([]span, 0, entryCount)
	for i := range entryCount {
		at := introSize + entrySize*i
		tag := Tag(binary.BigEndian.Uint32(raw[at:]))
		typ := dataType(binary.BigEndian.Uint32(raw[at+4:]))
		offset := binary.BigEndian.Uint32(raw[at+8:])
		count := binary.BigEndian.Uint32(raw[at+12:])
		if uint64(offset) > uint64(dataSize) {
			return bad(at, ErrMalformed, "tag %d: its data would start at %d of %d bytes", tag, offset, dataSize)
		}
		length, why := dataLength(data[offset:], typ, count)
		if why != "" {
			return bad(at, ErrMalformed, "tag %d: %s", tag, why)
		}
		if isRegion := i == 0 && (tag == TagHeaderImmutable || tag == SigTagHeaderSignatures); isRegion {
			if typ != typeBin || count != regionDataLength {
				return bad(at, ErrMalformed, "the region tag %d has type %d and %d bytes", tag, typ, count)
			}
		} else {
			spans = append(spans, span{int(offset), int(offset) + length, i})
		}
		if _, twice := h.entries[tag]; !twice { // as in rpm, the first one is found
			h.entries[tag] = entry{typ, int(count), data[offset : int(offset)+length]}
		}
	}
	// Without this, a small file could name the same megabytes 65,535 times over.
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	for i := 1; i < len(spans); i++ {
		if spans[i].start < spans[i-1].end {
			return bad(introSize+entrySize*spans[i].index, ErrMalformed, "data of two entries overlap")
		}
	}
	if err := h.checkLists(part); err != nil {
		return nil, err
	}
	return h, nil
}

// parseIntro reads magic and counts, and refuses counts above the limits.
func parseIntro(raw []byte, part string, entryLimit, dataLimit uint32) (entries, data int, err error) {
	if !bytes.Equal(raw[:4], headerMagic[:4]) {
		return 0, 0, &Error{Part: part, Err: ErrMalformed, Detail: fmt.Sprintf("it starts with % x, not with % x", raw[:4], headerMagic[:4])}
	}
	n, size := binary.BigEndian.Uint32(raw[8:]), binary.BigEndian.Uint32(raw[12:])
	if n > entryLimit || size > dataLimit {
		return 0, 0, &Error{Offset: 8, Part: part, Err: ErrMalformed,
			Detail: fmt.Sprintf("it claims %d entries and %d bytes of data; at most %d and %d are allowed", n, size, entryLimit, dataLimit)}
	}
	if n == 0 {
		return 0, 0, &Error{Offset: 8, Part: part, Err: ErrMalformed, Detail: "it has no entries"}
	}
	return int(n), int(size), nil
}

// dataLength says how many bytes of data the values take, or what is wrong with them.
func dataLength(data []byte, typ dataType, count uint32) (length int, why string) {
	if count == 0 {
		return 0, "it has no values"
	}
	if count > maxValues && typ != typeBin {
		return 0, fmt.Sprintf("it claims %d values; at most %d are allowed", count, maxValues)
	}
	if w := typ.width(); w > 0 {
		if n := uint64(count) * uint64(w); n <= uint64(len(data)) {
			return int(n), ""
		}
		return 0, fmt.Sprintf("it claims %d values of %d bytes where %d bytes are left", count, w, len(data))
	}
	switch typ {
	case typeString:
		if count != 1 {
			return 0, fmt.Sprintf("it is one string and claims %d", count)
		}
	case typeStringArray, typeI18NString:
	default:
		return 0, fmt.Sprintf("it has the unknown type %d", typ)
	}
	for range count {
		n := bytes.IndexByte(data[length:], 0)
		if n < 0 {
			return 0, fmt.Sprintf("fewer strings are there than the %d that it claims", count)
		}
		length += n + 1
	}
	return length, ""
}

// Raw gives the header's bytes from its magic on. They must not be changed.
func (h *Header) Raw() []byte { return h.raw }

// Has says whether the header has an entry for tag.
func (h *Header) Has(tag Tag) bool {
	_, ok := h.entries[tag]
	return ok
}

// Count says how many values tag has: 0 where there is none.
func (h *Header) Count(tag Tag) int { return h.entries[tag].count }

// String gives the first string of tag (of a translated one: the untranslated),
// or "" where there is none or it is no string. It may be any bytes but NUL.
func (h *Header) String(tag Tag) string {
	e, ok := h.entries[tag]
	if !ok || e.typ.width() > 0 {
		return ""
	}
	return string(e.data[:bytes.IndexByte(e.data, 0)])
}

// Strings gives all strings of tag, nil where there is none or it is no string.
func (h *Header) Strings(tag Tag) []string {
	e, ok := h.entries[tag]
	if !ok || e.typ.width() > 0 {
		return nil
	}
	all := string(e.data) // one allocation for all of them
	out := make([]string, 0, e.count)
	for start := 0; start < len(all); {
		end := start + bytes.IndexByte(e.data[start:], 0)
		out = append(out, all[start:end])
		start = end + 1
	}
	return out
}

// Uint64 gives the first number of tag.
func (h *Header) Uint64(tag Tag) (uint64, bool) {
	e, ok := h.entries[tag]
	if !ok || e.typ == typeBin || e.typ.width() == 0 {
		return 0, false
	}
	return e.number(0), true
}

// Uint64s gives all numbers of tag, nil where there is none or it is no number.
func (h *Header) Uint64s(tag Tag) []uint64 {
	e, ok := h.entries[tag]
	if !ok || e.typ == typeBin || e.typ.width() == 0 {
		return nil
	}
	out := make([]uint64, e.count)
	for i := range out {
		out[i] = e.number(i)
	}
	return out
}

func (e entry) number(i int) uint64 {
	switch w := e.typ.width(); w {
	case 2:
		return uint64(binary.BigEndian.Uint16(e.data[i*w:]))
	case 4:
		return uint64(binary.BigEndian.Uint32(e.data[i*w:]))
	case 8:
		return binary.BigEndian.Uint64(e.data[i*w:])
	default:
		return uint64(e.data[i])
	}
}

// Bytes gives the value of a binary tag, nil where there is none.
func (h *Header) Bytes(tag Tag) []byte {
	e, ok := h.entries[tag]
	if !ok || e.typ != typeBin {
		return nil
	}
	return bytes.Clone(e.data)
}

// checkLists refuses lists that do not fit each other, so that the methods which
// combine them cannot fail.
func (h *Header) checkLists(part string) error {
	bad := func(format string, args ...any) error {
		return &Error{Part: part, Err: ErrMalformed, Detail: fmt.Sprintf(format, args...)}
	}
	if !h.Has(TagBaseNames) {
		return nil
	}
	names, indexes := h.entries[TagBaseNames], h.entries[TagDirIndexes]
	if indexes.typ != typeInt32 || indexes.count != names.count {
		return bad("%d file names have %d directory numbers", names.count, indexes.count)
	}
	if names.typ.width() > 0 {
		return bad("file names are no strings")
	}
	dirs := h.Strings(TagDirNames)
	total := len(names.data)
	for i := range indexes.count {
		d := indexes.number(i)
		if d >= uint64(len(dirs)) {
			return bad("file %d is in directory %d of %d", i, d, len(dirs))
		}
		if total += len(dirs[d]); total > maxPathBytes {
			return bad("its file names are more than %d bytes long altogether", maxPathBytes)
		}
	}
	return nil
}
