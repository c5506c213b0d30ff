package xmlrpc

import (
	"fmt"
	"math"
	"reflect"
	"time"
)

// An AssignError says which part of a decoded value does not fit the Go value
// that it is to be put into.
type AssignError struct {
	Path    string // for example "[3].extra.epoch"; empty for the value itself
	Problem string
}

func (e *AssignError) Error() string {
	return fmt.Sprintf("result%s: %s", e.Path, e.Problem)
}

// Assign puts a decoded value into what dst points to, making slices, maps and
// pointers as needed:
//
//   - nil sets the zero value; where nil and zero differ, dst has a pointer (or any)
//     there
//   - a struct takes the members that its fields name by `xmlrpc:"name"`; a member
//     that is missing leaves its field alone, one that no field names is dropped
//   - an integer that does not fit is an error, never cut off
//   - a time.Time takes a dateTime, and a number as seconds since 1970
//
// The error is a *AssignError.
func Assign(dst, v any) error {
	p := reflect.ValueOf(dst)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return &AssignError{Problem: fmt.Sprintf("a %T is no pointer to put a result into", dst)}
	}
	a := assigner{fields: map[reflect.Type][]field{}}
	if err := a.assign(p.Elem(), v); err != nil {
		return err
	}
	return nil
}

// An assigner remembers what the tags of structs say, for long lists of them.
type assigner struct {
	fields map[reflect.Type][]field
}

// within says where in a value the part is that an error is about.
func (e *AssignError) within(path string) *AssignError {
	return &AssignError{Path: path + e.Path, Problem: e.Problem}
}

func problem(format string, args ...any) *AssignError {
	return &AssignError{Problem: fmt.Sprintf(format, args...)}
}

func (a *assigner) assign(dst reflect.Value, v any) *AssignError {
	if v == nil {
		dst.SetZero()
		return nil
	}
	mismatch := func() *AssignError { return problem("got %s, not a %s", kindOf(v), dst.Type()) }
	if dst.Kind() == reflect.Interface && dst.NumMethod() == 0 {
		dst.Set(reflect.ValueOf(v))
		return nil
	}
	if dst.Kind() == reflect.Pointer {
		p := reflect.New(dst.Type().Elem())
		if err := a.assign(p.Elem(), v); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	if dst.Type() == timeType {
		t, ok := timeOf(v)
		if !ok {
			return mismatch()
		}
		dst.Set(reflect.ValueOf(t))
		return nil
	}
	switch v := v.(type) {
	case bool:
		if dst.Kind() == reflect.Bool {
			dst.SetBool(v)
			return nil
		}
	case string:
		if dst.Kind() == reflect.String {
			dst.SetString(v)
			return nil
		}
	case int64:
		return assignInt(dst, v)
	case float64:
		if dst.CanFloat() {
			dst.SetFloat(v)
			return nil
		}
	case []byte:
		if dst.Type() == bytesType {
			dst.SetBytes(v)
			return nil
		}
	case []any:
		if dst.Kind() == reflect.Slice {
			return a.slice(dst, v)
		}
	case map[string]any:
		switch {
		case dst.Kind() == reflect.Map && dst.Type().Key().Kind() == reflect.String:
			return a.dictionary(dst, v)
		case dst.Kind() == reflect.Struct:
			return a.structure(dst, v)
		}
	}
	return mismatch()
}

func assignInt(dst reflect.Value, i int64) *AssignError {
	switch {
	case dst.CanInt() && !dst.OverflowInt(i):
		dst.SetInt(i)
	case dst.CanUint() && i >= 0 && !dst.OverflowUint(uint64(i)):
		dst.SetUint(uint64(i))
	case dst.CanInt() || dst.CanUint():
		return problem("%d does not fit into a %s", i, dst.Type())
	case dst.CanFloat():
		dst.SetFloat(float64(i))
	default:
		return problem("got an integer, not a %s", dst.Type())
	}
	return nil
}

func (a *assigner) slice(dst reflect.Value, list []any) *AssignError {
	s := reflect.MakeSlice(dst.Type(), len(list), len(list))
	for i, v := range list {
		if err := a.assign(s.Index(i), v); err != nil {
			return err.within(fmt.Sprintf("[%d]", i))
		}
	}
	dst.Set(s)
	return nil
}

func (a *assigner) dictionary(dst reflect.Value, m map[string]any) *AssignError {
	out := reflect.MakeMapWithSize(dst.Type(), len(m))
	for k, v := range m {
		e := reflect.New(dst.Type().Elem()).Elem()
		if err := a.assign(e, v); err != nil {
			return err.within("." + k)
		}
		out.SetMapIndex(reflect.ValueOf(k).Convert(dst.Type().Key()), e)
	}
	dst.Set(out)
	return nil
}

func (a *assigner) structure(dst reflect.Value, m map[string]any) *AssignError {
	fields, ok := a.fields[dst.Type()]
	if !ok {
		var err error
		if fields, err = fieldsOf(dst.Type()); err != nil {
			return problem("%v", err)
		}
		a.fields[dst.Type()] = fields
	}
	for _, f := range fields {
		if v, ok := m[f.name]; ok {
			if err := a.assign(dst.Field(f.index), v); err != nil {
				return err.within("." + f.name)
			}
		}
	}
	return nil
}

func timeOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case int64:
		return time.Unix(v, 0).UTC(), true
	case float64:
		if math.Abs(v) < 1<<40 { // false for what is not a number, too
			// Doubles of this size have about a microsecond; more digits are noise.
			return time.UnixMicro(int64(math.Round(v * 1e6))).UTC(), true
		}
	}
	return time.Time{}, false
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case float64:
		return "a double"
	case []byte:
		return "bytes"
	case time.Time:
		return "a time"
	case []any:
		return "an array"
	case map[string]any:
		return "a struct"
	}
	return fmt.Sprintf("a %T", v)
}
