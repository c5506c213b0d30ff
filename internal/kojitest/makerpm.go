package kojitest

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/internal/rpmfile"
)

// An RPM is a package to be made for a test: a real one, which has no files in it.
type RPM struct {
	Name, Version, Release string
	Arch                   string // "src" for a source package
	Epoch                  uint32 // 0 for none
	SourceRPM              string // file name; that of the package's own name where empty
	License                string // MIT unless set
	Label                  string // MODULARITYLABEL; none where empty
	ExclusiveArch          []string
	Time                   uint32 // BUILDTIME; 1700000000 unless set
}

// FileName returns the package's name as a file.
func (r RPM) FileName() string {
	return fmt.Sprintf("%s-%s-%s.%s.rpm", r.Name, r.Version, r.Release, r.Arch)
}

// Types of entries of an RPM header.
const (
	typeInt32       = 4
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
	typeI18NString  = 9
)

// Tags that only what makes packages needs.
const (
	tagI18NTable     rpmfile.Tag = 100
	tagOS            rpmfile.Tag = 1021
	tagPayloadFormat rpmfile.Tag = 1124
	tagCompressor    rpmfile.Tag = 1125
)

type rpmEntry struct {
	tag  rpmfile.Tag
	typ  uint32
	n    int
	data []byte
}

func text(tag rpmfile.Tag, typ uint32, values ...string) rpmEntry {
	return rpmEntry{tag, typ, len(values), []byte(strings.Join(values, "\x00") + "\x00")}
}

func number(tag rpmfile.Tag, values ...uint32) rpmEntry {
	e := rpmEntry{tag: tag, typ: typeInt32, n: len(values)}
	for _, v := range values {
		e.data = binary.BigEndian.AppendUint32(e.data, v)
	}
	return e
}

// Bytes returns the package's file.
func (r RPM) Bytes() []byte {
	var payload bytes.Buffer
	z := gzip.NewWriter(&payload)
	// The end of an archive (cpio, format "newc") with nothing before it.
	fmt.Fprintf(z, "070701%08x%08x%s%08x%08xTRAILER!!!\x00\x00\x00\x00", 0, 0, strings.Repeat("00000000", 9), 11, 0)
	_ = z.Close() // nothing fails in memory
	sum := sha256.Sum256(payload.Bytes())
	header := rpmHeader(rpmfile.TagHeaderImmutable, r.entries(hex.EncodeToString(sum[:])))
	both := append(slices.Clone(header), payload.Bytes()...)
	h1, h256, m := sha1.Sum(header), sha256.Sum256(header), md5.Sum(both)
	signature := rpmHeader(rpmfile.SigTagHeaderSignatures, []rpmEntry{
		text(rpmfile.SigTagSHA1, typeString, hex.EncodeToString(h1[:])),
		text(rpmfile.SigTagSHA256, typeString, hex.EncodeToString(h256[:])),
		number(rpmfile.SigTagSize, uint32(len(both))),
		{rpmfile.SigTagMD5, typeBin, len(m), m[:]},
	})
	for len(signature)%8 != 0 {
		signature = append(signature, 0)
	}
	return slices.Concat(r.lead(), signature, both)
}

func (r RPM) lead() []byte {
	lead := make([]byte, 96)
	copy(lead, []byte{0xed, 0xab, 0xee, 0xdb, 3, 0})
	if r.Arch == "src" {
		lead[7] = 1
	}
	lead[9] = 1
	copy(lead[10:75], r.Name+"-"+r.Version+"-"+r.Release)
	lead[77], lead[79] = 1, 5
	return lead
}

func (r RPM) entries(payloadSum string) []rpmEntry {
	if r.License == "" {
		r.License = "MIT"
	}
	if r.Time == 0 {
		r.Time = 1700000000
	}
	list := []rpmEntry{
		text(tagI18NTable, typeStringArray, "C"), text(rpmfile.TagName, typeString, r.Name), text(rpmfile.TagVersion, typeString, r.Version),
		text(rpmfile.TagRelease, typeString, r.Release), text(rpmfile.TagSummary, typeI18NString, r.Name),
		text(rpmfile.TagDescription, typeI18NString, r.Name), number(rpmfile.TagBuildTime, r.Time), text(rpmfile.TagBuildHost, typeString, "localhost"),
		number(rpmfile.TagSize, 0), text(rpmfile.TagLicense, typeString, r.License), text(rpmfile.TagGroup, typeI18NString, "Unspecified"),
		text(tagOS, typeString, "linux"), text(rpmfile.TagProvideName, typeStringArray, r.Name),
		number(rpmfile.TagProvideFlags, 8), text(rpmfile.TagProvideVersion, typeStringArray, r.Version+"-"+r.Release),
		text(tagPayloadFormat, typeString, "cpio"), text(tagCompressor, typeString, "gzip"),
		text(rpmfile.TagPayloadDigest, typeStringArray, payloadSum), number(rpmfile.TagPayloadDigestAlgo, 8),
	}
	if r.Epoch != 0 {
		list = append(list, number(rpmfile.TagEpoch, r.Epoch))
	}
	if r.Label != "" {
		list = append(list, text(rpmfile.TagModularityLabel, typeString, r.Label))
	}
	if len(r.ExclusiveArch) > 0 {
		list = append(list, text(rpmfile.TagExclusiveArch, typeStringArray, r.ExclusiveArch...))
	}
	arch := r.Arch
	if arch == "src" {
		arch = "noarch"
		list = append(list, number(rpmfile.TagSourcePackage, 1))
	} else {
		if r.SourceRPM == "" {
			r.SourceRPM = fmt.Sprintf("%s-%s-%s.src.rpm", r.Name, r.Version, r.Release)
		}
		list = append(list, text(rpmfile.TagSourceRPM, typeString, r.SourceRPM))
	}
	list = append(list, text(rpmfile.TagArch, typeString, arch))
	slices.SortFunc(list, func(a, b rpmEntry) int { return int(a.tag) - int(b.tag) })
	return list
}

// rpmHeader puts a header together, all of it within a region as rpm wants it.
func rpmHeader(region rpmfile.Tag, entries []rpmEntry) []byte {
	var index, data []byte
	add := func(e rpmEntry) {
		for e.typ == typeInt32 && len(data)%4 != 0 {
			data = append(data, 0)
		}
		for _, n := range []uint32{uint32(e.tag), e.typ, uint32(len(data)), uint32(e.n)} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		data = append(data, e.data...)
	}
	for _, e := range entries {
		add(e)
	}
	first := []byte{}
	for _, n := range []uint32{uint32(region), typeBin, uint32(len(data)), 16} {
		first = binary.BigEndian.AppendUint32(first, n)
	}
	for _, n := range []int32{int32(region), typeBin, -16 * int32(len(entries)+1), 16} {
		data = binary.BigEndian.AppendUint32(data, uint32(n))
	}
	out := []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0}
	out = binary.BigEndian.AppendUint32(out, uint32(len(entries)+1))
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	return slices.Concat(out, first, index, data)
}
