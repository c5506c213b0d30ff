package xmlrpc

import (
	"fmt"
	"reflect"
	"strings"
)

// A field is one of a Go struct's that stands for a member.
type field struct {
	name      string // of the member
	index     int
	omitEmpty bool
}

// fieldsOf returns the fields of a struct that are tagged for XML-RPC:
//
//	Name string `xmlrpc:"name"`            // member "name"
//	Epoch *int  `xmlrpc:"epoch,omitempty"` // not written where nil
//
// Others take no part.
func fieldsOf(t reflect.Type) ([]field, error) {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("xmlrpc")
		if !ok || tag == "-" {
			continue
		}
		name, opt, _ := strings.Cut(tag, ",")
		if !f.IsExported() || name == "" || opt != "" && opt != "omitempty" {
			return nil, fmt.Errorf("%s.%s: the tag %q is not xmlrpc:\"name\" or xmlrpc:\"name,omitempty\" of an exported field", t, f.Name, tag)
		}
		fields = append(fields, field{name: name, index: i, omitEmpty: opt != ""})
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%s has no field with an xmlrpc tag", t)
	}
	return fields, nil
}
