package koji

import (
	"fmt"
	"strconv"
)

// A FaultCode is the number of one of Koji's exception classes (koji/__init__.py).
// It is itself an error, for use with errors.Is: a Fault is what its code says and
// what that class is derived from, so that a fault with code 1007 is
// ErrAuthExpired, ErrAuth and ErrGeneric.
type FaultCode int

// Koji's fault codes. 1 is an error in the hub that has no code.
const (
	ErrUnspecified        FaultCode = 1
	ErrGeneric            FaultCode = 1000
	ErrLock               FaultCode = 1001
	ErrAuth               FaultCode = 1002
	ErrTag                FaultCode = 1003
	ErrActionNotAllowed   FaultCode = 1004
	ErrBuild              FaultCode = 1005
	ErrAuthLock           FaultCode = 1006
	ErrAuthExpired        FaultCode = 1007
	ErrSequence           FaultCode = 1008
	ErrRetry              FaultCode = 1009
	ErrPreBuild           FaultCode = 1010
	ErrPostBuild          FaultCode = 1011
	ErrBuildroot          FaultCode = 1012
	ErrFunctionDeprecated FaultCode = 1013
	ErrServerOffline      FaultCode = 1014
	ErrLiveCD             FaultCode = 1015
	ErrPlugin             FaultCode = 1016
	ErrCallback           FaultCode = 1017
	ErrAppliance          FaultCode = 1018
	ErrParameter          FaultCode = 1019
	ErrImport             FaultCode = 1020
	ErrConfiguration      FaultCode = 1021
	ErrLiveMedia          FaultCode = 1022
	ErrGSSAPIAuth         FaultCode = 1023
	ErrNameValidation     FaultCode = 1024
)

// String returns the name of Koji's class, or the number of an unknown code.
func (c FaultCode) String() string {
	switch c {
	case ErrUnspecified:
		return "Fault"
	case ErrGeneric:
		return "GenericError"
	case ErrLock:
		return "LockError"
	case ErrAuth:
		return "AuthError"
	case ErrTag:
		return "TagError"
	case ErrActionNotAllowed:
		return "ActionNotAllowed"
	case ErrBuild:
		return "BuildError"
	case ErrAuthLock:
		return "AuthLockError"
	case ErrAuthExpired:
		return "AuthExpired"
	case ErrSequence:
		return "SequenceError"
	case ErrRetry:
		return "RetryError"
	case ErrPreBuild:
		return "PreBuildError"
	case ErrPostBuild:
		return "PostBuildError"
	case ErrBuildroot:
		return "BuildrootError"
	case ErrFunctionDeprecated:
		return "FunctionDeprecated"
	case ErrServerOffline:
		return "ServerOffline"
	case ErrLiveCD:
		return "LiveCDError"
	case ErrPlugin:
		return "PluginError"
	case ErrCallback:
		return "CallbackError"
	case ErrAppliance:
		return "ApplianceError"
	case ErrParameter:
		return "ParameterError"
	case ErrImport:
		return "ImportError"
	case ErrConfiguration:
		return "ConfigurationError"
	case ErrLiveMedia:
		return "LiveMediaError"
	case ErrGSSAPIAuth:
		return "GSSAPIAuthError"
	case ErrNameValidation:
		return "NameValidationError"
	}
	return "fault " + strconv.Itoa(int(c))
}

func (c FaultCode) Error() string { return c.String() }

// parent returns the class that Koji derives the code's class from, 0 where there
// is none.
func (c FaultCode) parent() FaultCode {
	switch c {
	case ErrAuthLock, ErrAuthExpired, ErrSequence, ErrRetry, ErrGSSAPIAuth:
		return ErrAuth
	case ErrPreBuild, ErrPostBuild, ErrBuildroot:
		return ErrBuild
	case ErrCallback:
		return ErrPlugin
	}
	if c > ErrGeneric && c <= ErrNameValidation {
		return ErrGeneric
	}
	return 0
}

// A Fault is the hub's refusal of a call, or the failure of a task. The hub has
// changed nothing.
type Fault struct {
	Code    FaultCode
	Message string // the hub's words; may have several lines
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.Code, f.Message) }

// Is reports whether target is the fault's code or a class that it is derived from.
func (f *Fault) Is(target error) bool {
	want, ok := target.(FaultCode)
	for c := f.Code; ok && c != 0; c = c.parent() {
		if c == want {
			return true
		}
	}
	return false
}
