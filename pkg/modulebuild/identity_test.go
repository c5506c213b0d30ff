package modulebuild

import (
	"strings"
	"testing"
	"time"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// The values in these tables are the Module Build Service's: asserted in its own
// tests, or computed with its functions.

func TestPrefixVersion(t *testing.T) {
	for _, tt := range []struct {
		name, platform string
		version, want  uint64
	}{
		{"a Fedora release", "f28", 20180205135154, 2820180205135154},
		{"a stream with dots and a suffix", "fl7.0.1-beta", 20180205135154, 7000120180205135154},
		{"a leading zero is lost", "el8.1.0", 20200101120000, 8010020200101120000},
		{"no platform", "", 20180205135154, 20180205135154},
		{"no digits", "rawhide", 20180205135154, 20180205135154},
		{"a trailing dot", "f31.", 20180205135154, 3120180205135154},
		{"too large for 64 bits", "f999999", 20180205135154, 20180205135154},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := PrefixVersion(tt.platform, tt.version); got != tt.want {
				t.Errorf("PrefixVersion(%q, %d) = %d, want %d", tt.platform, tt.version, got, tt.want)
			}
		})
	}
}

func TestTimeVersion(t *testing.T) {
	at := time.Date(2020, 1, 1, 14, 0, 0, 0, time.FixedZone("", 2*60*60))
	if got, want := TimeVersion("el8.1.0", at), uint64(8010020200101120000); got != want {
		t.Errorf("TimeVersion = %d, want %d", got, want)
	}
}

func TestVersionDate(t *testing.T) {
	for _, tt := range []struct {
		version uint64
		want    string
	}{
		{20180205135154, "2018-02-05T13:51:54Z"},
		{8010020200101120000, "2020-01-01T12:00:00Z"},
		{1, ""},
		{20181305135154, ""}, // month 13
		{19700101000000, ""}, // before all archive formats can say so
	} {
		got, ok := VersionDate(tt.version)
		switch {
		case ok != (tt.want != ""):
			t.Errorf("VersionDate(%d) = %v, %v; want %q", tt.version, got, ok, tt.want)
		case ok && got.Format(time.RFC3339) != tt.want:
			t.Errorf("VersionDate(%d) = %v, want %s", tt.version, got, tt.want)
		}
	}
}

func TestContext(t *testing.T) {
	for _, tt := range []struct {
		name           string
		build          map[string]string
		run            []modulemd.Dependencies
		buildSum, run1 string
		want           modulemd.Context
	}{
		{
			"only the platform", map[string]string{"platform": "f28"}, requires(map[string][]string{"platform": {"f28"}}),
			"f4bfd8304625d3f2835a5176ee910f50e86cc201", "3a484dfa1afb31e4a0df5d6bce64aa4cce13cab9", "9c690d0e",
		},
		{
			"another module", map[string]string{"gtk": "3", "platform": "f29"},
			requires(map[string][]string{"gtk": {"3"}, "platform": {"f29"}}),
			"31a4e34be88fab849a6eda57f3b260c9aa4baa50", "0730a86b06430e499e9637100f1d5844d740a062", "a47e5de2",
		},
		{
			"several streams to run with, unsorted and over two blocks", map[string]string{"perl": "5.26", "platform": "el8.1.0"},
			requires(map[string][]string{"perl": {"5.26"}, "platform": {"el8"}}, map[string][]string{"perl": {"5.24", "5.26"}}),
			"3b3aea4ee917d207fecc3f7d7a1321d435e0d1ca", "8a3919fd29f1ebaf0e39ab38eb63bf09ec5615f5", "88477517",
		},
		{
			"any stream to run with", map[string]string{"platform": "f28"}, requires(map[string][]string{"platform": {}}),
			"f4bfd8304625d3f2835a5176ee910f50e86cc201", "f266bc2ae4e404c01b3975a58531d7a9b737da17", "90da547c",
		},
		{
			"nothing", nil, nil,
			"bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f", "bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f", "6a6c3e52",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := buildContext(tt.build); got != tt.buildSum {
				t.Errorf("build context %s, want %s", got, tt.buildSum)
			}
			if got := runtimeContext(tt.run); got != tt.run1 {
				t.Errorf("runtime context %s, want %s", got, tt.run1)
			}
			if got := Context(tt.build, tt.run); got != tt.want {
				t.Errorf("context %s, want %s", got, tt.want)
			}
		})
	}
	sum := "ac4de1c346dcf09ce77d38cd4e75094ec1c08eb0"
	if got := joinContexts(sum, sum); got != "7c29193d" {
		t.Errorf("joined context %s, want 7c29193d", got)
	}
}

func requires(blocks ...map[string][]string) []modulemd.Dependencies {
	var all []modulemd.Dependencies
	for _, b := range blocks {
		all = append(all, modulemd.Dependencies{Requires: b})
	}
	return all
}

func TestPythonString(t *testing.T) {
	for in, want := range map[string]string{
		"plain":     `"plain"`,
		`a"b\c`:     `"a\"b\\c"`,
		"<&>":       `"<&>"`,
		"tab\there": `"tab\there"`,
		"é":         `"\u00e9"`,
		"😀":         `"\ud83d\ude00"`,
		"\x7f\x01":  `"\u007f\u0001"`,
	} {
		if got := pythonString(in); got != want {
			t.Errorf("pythonString(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestDistTag(t *testing.T) {
	for _, tt := range []struct {
		name, marking string
		index         int64
		module        []string
		version       uint64
		want          string
	}{
		{"no platform", "", 2, []string{"testmodule", "master", "7c29193d"}, 20170109091357, "module+2+814cfa39"},
		{"a platform", "f28", 2, []string{"testmodule", "master", "7c29193d"}, 20170109091357, "module+f28+2+814cfa39"},
		{"nginx", "el8.1.0", 4066, []string{"nginx", "1.16", "9edba152"}, 8010020200101120000, "module+el8.1.0+4066+e5319557"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DistTag(tt.marking, tt.index, tt.module[0], tt.module[1], tt.version, modulemd.Context(tt.module[2]))
			if err != nil || got != tt.want {
				t.Errorf("DistTag = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	if _, err := DistTag("el8-beta", 1, "a", "b", 1, "c"); err == nil || !strings.Contains(err.Error(), "el8-beta") {
		t.Errorf("DistTag with a dash: %v, want an error that names the platform", err)
	}
}

func TestHasDistTag(t *testing.T) {
	for release, want := range map[string]bool{
		"1.module+f40+1+0f1aadab":       true,
		"1.module+f40+1+0f1aadab.2":     true,
		"1.module+f40+1+0f1aadabcc":     false,
		"1.module+f40+1+11111111":       false,
		"1":                             false,
		"1module+f40+1+0f1aadab":        false,
		"0.1.rc1.module+f40+1+0f1aadab": true,
	} {
		if got := hasDistTag(release, "module+f40+1+0f1aadab"); got != want {
			t.Errorf("hasDistTag(%q) = %v, want %v", release, got, want)
		}
	}
}
