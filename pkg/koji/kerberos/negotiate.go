package kerberos

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// What requests a context in which both sides prove who they are (RFC 4121, 4.1.1.1).
const (
	gssMutual     = 2
	gssReplay     = 4
	gssSequence   = 8
	gssConfidence = 16
	gssIntegrity  = 32
)

// Object identifiers of mechanisms (RFC 4178, RFC 4121), and the beginnings of
// Kerberos' tokens.
func spnegoOID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2} }
func krb5OID() asn1.ObjectIdentifier   { return asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2} }

const (
	tokenRequest = "\x01\x00"
	tokenReply   = "\x02\x00"
	tokenError   = "\x03\x00"
)

// A negTokenInit and a negTokenResp are the two halves of the negotiation (RFC 4178,
// 4.2).
type negTokenInit struct {
	MechTypes []asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	MechToken []byte                  `asn1:"explicit,tag:2"`
}

type negTokenResp struct {
	State     asn1.Enumerated       `asn1:"explicit,optional,tag:0,default:-1"`
	Mech      asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	Token     []byte                `asn1:"explicit,optional,tag:2"`
	Signature []byte                `asn1:"explicit,optional,tag:3"`
}

// negotiate makes the token that shows a ticket to a web server (RFC 4559), and the
// function that looks at its reply.
func negotiate(cred *credential, now time.Time) (token string, verify func(http.Header) error, err error) {
	auth, err := types.NewAuthenticator(cred.client.realm, cred.client.wire())
	if err != nil {
		return "", nil, err
	}
	now = now.UTC()
	auth.CTime, auth.Cusec = now, now.Nanosecond()/1000
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], gssMutual|gssReplay|gssSequence|gssConfidence|gssIntegrity)
	auth.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
	var request []byte
	err = safely(func() error {
		ap, err := messages.NewAPReq(cred.ticket, cred.key, auth)
		if err != nil {
			return errors.New("the ticket is of an encryption type that is not known here")
		}
		types.SetFlag(&ap.APOptions, flags.APOptionMutualRequired)
		request, err = ap.Marshal()
		return err
	})
	if err != nil {
		return "", nil, err
	}
	mech, err := wrap(krb5OID(), append([]byte(tokenRequest), request...))
	if err != nil {
		return "", nil, err
	}
	init, err := asn1.MarshalWithParams(negTokenInit{[]asn1.ObjectIdentifier{krb5OID()}, mech}, "explicit,tag:0")
	if err != nil {
		return "", nil, err
	}
	b, err := wrap(spnegoOID(), init)
	if err != nil {
		return "", nil, err
	}
	check := func(h http.Header) error { return verifyReply(h, cred.key, auth) }
	return base64.StdEncoding.EncodeToString(b), check, nil
}

// wrap puts the mechanism's name before a first token (RFC 2743, 3.1).
func wrap(mech asn1.ObjectIdentifier, inner []byte) ([]byte, error) {
	oid, err := asn1.Marshal(mech)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, Tag: 0, IsCompound: true, Bytes: append(oid, inner...)})
}

// verifyReply checks that the server could read what was sent to it: it then has the
// key that belongs to its name.
func verifyReply(h http.Header, key types.EncryptionKey, sent types.Authenticator) error {
	for _, v := range h.Values("WWW-Authenticate") {
		scheme, b64, _ := strings.Cut(v, " ")
		if !strings.EqualFold(scheme, "Negotiate") || len(b64) > maxReply {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(b64))
		if err == nil {
			err = safely(func() error { return checkReply(b, key, sent) })
		}
		if err != nil {
			return &Error{Op: "looking who answers", Err: err, Remedy: "somebody may stand between you and the hub"}
		}
		return nil
	}
	return &Error{Op: "looking who answers", Err: errors.New("the hub took the ticket, and did not prove that it is the hub"),
		Remedy: "its web server must send WWW-Authenticate with the reply (mod_auth_gssapi does)"}
}

func checkReply(b []byte, key types.EncryptionKey, sent types.Authenticator) error {
	token, err := unwrapReply(b)
	if err != nil {
		return err
	}
	var rep messages.APRep
	if err := rep.Unmarshal(token); err != nil {
		return errors.New("its proof is malformed")
	}
	plain, err := crypto.DecryptEncPart(rep.EncPart, key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return errors.New("its proof is not made with the key of the hub")
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return errors.New("its proof is malformed")
	}
	if part.CTime.Unix() != sent.CTime.Unix() || part.Cusec != sent.Cusec {
		return errors.New("its proof is one for another request")
	}
	return nil
}

// unwrapReply returns the Kerberos message within a reply's token.
func unwrapReply(b []byte) ([]byte, error) {
	var resp negTokenResp
	rest, err := asn1.UnmarshalWithParams(b, &resp, "explicit,tag:1")
	if err != nil || len(rest) != 0 {
		return nil, errors.New("its answer is no SPNEGO token")
	}
	if resp.State > 0 {
		return nil, fmt.Errorf("it has not taken the ticket (SPNEGO state %d)", resp.State)
	}
	var framed asn1.RawValue
	if rest, err = asn1.Unmarshal(resp.Token, &framed); err != nil || len(rest) != 0 ||
		framed.Class != asn1.ClassApplication || framed.Tag != 0 {
		return nil, errors.New("its answer has no Kerberos token")
	}
	var mech asn1.ObjectIdentifier
	if rest, err = asn1.Unmarshal(framed.Bytes, &mech); err != nil || !mech.Equal(krb5OID()) {
		return nil, errors.New("its answer is of another mechanism than Kerberos")
	}
	switch {
	case bytes.HasPrefix(rest, []byte(tokenReply)):
		return rest[2:], nil
	case bytes.HasPrefix(rest, []byte(tokenError)):
		return nil, errors.New("it answers with a Kerberos error")
	}
	return nil, errors.New("its answer is no Kerberos reply")
}
