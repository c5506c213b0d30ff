package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSources(t *testing.T) {
	md5sum, sum512 := strings.Repeat("0a", 16), strings.Repeat("0b", 64)
	in := "# comment\n\n" +
		"SHA512 (a-1.0.tar.gz) = " + strings.ToUpper(sum512) + "\n" +
		md5sum + "  b_2.zip\r\n" +
		md5sum + " *c.bin\n" +
		"SHA512 (a-1.0.tar.gz) = " + sum512 + "\n" +
		strings.Repeat("c", 40) + "  d\n" + strings.Repeat("d", 64) + "\te"
	want := []File{
		{"a-1.0.tar.gz", "sha512", sum512, 3},
		{"b_2.zip", "md5", md5sum, 4},
		{"c.bin", "md5", md5sum, 5},
		{"d", "sha1", strings.Repeat("c", 40), 7},
		{"e", "sha256", strings.Repeat("d", 64), 8},
	}
	got, err := ParseSources([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseSourcesRefuses(t *testing.T) {
	sum := strings.Repeat("a", 128)
	md5sum := strings.Repeat("a", 32)
	tests := map[string]struct{ in, says string }{
		"climbs":           {"SHA512 (../x) = " + sum, "leaves the directory"},
		"old form climbs":  {md5sum + "  ../x", "leaves the directory"},
		"absolute":         {md5sum + "  /etc/passwd", "leaves the directory"},
		"below":            {md5sum + "  a/b", "leaves the directory"},
		"dots":             {md5sum + "  ..", "leaves the directory"},
		"git":              {md5sum + "  .git", "not one"},
		"itself":           {md5sum + "  sources", "not one"},
		"option":           {md5sum + "  -x", "begins with"},
		"escape sequence":  {md5sum + "  a\x1b[2J", "control"},
		"space":            {md5sum + "  a b", "white space"},
		"short sum":        {"SHA512 (a) = abcd", "hex digits"},
		"odd sum":          {strings.Repeat("a", 33) + "  a", "no known kind"},
		"unknown kind":     {"CRC32 (a) = abcdabcd", "not supported"},
		"prose":            {"\nhello world", "line 2"},
		"HTML":             {"<!DOCTYPE html>", "neither"},
		"two sums":         {md5sum + "  a\n" + strings.Repeat("b", 32) + "  a", "another checksum in line 1"},
		"too many":         {manyFiles(), "more than"},
		"large":            {strings.Repeat("\n", maxSourcesSize+1), "larger"},
		"a line of a MiB":  {strings.Repeat("a", maxSourcesSize), "neither"},
		"NUL in file name": {md5sum + "  a\x00b", "control"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files, err := ParseSources([]byte(tt.in))
			if err == nil {
				t.Fatalf("taken: %v", files)
			}
			if !strings.Contains(err.Error(), tt.says) || len(err.Error()) > 2000 {
				t.Errorf("error %.300q, want one that says %q", err, tt.says)
			}
		})
	}
}

func manyFiles() string {
	var b strings.Builder
	for n := range maxSourcesFiles + 1 {
		b.WriteString(strings.Repeat("a", 32) + "  f" + strings.Repeat("x", n%200) + string(rune('a'+n%26)) + strings.Repeat("y", n/200) + "\n")
	}
	return b.String()
}

func FuzzParseSources(f *testing.F) {
	f.Add([]byte("SHA512 (a.tar.gz) = " + strings.Repeat("a", 128) + "\n"))
	f.Add([]byte(strings.Repeat("a", 32) + "  a.tar.gz\n# x\n"))
	f.Add([]byte("MD5 (a) (b) = " + strings.Repeat("A", 32)))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := ParseSources(data)
		if err != nil {
			return
		}
		for _, file := range files {
			if strings.ContainsAny(file.Name, "/\\") || file.Name == ".." || file.Name == "." || file.Name == "" ||
				strings.ContainsFunc(file.Name, isControl) || file.Name[0] == '-' {
				t.Fatalf("the file name %q was taken", file.Name)
			}
			if file.newHash().Size()*2 != len(file.Hash) {
				t.Fatalf("%+v", file)
			}
		}
	})
}
