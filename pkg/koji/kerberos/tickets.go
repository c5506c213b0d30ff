package kerberos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/kojimod/kojimod/internal/safetext"
)

// maxHops is how many realms may lie between the client's and the service's.
const maxHops = 10

// initial gets a ticket-granting ticket with a key of the client's (RFC 4120, 3.1).
func (x *exchange) initial(ctx context.Context, client principal, keys []key) (*credential, error) {
	op := fmt.Sprintf("getting a ticket for %s", client)
	etypes := usable(keys, client, x.conf.enctypes)
	if len(etypes) == 0 {
		return nil, &Error{Op: op, Err: errors.New("the keytab has keys of other encryption types only than krb5.conf permits"),
			Remedy: "get one with an AES key, or add to permitted_enctypes"}
	}
	lib := *x.conf.lib
	// The others, too: the ticket's own key may be of another type than the client's.
	lib.LibDefaults.DefaultTktEnctypeIDs = slices.Concat(etypes, slices.DeleteFunc(slices.Clone(x.conf.enctypes),
		func(e int32) bool { return slices.Contains(etypes, e) }))
	req, err := messages.NewASReqForTGT(client.realm, &lib, client.wire())
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	reply, err := x.sendInitial(ctx, client.realm, req)
	var refusal *kdcError
	if errors.As(err, &refusal) && refusal.code == errorcode.KDC_ERR_PREAUTH_REQUIRED {
		if req.PAData, err = timestamp(refusal.data, client, keys, etypes); err == nil {
			reply, err = x.sendInitial(ctx, client.realm, req)
		}
	}
	if err != nil {
		return nil, &Error{Op: op, Err: err, Remedy: x.remedy(err, client)}
	}
	cred, err := x.openInitial(reply, req, client, keys)
	if err != nil {
		return nil, &Error{Op: op, Err: fmt.Errorf("the KDC's reply: %w", err)}
	}
	return cred, nil
}

func (x *exchange) sendInitial(ctx context.Context, realm string, req messages.ASReq) ([]byte, error) {
	b, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	return x.send(ctx, realm, b)
}

// timestamp makes the proof that one has the key (RFC 4120, 5.2.7.2), of the first
// type among those that the KDC names which there is a key of.
func timestamp(methods []byte, client principal, keys []key, etypes []int32) (types.PADataSequence, error) {
	etype := etypes[0]
	err := safely(func() error {
		var pas types.PADataSequence
		if err := pas.Unmarshal(methods); err != nil {
			return err
		}
		for _, pa := range pas {
			if pa.PADataType != patype.PA_ETYPE_INFO2 {
				continue
			}
			info, err := pa.GetETypeInfo2()
			if err != nil {
				return err
			}
			i := slices.IndexFunc(info, func(e types.ETypeInfo2Entry) bool { return slices.Contains(etypes, e.EType) })
			if i < 0 {
				return errors.New("the KDC has keys of other encryption types than the keytab")
			}
			etype = info[i].EType
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	k, _ := find(keys, client, etype, 0)
	plain, err := types.GetPAEncTSEncAsnMarshalled()
	if err != nil {
		return nil, err
	}
	var sealed types.EncryptedData
	err = safely(func() (err error) {
		sealed, err = crypto.GetEncryptedData(plain, k.value, keyusage.AS_REQ_PA_ENC_TIMESTAMP, int(k.version))
		return err
	})
	if err != nil {
		return nil, errors.New("the key in the keytab is not one of its encryption type")
	}
	b, err := sealed.Marshal()
	if err != nil {
		return nil, err
	}
	return types.PADataSequence{{PADataType: patype.PA_ENC_TIMESTAMP, PADataValue: b}}, nil
}

func (x *exchange) openInitial(reply []byte, req messages.ASReq, client principal, keys []key) (*credential, error) {
	var rep messages.ASRep
	var part messages.EncKDCRepPart
	err := safely(func() error {
		if err := rep.Unmarshal(reply); err != nil {
			return errors.New("it is malformed")
		}
		k, ok := find(keys, client, rep.EncPart.EType, uint32(rep.EncPart.KVNO))
		if !ok {
			return fmt.Errorf("it is encrypted by type %d, of which the keytab has no key", rep.EncPart.EType)
		}
		plain, err := crypto.DecryptEncPart(rep.EncPart, k.value, keyusage.AS_REP_ENCPART)
		if err != nil {
			return errors.New("it is encrypted with another key than the keytab's: get a new keytab")
		}
		return part.Unmarshal(plain)
	})
	if err != nil {
		return nil, err
	}
	if !fromWire(rep.CName, rep.CRealm).same(client) {
		return nil, errors.New("it is for somebody else")
	}
	cred, err := x.accept(&rep.KDCRepFields, &part, req.ReqBody.Nonce, client.realm)
	if err == nil && (!cred.server.isTGT(client.realm) || !fromWire(part.SName, part.SRealm).same(cred.server)) {
		err = errors.New("it has a ticket for something else")
	}
	if off := part.AuthTime.Sub(x.now()).Abs(); err == nil && off > x.conf.skew {
		err = fmt.Errorf("its clock and this machine's differ by %s", off.Round(time.Second))
	}
	if err != nil {
		return nil, err
	}
	cred.client = client
	return cred, nil
}

// accept checks what every reply must have.
func (x *exchange) accept(rep *messages.KDCRepFields, part *messages.EncKDCRepPart, nonce int, realm string) (*credential, error) {
	switch {
	case part.Nonce != nonce:
		return nil, errors.New("it is one to another request")
	case part.SRealm != realm || rep.Ticket.Realm != realm:
		return nil, errors.New("it is of another realm")
	case len(rep.Ticket.SName.NameString) == 0 || len(rep.CName.NameString) == 0:
		return nil, errors.New("it names nobody")
	case !x.now().Before(part.EndTime.Add(x.conf.skew)):
		return nil, fmt.Errorf("its ticket has ended at %s: see that the clocks agree", part.EndTime)
	}
	return &credential{server: fromWire(rep.Ticket.SName, rep.Ticket.Realm), key: part.Key, end: part.EndTime, ticket: rep.Ticket}, nil
}

// service gets a ticket for spn (RFC 4120, 3.3), over other realms where that is
// the way; realm is the service's where it is known.
func (x *exchange) service(ctx context.Context, tgt *credential, spn principal, realm string) (*credential, error) {
	op := fmt.Sprintf("getting a ticket for %s", spn)
	here, guessed := tgt.client.realm, realm != ""
	for range maxHops {
		want := spn
		if realm != "" && realm != here {
			want = grantingService(realm, here)
		}
		got, err := x.step(ctx, tgt, want, here)
		if unknownService(err) && !guessed {
			// The realm that a name seems to say, as MIT takes it in the end.
			if _, domain, ok := strings.Cut(spn.name[len(spn.name)-1], "."); ok && strings.Contains(domain, ".") {
				if up := strings.ToUpper(domain); up != here {
					guessed = true
					if cross, err2 := x.step(ctx, tgt, grantingService(up, here), here); err2 == nil && len(cross.server.name) == 2 {
						tgt, here, realm = cross, cross.server.name[1], up
						continue
					}
				}
			}
		}
		if err != nil {
			return nil, &Error{Op: op, Err: err, Remedy: x.remedy(err, spn)}
		}
		if got.server.sameName(spn) {
			return got, nil
		}
		next := got.server
		if len(next.name) != 2 || next.name[0] != "krbtgt" || next.name[1] == here {
			return nil, &Error{Op: op, Err: fmt.Errorf("the KDC of %s gave one for %s", here, next)}
		}
		if want.sameName(spn) {
			realm = "" // a referral
		}
		tgt, here = got, next.name[1]
	}
	return nil, &Error{Op: op, Err: fmt.Errorf("after %d realms there is still none", maxHops)}
}

// step asks a realm's KDC for one ticket.
func (x *exchange) step(ctx context.Context, tgt *credential, want principal, realm string) (*credential, error) {
	lib := *x.conf.lib
	lib.LibDefaults.Canonicalize = true // let it refer to another realm
	req, err := messages.NewTGSReq(tgt.client.wire(), realm, &lib, tgt.ticket, tgt.key, want.wire(), false)
	if err == nil {
		req.PAData, err = proof(req, tgt)
	}
	var b []byte
	if err == nil {
		b, err = req.Marshal()
	}
	if err != nil {
		return nil, errors.New("the ticket to ask with is malformed, or of an encryption type that is not known here")
	}
	reply, err := x.send(ctx, realm, b)
	if err != nil {
		return nil, err
	}
	var rep messages.TGSRep
	err = safely(func() error {
		if err := rep.Unmarshal(reply); err != nil {
			return errors.New("it is malformed")
		}
		return rep.DecryptEncPart(tgt.key)
	})
	var got *credential
	if err == nil {
		got, err = x.accept(&rep.KDCRepFields, &rep.DecryptedEncPart, req.ReqBody.Nonce, realm)
	}
	if err == nil && !fromWire(rep.DecryptedEncPart.SName, "").sameName(got.server) {
		err = errors.New("it has another ticket than it says")
	}
	if err != nil {
		return nil, fmt.Errorf("the KDC's reply: %w", err)
	}
	got.client = tgt.client
	return got, nil
}

// proof makes the authenticator of a request to a KDC. That of gokrb5 names the
// realm of the ticket as the client's, which is another after two realms.
func proof(req messages.TGSReq, tgt *credential) (types.PADataSequence, error) {
	var pa types.PADataSequence
	err := safely(func() error {
		body, err := req.ReqBody.Marshal()
		if err != nil {
			return err
		}
		etype, err := crypto.GetEtype(tgt.key.KeyType)
		if err != nil {
			return err
		}
		sum, err := etype.GetChecksumHash(tgt.key.KeyValue, body, keyusage.TGS_REQ_PA_TGS_REQ_AP_REQ_AUTHENTICATOR_CHKSUM)
		if err != nil {
			return err
		}
		auth, err := types.NewAuthenticator(tgt.client.realm, tgt.client.wire())
		if err != nil {
			return err
		}
		auth.Cksum = types.Checksum{CksumType: etype.GetHashID(), Checksum: sum}
		ap, err := messages.NewAPReq(tgt.ticket, tgt.key, auth)
		if err != nil {
			return err
		}
		b, err := ap.Marshal()
		pa = types.PADataSequence{{PADataType: patype.PA_TGS_REQ, PADataValue: b}}
		return err
	})
	return pa, err
}

// remedy says what may help against a refusal.
func (x *exchange) remedy(err error, p principal) string {
	var k *kdcError
	if !errors.As(err, &k) {
		return ""
	}
	switch k.code {
	case errorcode.KRB_AP_ERR_SKEW:
		return fmt.Sprintf("the KDC's clock shows %s and this machine's %s: set it", k.time.Local().Format(time.TimeOnly), x.now().Format(time.TimeOnly))
	case errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN:
		return fmt.Sprintf("see that the name and the realm %s are right", safetext.Line(p.realm))
	case errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN:
		return "the hub is known to Kerberos by another name: use that in its address or as the host, or correct [domain_realm] in " + x.conf.files
	case errorcode.KDC_ERR_PREAUTH_FAILED, errorcode.KRB_AP_ERR_BAD_INTEGRITY:
		return "the key is not the principal's any more: get a new keytab"
	case errorcode.KDC_ERR_WRONG_REALM:
		return "give the principal with its realm, " + safetext.Line(k.in)
	case errorcode.KRB_AP_ERR_TKT_EXPIRED:
		return "run kinit"
	case errorcode.KDC_ERR_CLIENT_REVOKED, errorcode.KDC_ERR_KEY_EXPIRED, errorcode.KDC_ERR_NAME_EXP:
		return "ask an administrator of the realm"
	case errorcode.KDC_ERR_ETYPE_NOSUPP:
		return "see permitted_enctypes in " + x.conf.files
	}
	return ""
}
