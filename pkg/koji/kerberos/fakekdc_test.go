package kerberos

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// A world is some realms whose KDCs trust each other along a way. Its tickets are
// random numbers that it knows the session keys of.
type world struct {
	t *testing.T

	mu       sync.Mutex
	addrs    map[string]string              // of the KDCs, by realm
	users    map[string]types.EncryptionKey // by principal
	services map[string]string              // realm by service
	next     map[string]string              // "FROM TO": the realm to ask next
	issued   map[string]issue               // by what is in the ticket
	asked    []string                       // "REALM SERVICE", in order
	off      time.Duration                  // how far the KDCs' clocks are off
	answer   func(realm string, b []byte) []byte
	hub      string // "", or how the hub proves itself wrongly
}

type issue struct {
	client, server principal
	key            types.EncryptionKey
}

func newWorld(t *testing.T, realms ...string) *world {
	w := &world{t: t, addrs: map[string]string{}, users: map[string]types.EncryptionKey{}, services: map[string]string{},
		next: map[string]string{}, issued: map[string]issue{}}
	for _, realm := range realms {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		w.addrs[realm] = l.Addr().String()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				w.serve(realm, conn)
			}
		}()
	}
	return w
}

// config is a krb5.conf for this world.
func (w *world) config(more string) string {
	var b strings.Builder
	b.WriteString("[libdefaults]\n dns_lookup_kdc = no\n dns_canonicalize_hostname = no\n" + more + "[realms]\n")
	for realm, addr := range w.addrs {
		b.WriteString(" " + realm + " = {\n  kdc = " + addr + "\n }\n")
	}
	return b.String()
}

func (w *world) newKey() types.EncryptionKey { return w.newKeyOf(etypeID.AES128_CTS_HMAC_SHA1_96) }

// newKeyOf makes a key; gokrb5 makes those of type 20 too short.
func (w *world) newKeyOf(etype int32) types.EncryptionKey {
	size, ok := map[int32]int{
		etypeID.DES3_CBC_SHA1_KD: 24, etypeID.RC4_HMAC: 16,
		etypeID.AES128_CTS_HMAC_SHA1_96: 16, etypeID.AES256_CTS_HMAC_SHA1_96: 32,
		etypeID.AES128_CTS_HMAC_SHA256_128: 16, etypeID.AES256_CTS_HMAC_SHA384_192: 32,
	}[etype]
	if !ok {
		w.t.Fatalf("encryption type %d", etype)
	}
	k := types.EncryptionKey{KeyType: etype, KeyValue: make([]byte, size)}
	_, _ = rand.Read(k.KeyValue)
	return k
}

func (w *world) serve(realm string, conn net.Conn) {
	defer conn.Close()
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return
	}
	b := make([]byte, min(binary.BigEndian.Uint32(head[:]), 1<<20))
	if _, err := io.ReadFull(conn, b); err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var reply []byte
	if w.answer != nil {
		reply = w.answer(realm, b)
	}
	if reply == nil {
		reply = w.reply(realm, b)
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(reply)))
	_, _ = conn.Write(append(out, reply...))
}

func (w *world) reply(realm string, b []byte) []byte {
	var as messages.ASReq
	if as.Unmarshal(b) == nil {
		w.asked = append(w.asked, realm+" login")
		return w.initial(realm, as)
	}
	var tgs messages.TGSReq
	if err := tgs.Unmarshal(b); err != nil {
		w.t.Errorf("the KDC of %s gets no request: %v", realm, err)
		return nil
	}
	w.asked = append(w.asked, realm+" "+tgs.ReqBody.SName.PrincipalNameString())
	return w.grant(realm, tgs)
}

func (w *world) refuse(realm string, code int32, data []byte) []byte {
	k := messages.NewKRBError(types.PrincipalName{NameString: []string{"krbtgt", realm}}, realm, code, "because")
	k.STime, k.EData = time.Now().Add(w.off).UTC(), data
	b, err := k.Marshal()
	if err != nil {
		w.t.Error(err)
	}
	return b
}

func (w *world) initial(realm string, req messages.ASReq) []byte {
	client := fromWire(req.ReqBody.CName, realm)
	key, ok := w.users[client.String()]
	if !ok {
		return w.refuse(realm, errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN, nil)
	}
	var proof []byte
	for _, pa := range req.PAData {
		if pa.PADataType == patype.PA_ENC_TIMESTAMP {
			proof = pa.PADataValue
		}
	}
	if proof == nil {
		info, err := asn1.Marshal([]struct {
			EType int32 `asn1:"explicit,tag:0"`
		}{{etypeID.AES256_CTS_HMAC_SHA384_192}, {key.KeyType}})
		if err != nil {
			w.t.Error(err)
		}
		data, err := asn1.Marshal([]types.PAData{{PADataType: patype.PA_ETYPE_INFO2, PADataValue: info}})
		if err != nil {
			w.t.Error(err)
		}
		return w.refuse(realm, errorcode.KDC_ERR_PREAUTH_REQUIRED, data)
	}
	var sealed types.EncryptedData
	if err := sealed.Unmarshal(proof); err != nil {
		w.t.Errorf("no proof: %v", err)
	}
	plain, err := crypto.DecryptEncPart(sealed, key, keyusage.AS_REQ_PA_ENC_TIMESTAMP)
	if err != nil {
		return w.refuse(realm, errorcode.KDC_ERR_PREAUTH_FAILED, nil)
	}
	var stamp types.PAEncTSEnc
	if err := stamp.Unmarshal(plain); err != nil {
		w.t.Error(err)
	}
	if time.Now().Add(w.off).Sub(stamp.PATimestamp).Abs() > 5*time.Minute {
		return w.refuse(realm, errorcode.KRB_AP_ERR_SKEW, nil)
	}
	if !slices.Contains(req.ReqBody.EType, etypeID.AES128_CTS_HMAC_SHA1_96) { // that of all tickets here
		return w.refuse(realm, errorcode.KDC_ERR_ETYPE_NOSUPP, nil)
	}
	f := w.issue(client, fromWire(req.ReqBody.SName, realm), req.ReqBody.Nonce, key, keyusage.AS_REP_ENCPART)
	f.MsgType = msgtype.KRB_AS_REP
	b, err := (&messages.ASRep{KDCRepFields: f}).Marshal()
	if err != nil {
		w.t.Error(err)
	}
	return b
}

func (w *world) grant(realm string, req messages.TGSReq) []byte {
	var ap messages.APReq
	if err := ap.Unmarshal(req.PAData[0].PADataValue); err != nil {
		w.t.Error(err)
		return nil
	}
	held, ok := w.issued[string(ap.Ticket.EncPart.Cipher)]
	if !ok || !held.server.isTGT(realm) {
		return w.refuse(realm, errorcode.KRB_AP_ERR_NOT_US, nil)
	}
	if err := ap.DecryptAuthenticator(held.key); err != nil {
		return w.refuse(realm, errorcode.KRB_AP_ERR_BAD_INTEGRITY, nil)
	}
	if !fromWire(ap.Authenticator.CName, ap.Authenticator.CRealm).same(held.client) {
		return w.refuse(realm, errorcode.KRB_AP_ERR_BADMATCH, nil)
	}
	server := fromWire(req.ReqBody.SName, realm)
	home, ok := w.services[strings.Join(server.name, "/")]
	if server.name[0] == "krbtgt" {
		home, ok = server.name[1], w.addrs[server.name[1]] != ""
	}
	if !ok {
		return w.refuse(realm, errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN, nil)
	}
	if home != realm {
		next := w.next[realm+" "+home]
		if next == "" {
			return w.refuse(realm, errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN, nil)
		}
		server = grantingService(next, realm)
	}
	f := w.issue(held.client, server, req.ReqBody.Nonce, held.key, keyusage.TGS_REP_ENCPART_SESSION_KEY)
	f.MsgType = msgtype.KRB_TGS_REP
	b, err := (&messages.TGSRep{KDCRepFields: f}).Marshal()
	if err != nil {
		w.t.Error(err)
	}
	return b
}

func (w *world) issue(client, server principal, nonce int, key types.EncryptionKey, usage uint32) messages.KDCRepFields {
	cipher := append(w.newKey().KeyValue, w.newKey().KeyValue...)
	session := w.newKey()
	w.issued[string(cipher)] = issue{client, server, session}
	now := time.Now().Add(w.off).UTC()
	part := messages.EncKDCRepPart{Key: session, Nonce: nonce, Flags: types.NewKrbFlags(), AuthTime: now, EndTime: now.Add(time.Hour),
		LastReqs: []messages.LastReq{{LRValue: now}}, SRealm: server.realm, SName: server.wire()}
	plain, err := part.Marshal()
	if err != nil {
		w.t.Error(err)
	}
	sealed, err := crypto.GetEncryptedData(plain, key, usage, 3)
	if err != nil {
		w.t.Error(err)
	}
	return messages.KDCRepFields{PVNO: 5, CRealm: client.realm, CName: client.wire(), EncPart: sealed,
		Ticket: messages.Ticket{TktVNO: 5, Realm: server.realm, SName: server.wire(),
			EncPart: types.EncryptedData{EType: session.KeyType, KVNO: 1, Cipher: cipher}}}
}

// ServeHTTP is the hub's login behind mod_auth_gssapi.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b64, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Negotiate ")
	if !ok || r.URL.Path != "/kojihub/ssllogin" {
		rw.Header().Set("WWW-Authenticate", "Negotiate")
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	b, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		w.t.Error(err)
		return
	}
	var ap messages.APReq
	if err := ap.Unmarshal(w.unwrap(b)); err != nil {
		w.t.Error(err)
		return
	}
	held, ok := w.issued[string(ap.Ticket.EncPart.Cipher)]
	if !ok || held.server.name[0] != "HTTP" || w.hub == "refuses" {
		rw.Header().Set("WWW-Authenticate", "Negotiate")
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err := ap.DecryptAuthenticator(held.key); err != nil {
		w.t.Error(err)
		return
	}
	auth := ap.Authenticator
	if auth.Cksum.CksumType != chksumtype.GSSAPI || binary.LittleEndian.Uint32(auth.Cksum.Checksum[20:])&gssMutual == 0 ||
		!types.IsFlagSet(&ap.APOptions, flags.APOptionMutualRequired) || !fromWire(auth.CName, auth.CRealm).same(held.client) {
		w.t.Errorf("not what asks for a proof: %+v", auth.Cksum)
	}
	if header := w.prove(auth, held.key); header != "" {
		rw.Header().Add("WWW-Authenticate", header)
	}
	reply, err := xmlrpc.EncodeResponse(map[string]any{"session-id": 7, "session-key": "the key", "header-auth": true})
	if err != nil {
		w.t.Error(err)
	}
	_, _ = rw.Write(reply)
}

// unwrap takes the Kerberos request out of the first token.
func (w *world) unwrap(b []byte) []byte {
	var outer, init, mech asn1.RawValue
	var oid asn1.ObjectIdentifier
	var neg negTokenInit
	if _, err := asn1.Unmarshal(b, &outer); err != nil {
		w.t.Error(err)
	}
	rest, err := asn1.Unmarshal(outer.Bytes, &oid)
	if err != nil || !oid.Equal(spnegoOID()) {
		w.t.Error(oid, err)
	}
	if _, err := asn1.Unmarshal(rest, &init); err != nil {
		w.t.Error(err)
	}
	if _, err := asn1.Unmarshal(init.Bytes, &neg); err != nil {
		w.t.Error(err)
	}
	if _, err := asn1.Unmarshal(neg.MechToken, &mech); err != nil {
		w.t.Error(err)
	}
	rest, err = asn1.Unmarshal(mech.Bytes, &oid)
	if err != nil || !oid.Equal(krb5OID()) || len(rest) < 2 || string(rest[:2]) != tokenRequest {
		w.t.Fatal(oid, err)
	}
	return rest[2:]
}

// prove makes the header by which the hub proves that it has its key.
func (w *world) prove(auth types.Authenticator, key types.EncryptionKey) string {
	state := asn1.Enumerated(0)
	switch w.hub {
	case "no proof":
		return ""
	case "garbage":
		return "Negotiate !"
	case "other key":
		key = w.newKey()
	case "replay":
		auth.Cusec++
	case "incomplete":
		state = 1
	}
	check := func(b []byte, err error) []byte {
		if err != nil {
			w.t.Error(err)
		}
		return b
	}
	part := check(asn1.Marshal(struct {
		CTime time.Time `asn1:"generalized,explicit,tag:0"`
		Cusec int       `asn1:"explicit,tag:1"`
	}{auth.CTime, auth.Cusec}))
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart), key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		w.t.Error(err)
	}
	rep := check(asn1.Marshal(struct {
		PVNO    int                 `asn1:"explicit,tag:0"`
		MsgType int                 `asn1:"explicit,tag:1"`
		EncPart types.EncryptedData `asn1:"explicit,tag:2"`
	}{5, msgtype.KRB_AP_REP, sealed}))
	token := check(wrap(krb5OID(), append([]byte(tokenReply), asn1tools.AddASNAppTag(rep, asnAppTag.APREP)...)))
	b := check(asn1.MarshalWithParams(negTokenResp{State: state, Mech: krb5OID(), Token: token}, "explicit,tag:1"))
	return "Negotiate " + base64.StdEncoding.EncodeToString(b)
}
