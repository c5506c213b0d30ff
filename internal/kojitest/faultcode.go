package kojitest

import (
	"fmt"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

// Codes of Koji's exceptions (koji/__init__.py).
const (
	errGeneric          = 1000
	errAuth             = 1002
	errTag              = 1003
	errActionNotAllowed = 1004
	errBuild            = 1005
	errAuthLock         = 1006
	errAuthExpired      = 1007
	errSequence         = 1008
	errRetry            = 1009
	errServerOffline    = 1014
	errParameter        = 1019
)

func fault(code int64, format string, args ...any) error {
	return &xmlrpc.Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// unspecified is an error of Python's, which has no code.
func unspecified(format string, args ...any) error { return fault(1, format, args...) }

func (c *call) needLogin() error {
	if c.user == nil {
		return fault(errActionNotAllowed, "you must be logged in for this operation")
	}
	return nil
}

func (c *call) needPerm(perm string) error {
	if c.user.may(perm) {
		return nil
	}
	who := "user not logged in"
	if c.user != nil {
		who = "logged in as " + c.user.name
	}
	return fault(errActionNotAllowed, "%s permission required (%s)", perm, who)
}
