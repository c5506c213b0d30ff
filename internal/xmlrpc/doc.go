// Package xmlrpc reads and writes the XML-RPC that Koji speaks.
//
// That is the protocol of xmlrpc.com with two extensions: <nil/>, which is not
// the same as an empty string, and <i8> for integers beyond 32 bits. Values are
//
//	nil             <nil/>
//	bool            <boolean>
//	int64           <int>, <i1>, <i2>, <i4>, <i8>
//	float64         <double>
//	string          <string>, or text without a type
//	[]byte          <base64>
//	time.Time       <dateTime.iso8601>, UTC
//	[]any           <array>
//	map[string]any  <struct>
//
// [Encode] and its like also take other integers, slices, maps with string keys
// and structs; [Assign] puts a decoded value into them.
//
// What is decoded may come from anybody: its size, its depth and its number of
// values are bounded by [Limits], there are no entities beyond XML's own five and
// character references, and a document type declaration is refused.
package xmlrpc

import "fmt"

// A Fault is the answer of a server that refuses a call.
type Fault struct {
	Code    int64
	Message string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("fault %d: %s", f.Code, f.Message)
}

// A SyntaxError says where a document is not XML-RPC and why.
type SyntaxError struct {
	Offset  int // in bytes from the document's start
	Problem string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not XML-RPC at byte %d: %s", e.Offset, e.Problem)
}

// A LimitError says which of the Limits a document exceeds.
type LimitError struct {
	What  string // "bytes", "nested values" or "values"
	Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("XML-RPC document has more than %d %s", e.Limit, e.What)
}

// Limits bound what is decoded. A zero field stands for its default.
type Limits struct {
	Bytes  int // size of the document; 128 MiB unless set
	Depth  int // arrays and structs within one another; 64 unless set
	Values int // values altogether, those within others included; 8 million unless set
}

// What Limits stand for unless set.
const (
	DefaultBytes  = 128 << 20
	DefaultDepth  = 64
	DefaultValues = 8_000_000
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Depth <= 0 {
		l.Depth = DefaultDepth
	}
	if l.Values <= 0 {
		l.Values = DefaultValues
	}
	return l
}
