package doctor

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/kojimod/kojimod/pkg/koji"
)

// TestLiveDoctor looks at the hub that KOJI_TEST_HUB names, as nobody and as
// KOJI_TEST_USER (with KOJI_TEST_PASSWORD; an administrator best), and at
// KOJI_TEST_TARGET where it is set. Whatever it finds, the hub understands all that
// it is asked.
func TestLiveDoctor(t *testing.T) {
	hub, user, password := os.Getenv("KOJI_TEST_HUB"), os.Getenv("KOJI_TEST_USER"), os.Getenv("KOJI_TEST_PASSWORD")
	if hub == "" || user == "" || password == "" {
		t.Skip("KOJI_TEST_HUB, KOJI_TEST_USER and KOJI_TEST_PASSWORD do not name a Koji to look at")
	}
	c, err := koji.New(hub, koji.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.LoginPassword(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Logout(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for name, session := range map[string]*koji.Session{"nobody": c.Anonymous(), user: s} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			findings, err := Run(t.Context(), Options{User: session, Nobody: c.Anonymous(), Target: os.Getenv("KOJI_TEST_TARGET"),
				Report: func(f Finding) { t.Log(f) }})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				seen[f.Check] = true
				if strings.Contains(f.Text, "the hub cannot say") {
					t.Errorf("not understood: %v", f)
				}
			}
			for _, check := range []string{"hub", "login", "plugin", "btype", "target", "channel", "createrepo", "kojira", "retention"} {
				if !seen[check] {
					t.Errorf("nothing is said of %s", check)
				}
			}
		})
	}
}
