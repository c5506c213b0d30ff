package xmlrpc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const header = "<?xml version='1.0' encoding='utf-8'?>\n"

// EncodeCall returns the request that calls method with these parameters.
func EncodeCall(method string, params ...any) ([]byte, error) {
	if !validMethod(method) {
		return nil, fmt.Errorf("encoding a call: %q is no method name", method)
	}
	e := encoder{out: []byte(header)}
	e.string("<methodCall><methodName>" + method + "</methodName><params>")
	for i, p := range params {
		e.string("<param>")
		if err := e.value(reflect.ValueOf(p), 0); err != nil {
			return nil, fmt.Errorf("encoding parameter %d of %s: %w", i+1, method, err)
		}
		e.string("</param>")
	}
	e.string("</params></methodCall>\n")
	return e.out, nil
}

// EncodeResponse returns the answer to a call whose result is v.
func EncodeResponse(v any) ([]byte, error) {
	e := encoder{out: []byte(header)}
	e.string("<methodResponse><params><param>")
	if err := e.value(reflect.ValueOf(v), 0); err != nil {
		return nil, fmt.Errorf("encoding a response: %w", err)
	}
	e.string("</param></params></methodResponse>\n")
	return e.out, nil
}

// EncodeFault returns the answer to a call that is refused.
func EncodeFault(f Fault) ([]byte, error) {
	e := encoder{out: []byte(header)}
	e.string("<methodResponse><fault>")
	v := map[string]any{"faultCode": f.Code, "faultString": f.Message}
	if err := e.value(reflect.ValueOf(v), 0); err != nil {
		return nil, fmt.Errorf("encoding a fault: %w", err)
	}
	e.string("</fault></methodResponse>\n")
	return e.out, nil
}

// validMethod follows the specification: letters, digits, "_", ".", ":" and "/".
func validMethod(name string) bool {
	if name == "" {
		return false
	}
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("_.:/", r):
		default:
			return false
		}
	}
	return true
}

type encoder struct {
	out []byte
}

func (e *encoder) string(s string) { e.out = append(e.out, s...) }

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

func (e *encoder) value(v reflect.Value, depth int) error {
	if depth > DefaultDepth {
		return fmt.Errorf("more than %d values within one another", DefaultDepth)
	}
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
		if depth++; depth > DefaultDepth { // a pointer can point to itself
			return fmt.Errorf("more than %d values within one another", DefaultDepth)
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		e.string("<value><nil/></value>")
		return nil
	}
	switch v.Type() {
	case timeType:
		e.string("<value><dateTime.iso8601>" + v.Interface().(time.Time).UTC().Format("20060102T15:04:05") +
			"</dateTime.iso8601></value>")
		return nil
	case bytesType:
		e.string("<value><base64>")
		e.out = base64.StdEncoding.AppendEncode(e.out, v.Bytes())
		e.string("</base64></value>")
		return nil
	}
	e.string("<value>")
	if err := e.content(v, depth); err != nil {
		return err
	}
	e.string("</value>")
	return nil
}

func (e *encoder) content(v reflect.Value, depth int) error {
	switch v.Kind() {
	case reflect.Bool:
		e.string("<boolean>" + string('0'+rune(btoi(v.Bool()))) + "</boolean>")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.integer(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			return fmt.Errorf("%d is beyond 64 bits with a sign", v.Uint())
		}
		e.integer(int64(v.Uint()))
	case reflect.Float32, reflect.Float64:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%v has no form in XML-RPC", f)
		}
		e.string("<double>")
		e.out = strconv.AppendFloat(e.out, f, 'g', -1, v.Type().Bits())
		e.string("</double>")
	case reflect.String:
		e.string("<string>")
		if err := e.text(v.String()); err != nil {
			return err
		}
		e.string("</string>")
	case reflect.Slice, reflect.Array:
		return e.array(v, depth)
	case reflect.Map:
		return e.dictionary(v, depth)
	case reflect.Struct:
		return e.structure(v, depth)
	default:
		return fmt.Errorf("a %s has no form in XML-RPC", v.Type())
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (e *encoder) integer(i int64) {
	tag := "int"
	if i < math.MinInt32 || i > math.MaxInt32 {
		tag = "i8"
	}
	e.string("<" + tag + ">")
	e.out = strconv.AppendInt(e.out, i, 10)
	e.string("</" + tag + ">")
}

func (e *encoder) array(v reflect.Value, depth int) error {
	e.string("<array><data>")
	for i := range v.Len() {
		if err := e.value(v.Index(i), depth+1); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	e.string("</data></array>")
	return nil
}

// dictionary writes a map, its keys sorted: same input, same bytes. A nil map is
// an empty struct.
func (e *encoder) dictionary(v reflect.Value, depth int) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("a %s has no form in XML-RPC: keys must be strings", v.Type())
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	e.string("<struct>")
	for _, k := range keys {
		if err := e.member(k.String(), v.MapIndex(k), depth); err != nil {
			return err
		}
	}
	e.string("</struct>")
	return nil
}

func (e *encoder) structure(v reflect.Value, depth int) error {
	fields, err := fieldsOf(v.Type())
	if err != nil {
		return err
	}
	e.string("<struct>")
	for _, f := range fields {
		fv := v.Field(f.index)
		if f.omitEmpty && fv.IsZero() {
			continue
		}
		if err := e.member(f.name, fv, depth); err != nil {
			return err
		}
	}
	e.string("</struct>")
	return nil
}

func (e *encoder) member(name string, v reflect.Value, depth int) error {
	e.string("<member><name>")
	if err := e.text(name); err != nil {
		return fmt.Errorf("name of a member: %w", err)
	}
	e.string("</name>")
	if err := e.value(v, depth+1); err != nil {
		return fmt.Errorf("member %q: %w", name, err)
	}
	e.string("</member>")
	return nil
}

var errUTF8 = errors.New("text is not UTF-8: send it as bytes (base64)")

// text writes escaped text. What XML 1.0 cannot carry in any form is refused: a
// server could only answer with a syntax error.
func (e *encoder) text(s string) error {
	done := 0
	for i, r := range s {
		var esc string
		switch {
		case r == '&':
			esc = "&amp;"
		case r == '<':
			esc = "&lt;"
		case r == '>':
			esc = "&gt;"
		case r == '\r':
			esc = "&#13;" // a plain one is read as a line feed
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			return errUTF8
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			return fmt.Errorf("text has the character U+%04X at byte %d, which XML cannot carry: remove it or send bytes (base64)", r, i)
		default:
			continue
		}
		e.out = append(e.out, s[done:i]...)
		e.out = append(e.out, esc...)
		done = i + 1
	}
	e.out = append(e.out, s[done:]...)
	return nil
}
