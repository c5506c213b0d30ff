package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseURL(t *testing.T) {
	tests := []struct {
		name, in string
		want     GitURL
		shown    string
	}{
		{"Koji's form", "git+https://src.example.com/rpms/bash?#f40",
			GitURL{Scheme: "https", Remote: "https://src.example.com/rpms/bash", Ref: "f40"}, "https://src.example.com/rpms/bash?#f40"},
		{"subdirectory", "git://h/p.git?a/b#v1.0",
			GitURL{Scheme: "git", Remote: "git://h/p.git", Subdir: "a/b", Ref: "v1.0"}, "git://h/p.git?a/b#v1.0"},
		{"no ref", "https://h:8443/p", GitURL{Scheme: "https", Remote: "https://h:8443/p"}, "https://h:8443/p"},
		{"ref without ?", "https://h/p#main", GitURL{Scheme: "https", Remote: "https://h/p", Ref: "main"}, "https://h/p?#main"},
		{"ssh user", "git+ssh://git@h/p?#x", GitURL{Scheme: "ssh", Remote: "ssh://git@h/p", Ref: "x"}, "ssh://git@h/p?#x"},
		{"file", "file:///srv/a%20b.git?#x", GitURL{Scheme: "file", Remote: "/srv/a b.git", Ref: "x"}, "file:///srv/a%20b.git?#x"},
		{"file keeps no ..", "file:///srv/../x", GitURL{Scheme: "file", Remote: "/x"}, "file:///x"},
		{"password is hidden", "https://u:hunter2@h/p?#x", GitURL{Scheme: "https", Remote: "https://h/p", Ref: "x"}, "https://h/p?#x"},
		{"token is hidden", "https://hunter2@h/p", GitURL{Scheme: "https", Remote: "https://h/p"}, "https://h/p"},
		{"IPv6", "git://[::1]:9418/p", GitURL{Scheme: "git", Remote: "git://[::1]:9418/p"}, "git://[::1]:9418/p"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseURL(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(GitURL{})); diff != "" {
				t.Error(diff)
			}
			if got.String() != tt.shown {
				t.Errorf("shown as %q, want %q", got, tt.shown)
			}
			if strings.Contains(tt.in, "hunter2") != (got.auth != "") {
				t.Errorf("credentials %q", got.auth)
			}
		})
	}
}

func TestParseURLRefuses(t *testing.T) {
	tests := map[string]string{
		"empty":                  "",
		"a command":              "ext::sh -c touch% /tmp/x",
		"a command with a URL":   "ext::https://h/p",
		"helper with a URL":      "ext://h/p",
		"file descriptor":        "fd::17/foo",
		"nested helper":          "git+ext://h/p",
		"scp form":               "git@h:p.git",
		"option":                 "--upload-pack=touch /tmp/x",
		"option as host":         "ssh://-oProxyCommand=x/p",
		"decoded option as host": "ssh://%2doProxyCommand=x/p",
		"option as user":         "ssh://-oProxyCommand=x@h/p",
		"decoded option as user": "ssh://%2doProxyCommand=x@h/p",
		"space":                  "https://h/a b",
		"newline":                "https://h/a\nb",
		"decoded newline":        "https://h/a%0ab",
		"escape sequence":        "https://h/\x1b[2J",
		"reordering":             "https://h/\u202ep",
		"not UTF-8":              "https://h/\xff",
		"no host":                "https:///p",
		"no path":                "https://h/",
		"file of a host":         "file://h/p",
		"root":                   "file:///",
		"password for ssh":       "ssh://u:hunter2@h/p",
		"user for git":           "git://u:hunter2@h/p",
		"bad port":               "https://u:hunter2@h:x/p",
		"subdirectory climbs":    "https://h/p?../x#r",
		"subdirectory in .git":   "https://h/p?a/.GIT/x#r",
		"subdirectory absolute":  "https://h/p?/etc#r",
		"subdirectory option":    "https://h/p?-x#r",
		"subdirectory magic":     "https://h/p?:/x#r",
		"ref option":             "https://h/p?#--upload-pack=x",
		"ref range":              "https://h/p?#a..b",
		"ref expression":         "https://h/p?#HEAD~1",
		"ref at time":            "https://h/p?#main@{1}",
		"ref colon":              "https://h/p?#a:refs/heads/b",
		"ref pattern":            "https://h/p?#refs/heads/*",
		"ref with a dot part":    "https://h/p?#a/.b",
		"too long":               "https://h/" + strings.Repeat("x", 5000),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseURL(in)
			if err == nil {
				t.Fatalf("%q was taken as %+v", in, got)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error gives the password away: %v", err)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"git+https://src.example.com/rpms/bash?#f40", "ssh://git@h/p?a/b#x", "file:///srv/p.git#v1", "ext::sh -c x",
		"https://u:p@h/p", "ssh://%2dx/p", "https://h/p?../x#r", "git://[::1]/p", "https://hr/////p?./////-//////", "https://h/" + strings.Repeat("[", 2000),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		if err != nil {
			return
		}
		for _, part := range []string{u.Remote, u.Subdir, u.Ref} {
			if strings.HasPrefix(part, "-") || strings.ContainsFunc(part, isControl) {
				t.Fatalf("%q was taken, with %q", s, part)
			}
		}
		for part := range strings.SplitSeq(u.Subdir, "/") {
			if part == ".." {
				t.Fatalf("%q was taken, with a subdirectory that climbs", s)
			}
		}
		again, err := ParseURL(u.String())
		if err != nil || again.String() != u.String() {
			t.Fatalf("%q is shown as %q, which reads as %q, %v", s, u, again, err)
		}
	})
}
