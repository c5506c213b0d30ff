package koji

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// overTLS makes the hub one that asks for a client certificate and takes any.
func (h *fakeHub) overTLS() *tls.Config {
	h.Server.Close()
	h.Server = httptest.NewUnstartedServer(h)
	h.Server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	h.Server.StartTLS()
	h.t.Cleanup(h.Server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	return &tls.Config{RootCAs: pool}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "packager"},
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestLoginCertificate(t *testing.T) {
	h := newFakeHub(t)
	if _, err := h.client(Options{}).LoginCertificate(t.Context(), certificate(t)); err == nil {
		t.Error("logged in by certificate over http://")
	}
	conf := h.overTLS()
	c := h.client(Options{TLS: conf})
	s, err := c.LoginCertificate(t.Context(), certificate(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h.trouble(trouble{"change", "expire"}, trouble{"sslLogin", "502"})
	if err := s.Call(t.Context(), "change", nil, "x"); err != nil {
		t.Errorf("renewed: %v", err)
	}
	sub, err := s.Subsession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	h.trouble(trouble{"change", "expire"})
	if err := sub.Call(t.Context(), "change", nil, "y"); err != nil {
		t.Errorf("a subsession, renewed: %v", err)
	}
	if _, err := c.LoginCertificate(t.Context(), tls.Certificate{}); err == nil {
		t.Error("logged in by an empty certificate")
	}
	strict := h.client(Options{})
	var call *CallError
	if _, err := strict.LoginCertificate(t.Context(), certificate(t)); !errors.As(err, &call) || call.Attempts != 1 {
		t.Errorf("a hub that nobody vouches for: %v", err)
	}
}

func TestLoginHTTP(t *testing.T) {
	h := newFakeHub(t)
	conf := h.overTLS()
	c := h.client(Options{TLS: conf})
	asked, looked := 0, 0
	s, err := c.LoginHTTP(t.Context(), func(r *http.Request) (func(http.Header) error, error) {
		asked++
		r.Header.Set("Authorization", "Negotiate abc")
		return func(h http.Header) error {
			looked++
			if h.Get("Content-Type") == "" {
				t.Error("not the header of the reply")
			}
			return nil
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h.trouble(trouble{"change", "expire"})
	if err := s.Call(t.Context(), "change", nil, "x"); err != nil || asked != 2 || looked != 2 {
		t.Errorf("renewed: %v, asked %d times, looked %d times", err, asked, looked)
	}
	negotiate := func(r *http.Request) { r.Header.Set("Authorization", "Negotiate abc") }
	noTicket, liar := errors.New("no ticket"), errors.New("not the hub")
	tests := map[string]struct {
		authorize Authorize
		want      error
		attempts  int
	}{
		"without a ticket": {func(*http.Request) (func(http.Header) error, error) { return nil, noTicket }, noTicket, 1},
		"refused":          {func(*http.Request) (func(http.Header) error, error) { return nil, nil }, ErrAuth, 1},
		"a hub that is another": {func(r *http.Request) (func(http.Header) error, error) {
			negotiate(r)
			return func(http.Header) error { return liar }, nil
		}, liar, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := c.LoginHTTP(t.Context(), test.authorize)
			var call *CallError
			if s != nil || !errors.Is(err, test.want) || !errors.As(err, &call) || call.Attempts != test.attempts {
				t.Errorf("got %v, %v; want %v after %d attempts", s, err, test.want, test.attempts)
			}
		})
	}
	late := 0
	s, err = c.LoginHTTP(t.Context(), func(r *http.Request) (func(http.Header) error, error) {
		negotiate(r)
		if late++; late < 3 {
			return nil, later{noTicket}
		}
		return nil, nil
	})
	if err != nil || late != 3 {
		t.Fatalf("a ticket that comes later: %v, asked %d times", err, late)
	}
	s.Close()
}

// later is an error that goes away.
type later struct{ error }

func (later) Temporary() bool { return true }
