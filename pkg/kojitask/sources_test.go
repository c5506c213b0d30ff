package kojitask

import (
	"bufio"
	"log/slog"
	"strings"
	"testing"

	"github.com/kojimod/kojimod/internal/source"
	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

func TestSCMURL(t *testing.T) {
	for _, tc := range [][2]string{
		{"https://git.example/rpms/ash#c0ffee", "git+https://git.example/rpms/ash?#c0ffee"},
		{"git+https://git.example/rpms/ash.git?sub/dir#c0ffee", "git+https://git.example/rpms/ash.git?sub/dir#c0ffee"},
		{"git://git.example/rpms/ash#c0ffee", "git://git.example/rpms/ash?#c0ffee"},
		{"ssh://git@git.example/rpms/ash#c0ffee", "git+ssh://git@git.example/rpms/ash?#c0ffee"},
		{"http://git.example/rpms/ash#c0ffee", "git+http://git.example/rpms/ash?#c0ffee"},
	} {
		u, err := source.ParseURL(tc[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := scmURL(u); got != tc[1] {
			t.Errorf("%s becomes %s, want %s", tc[0], got, tc[1])
		}
	}
}

func TestSourceOf(t *testing.T) {
	commit := strings.Repeat("c0ffee00", 5)
	for _, tc := range []struct {
		name       string
		component  modulemd.ComponentRPM
		base, srpm string
		want       string
		fails      string
	}{
		{name: "an uploaded source package", srpm: "cli-build/1/ash-1-1.src.rpm", want: "cli-build/1/ash-1-1.src.rpm"},
		{name: "a commit", component: modulemd.ComponentRPM{Repository: "https://git.example/ash", Ref: commit}, want: "git+https://git.example/ash?#" + commit},
		{name: "the platform's repository", component: modulemd.ComponentRPM{Ref: commit}, base: "https://git.example/rpms/", want: "git+https://git.example/rpms/ash?#" + commit},
		{name: "under its own name", component: modulemd.ComponentRPM{Ref: commit, Name: "white-ash"}, base: "git+https://git.example/rpms", want: "git+https://git.example/rpms/white-ash?#" + commit},
		{name: "none", fails: "it has no repository"},
		{name: "a path", component: modulemd.ComponentRPM{Repository: "rpms/ash"}, fails: "is no URL"},
		{name: "a disk", component: modulemd.ComponentRPM{Repository: "file:///srv/ash", Ref: commit}, fails: "builder's disk"},
		{name: "two refs", component: modulemd.ComponentRPM{Repository: "https://git.example/ash#main", Ref: commit}, fails: "leave one out"},
		{name: "an option", component: modulemd.ComponentRPM{Repository: "https://git.example/ash", Ref: "--upload-pack=x"}, fails: "ref"},
		{name: "arches", component: modulemd.ComponentRPM{Repository: "https://git.example/ash", Ref: commit, Arches: []string{"x86_64"}}, fails: "cannot be honoured"},
		{name: "buildroot", component: modulemd.ComponentRPM{Repository: "https://git.example/ash", Ref: commit, Buildroot: true}, fails: "cannot be honoured"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := sourceFinder{workDir: t.TempDir(), repoBase: tc.base, log: slog.New(slog.DiscardHandler), srpms: map[string]string{}}
			if tc.srpm != "" {
				f.srpms["ash"] = tc.srpm
			}
			got, err := f.one(t.Context(), &modulebuild.Component{Name: "ash", Doc: &tc.component})
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) || !strings.Contains(err.Error(), "component ash") {
					t.Errorf("got %v, want an error with %q that names the component", err, tc.fails)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestReadRequestRefuses(t *testing.T) {
	const good = `"task_id":1,"method":"moduleBuild","workdir":"/w","source":{"path":"/p"},"topdir":"/mnt/koji"`
	for _, tc := range []struct{ name, line, fails string }{
		{"another protocol", `{"protocol":2,` + good + "}\n", "protocol 2"},
		{"no end", `{"protocol":1,` + good + "}", "EOF"},
		{"no JSON", "key s3cret\n", "not the JSON"},
		{"another method", `{"protocol":1,"task_id":1,"method":"build"}` + "\n", `no method "build"`},
		{"no files", `{"protocol":1,"task_id":1,"method":"moduleBuild","workdir":"/w","source":{"path":"/p"}}` + "\n", "topurl"},
		{"a context without identity", `{"protocol":1,"task_id":1,"method":"moduleContext","workdir":"/w","source":{"path":"/p"},"topdir":"/t"}` + "\n", "identity"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ReadRequest(newReader(tc.line))
			if err == nil || !strings.Contains(err.Error(), tc.fails) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want an error with %q", err, tc.fails)
			}
		})
	}
	if _, err := ReadRequest(newReader(`{"protocol":1,` + good + "}\n")); err != nil {
		t.Error(err)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(`{"protocol":1,"task_id":1,"method":"moduleBuild","workdir":"/w","source":{"path":"/p"},"topdir":"/t","session":{"id":1,"key":"k"}}` + "\n")
	f.Fuzz(func(t *testing.T, line string) {
		req, err := ReadRequest(newReader(line))
		if err == nil && (req.TaskID <= 0 || req.Source.Path == "") {
			t.Errorf("%q was accepted", line)
		}
	})
}

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }
