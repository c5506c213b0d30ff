package kojitask

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/kojimod/kojimod/internal/source"
	"github.com/kojimod/kojimod/pkg/koji"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// isEnvironment tells the errors that say nothing about what is built: the hub,
// the network, this machine.
func isEnvironment(err error) bool {
	var input *modulebuild.InputError
	var build *modulebuild.BuildError
	if errors.As(err, &input) || errors.As(err, &build) || source.IsBadInput(err) {
		return false
	}
	var path *os.PathError
	var call *koji.CallError
	var network net.Error
	return errors.As(err, &path) || errors.As(err, &call) || errors.As(err, &network) || errors.Is(err, context.Canceled)
}

// expired tells whether an error is that the session cannot be used any more. Its
// owner knows whether it can be renewed, and whether the task is still his.
func expired(err error) bool { return errors.Is(err, koji.ErrSessionLost) }

func input(where, msg string, err error) error {
	return &modulebuild.InputError{Where: where, Msg: msg, Err: err}
}
