package rpmver

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"1.0", "1.0", 0},
		{"1.0", "2.0", -1},
		{"2.0.1", "2.0", 1},
		{"1.10", "1.9", 1},
		{"1.010", "1.10", 0},
		{"5.5p1", "5.5p10", -1},
		{"10xyz", "10.1xyz", -1},
		{"xyz10", "xyz10.1", -1},
		{"2a", "2.0", -1},
		{"1_0", "1.0", 0},
		{"1.0~rc1", "1.0", -1},
		{"1.0~rc1", "1.0~rc2", -1},
		{"1.0~~", "1.0~", -1},
		{"1.0^", "1.0", 1},
		{"1.0^git1", "1.0.1", -1},
		{"1.0^git1", "1.0^git2", -1},
		{"1.0^git1~pre", "1.0^git1", -1},
		{"1.0^20200101", "1.0.1", -1},
		{"1", "é", 1},
		{"99999999999999999999", "100000000000000000000", -1},
	}
	for _, tt := range tests {
		if got := Compare(tt.a, tt.b); got != tt.want {
			t.Errorf("Compare(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := Compare(tt.b, tt.a); got != -tt.want {
			t.Errorf("Compare(%q, %q) = %d, want %d", tt.b, tt.a, got, -tt.want)
		}
	}
}

func TestParseEVR(t *testing.T) {
	tests := []struct {
		in   string
		want EVR
	}{
		{"1.0", EVR{Version: "1.0"}},
		{"1.0-2", EVR{Version: "1.0", Release: "2"}},
		{"3:1.0-2", EVR{"3", "1.0", "2"}},
		{":1.0", EVR{Epoch: "0", Version: "1.0"}},
		{"a:1.0", EVR{Version: "a:1.0"}},
		{"1-2-3", EVR{Version: "1-2", Release: "3"}},
		{"1:", EVR{Epoch: "1"}},
		{"", EVR{}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, ParseEVR(tt.in)); diff != "" {
			t.Errorf("ParseEVR(%q): (-want +got)\n%s", tt.in, diff)
		}
	}
}

func TestEVRCompare(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"1-1", "0:1-1", 0},
		{"1:1-1", "2-1", 1},
		{"1-1", "1-2", -1},
		{"1", "1-1", -1},
		{"1:1-1", "2:0-1", -1},
	}
	for _, tt := range tests {
		if got := ParseEVR(tt.a).Compare(ParseEVR(tt.b)); got != tt.want {
			t.Errorf("%s against %s: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		name     string
		provFlag Flags
		prov     string
		reqFlag  Flags
		req      string
		want     bool
	}{
		{"no range required", Equal, "1-1", 0, "", true},
		{"nothing said by the provide", 0, "", Greater | Equal, "2", true},
		{"same", Equal, "1-1", Equal, "1-1", true},
		{"other release", Equal, "1-1", Equal, "1-2", false},
		{"release not asked for", Equal, "1-1", Equal, "1", true},
		{"greater than the version whatever the release", Equal, "1-5", Greater, "1", false},
		{"at least", Equal, "2-1", Greater | Equal, "1.5", true},
		{"less", Equal, "2-1", Less, "1.5", false},
		{"epoch wins", Equal, "1:1-1", Greater | Equal, "9", true},
		{"no epoch against epoch 0", Equal, "1-1", Equal, "0:1-1", true},
		{"ranges that meet", Less, "2", Greater, "1", true},
		{"ranges that do not meet", Less, "1", Greater, "2", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Overlap(tt.provFlag, ParseEVR(tt.prov), tt.reqFlag, ParseEVR(tt.req)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// randomVersion makes a version-like string with many ties and odd characters.
func randomVersion(r *rand.Rand) string {
	parts := []string{"0", "1", "2", "10", "01", "a", "b", "rc", "A", ".", "_", "+", "~", "^", "..", "git"}
	n := 1 + r.IntN(6)
	var b strings.Builder
	for range n {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// TestCompareAgainstRPM asks the installed rpm about random pairs.
func TestCompareAgainstRPM(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("rpm is not installed")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for batch := range 10 {
		var pairs [][2]string
		var lua strings.Builder
		for range 500 {
			p := [2]string{randomVersion(r), randomVersion(r)}
			pairs = append(pairs, p)
			fmt.Fprintf(&lua, "print(rpm.vercmp(%q,%q)..' ')", p[0], p[1])
		}
		out, err := exec.Command("rpm", "--eval", "%{lua:"+lua.String()+"}").Output()
		if err != nil {
			t.Fatalf("rpm --eval: %v", err)
		}
		answers := strings.Fields(string(out))
		if len(answers) != len(pairs) {
			t.Fatalf("batch %d: rpm gave %d answers to %d questions", batch, len(answers), len(pairs))
		}
		for i, p := range pairs {
			if got := fmt.Sprint(Compare(p[0], p[1])); got != answers[i] {
				t.Errorf("Compare(%q, %q) = %s, rpm says %s", p[0], p[1], got, answers[i])
			}
		}
	}
}

// TestOverlapAgainstRPM asks rpm's Python binding about random ranges.
func TestOverlapAgainstRPM(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import rpm").Run(); err != nil {
		t.Skip("rpm's Python binding is not installed")
	}
	const script = `
import rpm, sys
for line in sys.stdin:
    f1, v1, f2, v2 = line.rstrip("\n").split("|")
    a = rpm.ds(("x", int(f1), v1), rpm.RPMTAG_PROVIDENAME)
    b = rpm.ds(("x", int(f2), v2), rpm.RPMTAG_REQUIRENAME)
    print(1 if a.Compare(b) else 0)
`
	r := rand.New(rand.NewPCG(3, 4))
	flags := []Flags{0, Less, Greater, Equal, Less | Equal, Greater | Equal}
	evr := func() string {
		s := []string{"1", "2", "1.0", "1~a", "1^b", ""}[r.IntN(6)]
		if s == "" {
			return s
		}
		s = []string{"", "", "0:", "1:", ":"}[r.IntN(5)] + s
		return s + []string{"", "-1", "-2"}[r.IntN(3)]
	}
	type question struct {
		f1 Flags
		v1 string
		f2 Flags
		v2 string
	}
	var questions []question
	var in strings.Builder
	for range 5000 {
		q := question{flags[r.IntN(6)], evr(), flags[r.IntN(6)], evr()}
		questions = append(questions, q)
		fmt.Fprintf(&in, "%d|%s|%d|%s\n", q.f1, q.v1, q.f2, q.v2)
	}
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("asking rpm: %v\n%s", err, out)
	}
	answers := strings.Fields(string(out))
	if len(answers) != len(questions) {
		t.Fatalf("rpm gave %d answers to %d questions:\n%s", len(answers), len(questions), out)
	}
	for i, q := range questions {
		if got := Overlap(q.f1, ParseEVR(q.v1), q.f2, ParseEVR(q.v2)); got != (answers[i] == "1") {
			t.Errorf("%+v: got %v, rpm says %s", q, got, answers[i])
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("1.0~rc1", "1.0^git")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := Compare(a, b), Compare(b, a); x != -y {
			t.Errorf("Compare(%q, %q) = %d, the other way round %d", a, b, x, y)
		}
		_ = ParseEVR(a).Compare(ParseEVR(b))
	})
}
