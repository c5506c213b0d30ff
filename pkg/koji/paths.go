package koji

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Paths says where Koji keeps files (koji.PathInfo): below its topdir, for
// example "/mnt/koji", or topurl, for example "https://koji.example.org/kojifiles".
// Its methods refuse names that would lead elsewhere.
type Paths struct {
	Top string
}

// join puts names together, none of which may be more than a name. Below a URL
// they are escaped.
func (p Paths) join(volume string, names ...string) (string, error) {
	isURL := strings.HasPrefix(p.Top, "http://") || strings.HasPrefix(p.Top, "https://")
	if volume != "" && volume != "DEFAULT" {
		names = append([]string{"vol", volume}, names...)
	}
	var b strings.Builder
	b.WriteString(strings.TrimRight(p.Top, "/"))
	for _, name := range names {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
			return "", fmt.Errorf("koji: %q cannot be part of a path", name)
		}
		if isURL {
			name = url.PathEscape(name)
		}
		b.WriteString("/" + name)
	}
	return b.String(), nil
}

// Build returns the directory of a build.
func (p Paths) Build(b Build) (string, error) { return p.ofBuild(b) }

func (p Paths) ofBuild(b Build, names ...string) (string, error) {
	return p.join(b.Volume, append([]string{"packages", b.Name, b.Version, b.Release}, names...)...)
}

// RPM returns an RPM's unsigned copy within its build's directory.
func (p Paths) RPM(b Build, r RPM) (string, error) { return p.ofBuild(b, r.Arch, r.fileName()) }

// Signed returns an RPM's copy signed by a key.
func (p Paths) Signed(b Build, r RPM, sigkey string) (string, error) {
	return p.ofBuild(b, "data", "signed", sigkey, r.Arch, r.fileName())
}

func (r RPM) fileName() string {
	return fmt.Sprintf("%s-%s-%s.%s.rpm", r.Name, r.Version, r.Release, r.Arch)
}

// Repo returns the directory of a repository of a tag.
func (p Paths) Repo(tag string, id int64) (string, error) {
	return p.join("", "repos", tag, strconv.FormatInt(id, 10))
}

// Task returns the directory of what a task has uploaded to the default volume.
func (p Paths) Task(id int64) (string, error) {
	return p.join("", append([]string{"work"}, strings.Split(TaskDir(id), "/")...)...)
}

// TaskDir returns the directory for what a task uploads, as Upload takes it.
func TaskDir(id int64) string { return fmt.Sprintf("tasks/%d/%d", id%10000, id) }
