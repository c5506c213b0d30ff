package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// DecodeResponse reads the answer to a call. The error is a *Fault where the
// server refuses, a *SyntaxError or a *LimitError where the document is bad.
//
// Control characters that XML forbids are taken as they are: servers that do not
// look send them, most of all in the text of faults, which must not be lost.
func DecodeResponse(data []byte, limits Limits) (any, error) {
	d, err := newDecoder(data, limits)
	if err != nil {
		return nil, err
	}
	if err := d.open("methodResponse"); err != nil {
		return nil, err
	}
	t, err := d.tag()
	if err != nil {
		return nil, err
	}
	var result any
	fault := false
	switch {
	case t.kind == startTag && t.name == "params":
		if result, err = d.response(); err != nil {
			return nil, err
		}
	case t.kind == startTag && t.name == "fault":
		fault = true
		if result, err = d.wrapped("fault"); err != nil {
			return nil, err
		}
	default:
		return nil, d.unexpected(t, "<params> or <fault>")
	}
	if err := d.end("methodResponse"); err != nil {
		return nil, err
	}
	if fault {
		return nil, faultOf(result)
	}
	return result, nil
}

// response reads what is within <params> of a response: one value.
func (d *decoder) response() (any, error) {
	if err := d.open("param"); err != nil {
		return nil, err
	}
	v, err := d.wrapped("param")
	if err != nil {
		return nil, err
	}
	return v, d.close("params")
}

// DecodeCall reads a request, as a server does.
func DecodeCall(data []byte, limits Limits) (method string, params []any, err error) {
	d, err := newDecoder(data, limits)
	if err != nil {
		return "", nil, err
	}
	if err := d.open("methodCall"); err != nil {
		return "", nil, err
	}
	if err := d.open("methodName"); err != nil {
		return "", nil, err
	}
	if method, err = d.simple("methodName"); err != nil {
		return "", nil, err
	}
	if method = strings.TrimSpace(method); !validMethod(method) {
		return "", nil, d.fail("bad method name " + strconv.Quote(method))
	}
	for t, err := d.tag(); ; t, err = d.tag() {
		switch {
		case err != nil:
			return "", nil, err
		case t.kind == startTag && t.name == "params", t.kind == endTag && t.name == "params":
		case t.kind == startTag && t.name == "param":
			v, err := d.wrapped("param")
			if err != nil {
				return "", nil, err
			}
			params = append(params, v)
		case t.kind == endTag && t.name == "methodCall":
			return method, params, d.nothingMore()
		default:
			return "", nil, d.unexpected(t, "<param>")
		}
	}
}

func faultOf(v any) error {
	m, _ := v.(map[string]any)
	f := &Fault{}
	code, ok := m["faultCode"].(int64)
	if s, isString := m["faultString"].(string); ok && isString {
		f.Code, f.Message = code, s
		return f
	}
	return &SyntaxError{Problem: "a fault without faultCode and faultString"}
}

type decoder struct {
	scanner
	limits Limits
	values int
	acc    []byte // text that comes in pieces
}

func newDecoder(data []byte, limits Limits) (*decoder, error) {
	limits = limits.withDefaults()
	if len(data) > limits.Bytes {
		return nil, &LimitError{What: "bytes", Limit: limits.Bytes}
	}
	return &decoder{scanner: scanner{data: data}, limits: limits}, nil
}

func (d *decoder) fail(problem string) error { return d.scanner.fail(d.pos, problem) }

func (d *decoder) unexpected(t token, want string) error {
	got := t.kind.String()
	switch t.kind {
	case startTag:
		got = "<" + t.name + ">"
	case endTag:
		got = "</" + t.name + ">"
	}
	return d.scanner.fail(t.offset, "found "+got+" instead of "+want)
}

// tag returns the next tag or the end; before it there may be only white space.
func (d *decoder) tag() (token, error) {
	for {
		t, err := d.next()
		if err != nil || t.kind != text {
			return t, err
		}
		if len(bytes.TrimSpace(t.text)) > 0 {
			return token{}, d.unexpected(t, "a tag")
		}
	}
}

func (d *decoder) expect(kind tokenKind, name, want string) error {
	t, err := d.tag()
	if err != nil {
		return err
	}
	if t.kind != kind || t.name != name {
		return d.unexpected(t, want)
	}
	return nil
}

func (d *decoder) open(name string) error  { return d.expect(startTag, name, "<"+name+">") }
func (d *decoder) close(name string) error { return d.expect(endTag, name, "</"+name+">") }

func (d *decoder) end(name string) error {
	if err := d.close(name); err != nil {
		return err
	}
	return d.nothingMore()
}

func (d *decoder) nothingMore() error {
	return d.expect(eof, "", "the end of the document")
}

// wrapped reads one value and the end tag of what is around it.
func (d *decoder) wrapped(outer string) (any, error) {
	if err := d.open("value"); err != nil {
		return nil, err
	}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	return v, d.close(outer)
}

// value reads what follows <value>, up to and with </value>.
func (d *decoder) value(depth int) (any, error) {
	if d.values++; d.values > d.limits.Values {
		return nil, &LimitError{What: "values", Limit: d.limits.Values}
	}
	d.acc = d.acc[:0]
	for {
		t, err := d.next()
		if err != nil {
			return nil, err
		}
		switch t.kind {
		case text:
			d.acc = append(d.acc, t.text...)
		case endTag:
			if t.name != "value" {
				return nil, d.unexpected(t, "</value>")
			}
			return string(d.acc), nil // text without a type is a string
		case startTag:
			if len(bytes.TrimSpace(d.acc)) > 0 {
				return nil, d.unexpected(t, "</value>")
			}
			v, err := d.typed(t, depth)
			if err != nil {
				return nil, err
			}
			return v, d.close("value")
		default:
			return nil, d.unexpected(t, "</value>")
		}
	}
}

// typed reads the value within the tag that says its type, and the end of that tag.
func (d *decoder) typed(t token, depth int) (any, error) {
	switch t.name {
	case "array", "struct":
		if depth >= d.limits.Depth {
			return nil, &LimitError{What: "nested values", Limit: d.limits.Depth}
		}
		if t.name == "array" {
			return d.array(depth + 1)
		}
		return d.structure(depth + 1)
	}
	s, err := d.simple(t.name)
	if err != nil {
		return nil, err
	}
	v, ok := scalar(t.name, s)
	if !ok {
		if len(s) > 40 {
			s = s[:40] + "…"
		}
		return nil, d.scanner.fail(t.offset, strconv.Quote(s)+" is no value of type "+t.name)
	}
	return v, nil
}

// simple reads text up to the end tag of the element that it is in.
func (d *decoder) simple(name string) (string, error) {
	d.acc = d.acc[:0]
	for {
		t, err := d.next()
		switch {
		case err != nil:
			return "", err
		case t.kind == text:
			d.acc = append(d.acc, t.text...)
		case t.kind == endTag && t.name == name:
			return string(d.acc), nil
		default:
			return "", d.unexpected(t, "</"+name+">")
		}
	}
}

func scalar(kind, s string) (any, bool) {
	if kind == "string" {
		return s, true
	}
	s = strings.TrimSpace(s)
	switch kind {
	case "nil", "ex:nil":
		return nil, s == ""
	case "int", "i1", "i2", "i4", "i8", "ex:i1", "ex:i2", "ex:i8":
		i, err := strconv.ParseInt(s, 10, 64)
		return i, err == nil
	case "boolean":
		return s == "1", s == "1" || s == "0"
	case "double", "ex:float":
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	case "base64":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
		return b, err == nil
	case "dateTime.iso8601", "ex:dateTime":
		for _, layout := range []string{"20060102T15:04:05", "2006-01-02T15:04:05", "20060102T15:04:05Z07:00", time.RFC3339} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC(), true
			}
		}
	}
	return nil, false
}

func (d *decoder) array(depth int) (any, error) {
	if err := d.open("data"); err != nil {
		return nil, err
	}
	list := []any{}
	for {
		t, err := d.tag()
		switch {
		case err != nil:
			return nil, err
		case t.kind == startTag && t.name == "value":
			v, err := d.value(depth)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		case t.kind == endTag && t.name == "data":
			return list, d.close("array")
		default:
			return nil, d.unexpected(t, "<value>")
		}
	}
}

// structure reads a struct's members. Of two with one name the later counts, as
// in Python's reader.
func (d *decoder) structure(depth int) (any, error) {
	m := map[string]any{}
	for {
		t, err := d.tag()
		switch {
		case err != nil:
			return nil, err
		case t.kind == endTag && t.name == "struct":
			return m, nil
		case t.kind != startTag || t.name != "member":
			return nil, d.unexpected(t, "<member>")
		}
		if err := d.open("name"); err != nil {
			return nil, err
		}
		name, err := d.simple("name")
		if err != nil {
			return nil, err
		}
		if err := d.open("value"); err != nil {
			return nil, err
		}
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		if err := d.close("member"); err != nil {
			return nil, err
		}
		m[name] = v
	}
}
