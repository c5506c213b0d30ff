package rpmfile

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

func TestVerifyHeader(t *testing.T) {
	file, err := os.ReadFile("../../testdata/rpms/juniper-1.4~rc2-3.x86_64.rpm")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(file []byte) []byte
		drop   []Tag // of the signature header
		want   error
	}{
		{name: "as it was built", change: bytes.Clone},
		{name: "another payload", change: func(b []byte) []byte { return b[:whole.HeaderEnd] }},
		{name: "another header", want: ErrDigest, change: func(b []byte) []byte {
			return bytes.Replace(b, []byte("Library & tools"), []byte("library & tools"), 1)
		}},
		{name: "one digest of it", change: bytes.Clone, drop: []Tag{SigTagSHA256, SigTagSHA3}},
		{name: "no digest of it alone", change: bytes.Clone, drop: []Tag{SigTagSHA1, SigTagSHA256, SigTagSHA3}, want: ErrNoDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Read(bytes.NewReader(tt.change(file)))
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range tt.drop {
				delete(p.Signature.entries, tag)
			}
			if err := p.VerifyHeader(); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}
