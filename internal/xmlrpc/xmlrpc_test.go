package xmlrpc

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func response(value string) []byte {
	return []byte("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n" + value + "\n</param>\n</params>\n</methodResponse>\n")
}

func TestDecodeValues(t *testing.T) {
	tests := []struct {
		name, xml string
		want      any
	}{
		{"nil", "<value><nil/></value>", nil},
		{"nil in two tags", "<value><nil></nil></value>", nil},
		{"empty string is not nil", "<value><string></string></value>", ""},
		{"empty string in one tag", "<value><string/></value>", ""},
		{"no type", "<value>  a b </value>", "  a b "},
		{"no type, empty", "<value/>", ""},
		{"CDATA", "<value><string>a<![CDATA[b<c&amp;]]>d</string></value>", "ab<c&amp;d"},
		{"a fault within CDATA is text", "<value><![CDATA[<fault>]]></value>", "<fault>"},
		{"comment", "<value><string>a<!-- </string> -->b</string></value>", "ab"},
		{"references", "<value><string>&lt;&amp;&gt;&quot;&apos;&#65;&#x1F600;</string></value>", "<&>\"'A😀"},
		{"line ends", "<value><string>a\r\nb\rc&#13;d</string></value>", "a\nb\nc\rd"},
		{"control characters of careless servers", "<value><string>\x1b[31m</string></value>", "\x1b[31m"},
		{"int", "<value><int> -5\n</int></value>", int64(-5)},
		{"i8", "<value><i8>9223372036854775807</i8></value>", int64(math.MaxInt64)},
		{"boolean", "<value><boolean>1</boolean></value>", true},
		{"double", "<value><double>1616161616.25</double></value>", 1616161616.25},
		{"base64 over lines", "<value><base64>\naGVs\nbG8=\n</base64></value>", []byte("hello")},
		{"time", "<value><dateTime.iso8601>20240102T03:04:05</dateTime.iso8601></value>", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
		{"attributes", `<value a="1>2"><string b='/'>x</string></value>`, "x"},
		{"empty array", "<value><array><data/></array></value>", []any{}},
		{"array", "<value><array><data>\n<value><int>1</int></value>\n<value><nil/></value>\n</data></array></value>", []any{int64(1), nil}},
		{"empty struct", "<value><struct></struct></value>", map[string]any{}},
		{"struct: nil, empty and missing differ", "<value><struct><member><name>a</name><value><nil/></value></member><member><name>b</name><value><string/></value></member></struct></value>",
			map[string]any{"a": nil, "b": ""}},
		{"later member wins", "<value><struct><member><name>a</name><value>1</value></member><member><name>a</name><value>2</value></member></struct></value>",
			map[string]any{"a": "2"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := DecodeResponse(response(tc.xml), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := strings.Repeat("<value><array><data>", 200000)
	tests := []struct {
		name string
		xml  []byte
		want string
	}{
		{"empty", nil, "found the end instead of <methodResponse>"},
		{"a web page", []byte("<html><body>502</body></html>"), "found <html> instead of <methodResponse>"},
		{"doctype", []byte("<!DOCTYPE x [<!ENTITY a 'b'>]>"), "declarations are not allowed"},
		{"unknown entity", response("<value>&a;</value>"), `unknown reference "&a;"`},
		{"reference to no character", response("<value>&#xD800;</value>"), "unknown reference"},
		{"reference to NUL", response("<value>&#0;</value>"), "unknown reference"},
		{"reference without end", response("<value>a & b</value>"), "a reference has no end"},
		{"latin1", []byte("<?xml version='1.0' encoding='iso-8859-1'?><methodResponse/>"), `encoding "iso-8859-1" is not UTF-8`},
		{"not UTF-8", response("<value>\xff</value>"), "text is not UTF-8"},
		{"truncated", []byte("<methodResponse><params>\n"), "found the end instead of"},
		{"truncated tag", []byte("<methodRes"), "the end of a tag is missing"},
		{"wrong end", response("<value><int>1</string></value>"), "found </string> instead of </int>"},
		{"bad int", response("<value><int>1.5</int></value>"), `"1.5" is no value of type int`},
		{"int beyond 64 bits", response("<value><i8>9223372036854775808</i8></value>"), "is no value of type i8"},
		{"bad boolean", response("<value><boolean>true</boolean></value>"), "is no value of type boolean"},
		{"bad base64", response("<value><base64>!</base64></value>"), "is no value of type base64"},
		{"unknown type", response("<value><float128>1</float128></value>"), "is no value of type float128"},
		{"text beside a value", response("<value>x<int>1</int></value>"), "found <int> instead of </value>"},
		{"value before name", response("<value><struct><member><value/><name>a</name></member></struct></value>"), "found <value> instead of <name>"},
		{"two values", response("<value/><value/>"), "found <value> instead of </param>"},
		{"something after", append(response("<value/>"), "<a/>"...), "instead of the end of the document"},
		{"fault without code", []byte("<methodResponse><fault><value>x</value></fault></methodResponse>"), "a fault without faultCode"},
		{"too deep", []byte("<methodResponse><params><param>" + deep), "more than 64 nested values"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			v, err := DecodeResponse(tc.xml, Limits{})
			if err == nil {
				t.Fatalf("got %v, want an error", v)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want %q in it", err, tc.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	list := response("<value><array><data>" + strings.Repeat("<value/>", 10) + "</data></array></value>")
	var limit *LimitError
	if _, err := DecodeResponse(list, Limits{Values: 10}); !errors.As(err, &limit) || limit.What != "values" {
		t.Errorf("values: got %v", err)
	}
	if _, err := DecodeResponse(list, Limits{Values: 11}); err != nil {
		t.Errorf("values at the limit: %v", err)
	}
	if _, err := DecodeResponse(list, Limits{Bytes: len(list) - 1}); !errors.As(err, &limit) || limit.What != "bytes" {
		t.Errorf("bytes: got %v", err)
	}
	if _, err := DecodeResponse(list, Limits{Bytes: len(list), Depth: 1}); err != nil {
		t.Errorf("depth at the limit: %v", err)
	}
}

func TestFault(t *testing.T) {
	for _, f := range []Fault{{Code: 1007, Message: "session <1> has expired"}, {Code: -1, Message: ""}} {
		data, err := EncodeFault(f)
		if err != nil {
			t.Fatal(err)
		}
		_, err = DecodeResponse(data, Limits{})
		var got *Fault
		if !errors.As(err, &got) || *got != f {
			t.Errorf("got %v, want %v", err, f)
		}
	}
}

type sample struct {
	Name   string         `xmlrpc:"name"`
	Epoch  *int           `xmlrpc:"epoch"`
	Size   uint64         `xmlrpc:"size,omitempty"`
	Extra  map[string]any `xmlrpc:"extra"`
	Made   time.Time      `xmlrpc:"made_ts"`
	Others []sample       `xmlrpc:"others"`
	Own    int
}

func TestEncodeCall(t *testing.T) {
	two := 2
	got, err := EncodeCall("host.x", nil, "a<&>\r\n\"", 5, int64(1)<<31, -(int64(1)<<31 + 1), true, 0.5, []byte("hello"),
		[]string{"x"}, map[string]any{"b": 1, "a&": nil}, sample{Name: "n", Epoch: &two, Made: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	want := `<?xml version='1.0' encoding='utf-8'?>
<methodCall><methodName>host.x</methodName><params>` +
		`<param><value><nil/></value></param>` +
		"<param><value><string>a&lt;&amp;&gt;&#13;\n\"</string></value></param>" +
		`<param><value><int>5</int></value></param>` +
		`<param><value><i8>2147483648</i8></value></param>` +
		`<param><value><i8>-2147483649</i8></value></param>` +
		`<param><value><boolean>1</boolean></value></param>` +
		`<param><value><double>0.5</double></value></param>` +
		`<param><value><base64>aGVsbG8=</base64></value></param>` +
		`<param><value><array><data><value><string>x</string></value></data></array></value></param>` +
		`<param><value><struct><member><name>a&amp;</name><value><nil/></value></member><member><name>b</name><value><int>1</int></value></member></struct></value></param>` +
		`<param><value><struct><member><name>name</name><value><string>n</string></value></member><member><name>epoch</name><value><int>2</int></value></member>` +
		`<member><name>extra</name><value><struct></struct></value></member><member><name>made_ts</name><value><dateTime.iso8601>20240102T03:04:05</dateTime.iso8601></value></member>` +
		`<member><name>others</name><value><array><data></data></array></value></member></struct></value></param>` +
		"</params></methodCall>\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEncodeRefuses(t *testing.T) {
	var loop any
	loop = &loop
	tests := []struct {
		name, method string
		param        any
		want         string
	}{
		{"method", "a b", 1, "is no method name"},
		{"control character", "m", "a\x1bb", "U+001B at byte 1"},
		{"NUL in a key", "m", map[string]any{"a\x00": 1}, "U+0000"},
		{"not a character", "m", "\uffff", "U+FFFF"},
		{"not UTF-8", "m", []any{"a", "b\xc3"}, "element 1: text is not UTF-8"},
		{"NaN", "m", math.NaN(), "no form in XML-RPC"},
		{"beyond 64 bits", "m", uint64(math.MaxUint64), "beyond 64 bits"},
		{"function", "m", func() {}, "no form in XML-RPC"},
		{"integer keys", "m", map[int]int{1: 1}, "keys must be strings"},
		{"untagged struct", "m", struct{ A int }{1}, "no field with an xmlrpc tag"},
		{"bad tag", "m", struct {
			A int `xmlrpc:"a,optional"`
		}{1}, "is not xmlrpc:"},
		{"points to itself", "m", loop, "within one another"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			_, err := EncodeCall(tc.method, tc.param)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
	if _, err := EncodeCall("m", "\ufffd"); err != nil { // the replacement character itself is a character
		t.Error(err)
	}
}

func TestAssign(t *testing.T) {
	three := 3
	v := map[string]any{
		"name": "n", "epoch": int64(3), "size": int64(1) << 40, "made_ts": 1700000000.123456, "unknown": "x",
		"extra":  map[string]any{"a": nil},
		"others": []any{map[string]any{"name": nil, "epoch": nil}, map[string]any{}},
	}
	got := sample{Own: 7}
	if err := Assign(&got, v); err != nil {
		t.Fatal(err)
	}
	want := sample{Name: "n", Epoch: &three, Size: 1 << 40, Extra: map[string]any{"a": nil}, Own: 7,
		Made: time.Unix(1700000000, 123456000).UTC(), Others: []sample{{}, {}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	preset := "x"
	if err := Assign(&preset, nil); err != nil || preset != "" {
		t.Errorf("nil into a preset string: %q, %v", preset, err)
	}
	var p *string
	if err := Assign(&p, ""); err != nil || p == nil || *p != "" {
		t.Errorf("an empty string into a pointer: %v, %v", p, err)
	}
}

func TestAssignRefuses(t *testing.T) {
	tests := []struct {
		name   string
		dst, v any
		want   string
	}{
		{"no pointer", 1, int64(1), "is no pointer"},
		{"string into int", new(int), "1", "got a string, not a int"},
		{"too big", new(int8), int64(200), "200 does not fit into a int8"},
		{"negative", new(uint), int64(-1), "-1 does not fit into a uint"},
		{"double into int", new(int), 1.0, "got a double"},
		{"where it is", new([]sample), []any{map[string]any{}, map[string]any{"others": []any{map[string]any{"name": int64(1)}}}},
			"result[1].others[0].name: got an integer, not a string"},
		{"not a time", new(time.Time), math.Inf(1), "got a double"},
		{"array into struct", new(sample), []any{}, "got an array"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			err := Assign(tc.dst, tc.v)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(response("<value><struct><member><name>a</name><value><i8>1</i8></value></member></struct></value>"))
	f.Add(response("<value><array><data><value><nil/></value><value>&#65;<![CDATA[x]]></value></data></array></value>"))
	f.Add([]byte("<methodResponse><fault><value><struct/></value></fault></methodResponse>"))
	f.Add([]byte("<?xml version='1.0'?><methodCall><methodName>a</methodName><params/></methodCall>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := Limits{Depth: 8, Values: 1000}
		_, _, _ = DecodeCall(data, limits) // must not panic
		v, err := DecodeResponse(data, limits)
		if err != nil {
			return
		}
		again, err := EncodeResponse(v)
		if err != nil {
			return // control characters, NaN
		}
		w, err := DecodeResponse(again, Limits{})
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, again)
		}
		if diff := cmp.Diff(v, w); diff != "" {
			t.Fatalf("-first +second:\n%s", diff)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	one := "<value><struct><member><name>name</name><value><string>bash</string></value></member><member><name>epoch</name><value><nil/></value></member><member><name>id</name><value><int>12345</int></value></member></struct></value>\n"
	data := response("<value><array><data>\n" + strings.Repeat(one, 20000) + "</data></array></value>")
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := DecodeResponse(data, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
