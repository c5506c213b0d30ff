package source

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// GitURL is the place of a git tree in the notation of Koji and the Module
// Build Service: scheme://host/path[?subdirectory][#ref].
type GitURL struct {
	Scheme string // "https", "http", "ssh", "git" or "file"; a "git+" before it is dropped
	Remote string // what git is given: the URL without credentials, or the absolute path of a local repository
	Subdir string // slash-separated path of a directory in the repository; "" for its top
	Ref    string // branch, tag or commit id; "" for the remote's HEAD

	auth string // value of an HTTP Authorization header; secret
}

// String gives the URL in the same notation, without credentials.
func (u GitURL) String() string {
	s := u.base()
	if u.Subdir != "" {
		s += "?" + u.Subdir
	}
	if u.Ref != "" {
		if u.Subdir == "" {
			s += "?"
		}
		s += "#" + u.Ref
	}
	return s
}

// base is the URL of the repository alone, without credentials.
func (u GitURL) base() string {
	if u.Scheme == "file" {
		return (&url.URL{Scheme: "file", Path: u.Remote}).String()
	}
	return u.Remote
}

// Name is the repository's or subdirectory's base name without ".git".
func (u GitURL) Name() string {
	if u.Subdir != "" {
		return path.Base(u.Subdir)
	}
	p := u.Remote
	if parsed, err := url.Parse(u.base()); err == nil {
		p = parsed.Path
	}
	return strings.TrimSuffix(path.Base(strings.TrimSuffix(p, "/")), ".git")
}

// maxURL bounds a URL's length; git hosts refuse longer ones.
const maxURL = 4096

// ParseURL reads a git URL. It refuses what git would take for an option or a
// command, what would select a transport that runs programs ("ext::"), and
// whatever could be mistaken for something else in a message. The error never
// repeats a URL that has credentials.
func ParseURL(s string) (GitURL, error) {
	var u GitURL
	if err := checkText(s, maxURL); err != nil {
		return u, fmt.Errorf("the git URL %w", err)
	}
	rest, ref, _ := strings.Cut(s, "#")
	rest, subdir, _ := strings.Cut(rest, "?")
	scheme, after, ok := strings.Cut(rest, "://")
	if !ok {
		return u, errors.New("not a git URL: write scheme://host/path?subdirectory#ref; for ssh write ssh://user@host/path")
	}
	u.Scheme = strings.TrimPrefix(scheme, "git+")
	switch u.Scheme {
	case "https", "http", "ssh", "git", "file":
	default:
		return u, fmt.Errorf("%q is no scheme for git sources: use https, http, ssh, git or file", scheme)
	}
	parsed, err := url.Parse(u.Scheme + "://" + after)
	if err != nil {
		// The *url.Error has the URL, and so perhaps a password, in it.
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return GitURL{}, fmt.Errorf("the git URL cannot be read: %w", err)
	}
	if err := u.setRemote(parsed); err != nil {
		return GitURL{}, err
	}
	if u.Subdir, err = cleanSubdir(subdir); err != nil {
		return GitURL{}, err
	}
	if ref != "" {
		if err := CheckRef(ref); err != nil {
			return GitURL{}, err
		}
		u.Ref = ref
	}
	if len(u.String()) > maxURL { // escaped, it can be three times as long
		return GitURL{}, fmt.Errorf("the git URL is longer than %d bytes", maxURL)
	}
	return u, nil
}

// setRemote checks the parts of the URL that git would act on, after decoding,
// because git decodes too.
func (u *GitURL) setRemote(p *url.URL) error {
	if !utf8.ValidString(p.Path) || strings.ContainsFunc(p.Path, isControl) {
		return errors.New("the path of the git URL holds control characters or is not UTF-8")
	}
	if strings.Trim(p.Path, "/") == "" {
		return errors.New("the git URL has no path")
	}
	if u.Scheme == "file" {
		if p.Host != "" && p.Host != "localhost" {
			return fmt.Errorf("a file URL with the host %q: write file:///path", p.Host)
		}
		if u.Remote = path.Clean(p.Path); u.Remote == "/" {
			return errors.New("the git URL has no path")
		}
		return nil
	}
	host := p.Hostname()
	if host == "" {
		return errors.New("the git URL has no host")
	}
	if strings.HasPrefix(host, "-") || checkText(host, 255) != nil {
		return fmt.Errorf("the host %q is not one", host)
	}
	if p.User != nil {
		if err := u.setUser(p); err != nil {
			return err
		}
	}
	u.Remote = p.String()
	return nil
}

// setUser takes the credentials out of p, so that they are in no command line,
// log or error. What ssh needs, the user's name, stays.
func (u *GitURL) setUser(p *url.URL) error {
	name := p.User.Username()
	password, hasPassword := p.User.Password()
	switch {
	case u.Scheme == "http" || u.Scheme == "https":
		if strings.ContainsFunc(name+password, isControl) {
			return errors.New("the credentials in the git URL hold control characters")
		}
		u.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
		p.User = nil
	case u.Scheme == "git":
		return errors.New("a git:// URL takes no user")
	case hasPassword:
		return errors.New("an ssh:// URL takes no password; use a key")
	case !userName.MatchString(name):
		return errors.New("the user in the ssh:// URL is not a user's name")
	}
	return nil
}

var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$`)

func cleanSubdir(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "-") || strings.HasPrefix(s, ":") {
		return "", fmt.Errorf("the subdirectory %q must be a path within the repository", s)
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == ".." || strings.EqualFold(part, ".git") {
			return "", fmt.Errorf("the subdirectory %q must be a path within the repository", s)
		}
	}
	clean := path.Clean(s)
	if clean == "." {
		return "", nil
	}
	if strings.HasPrefix(clean, "-") || strings.HasPrefix(clean, ":") { // behind "./"
		return "", fmt.Errorf("the subdirectory %q must be a path within the repository", s)
	}
	return clean, nil
}

// CheckRef reports what keeps s from being the name of a branch or tag, a full
// ref, or a commit id. The rules are those of git-check-ref-format(1), which
// leave no room for options, ranges or patterns.
func CheckRef(s string) error {
	if err := checkText(s, 255); err != nil {
		return fmt.Errorf("the git ref %w", err)
	}
	bad := func(why string) error { return fmt.Errorf("%q is not a git ref: %s", s, why) }
	switch {
	case strings.HasPrefix(s, "-"):
		return bad("it begins with '-'")
	case strings.ContainsAny(s, `~^:?*[\`):
		return bad(`it has one of ~ ^ : ? * [ \`)
	case strings.Contains(s, "..") || strings.Contains(s, "@{") || s == "@":
		return bad("it is an expression, not a name")
	case strings.HasSuffix(s, "."):
		return bad("it ends with '.'")
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return bad("a part of it is empty, begins with '.' or ends with '.lock'")
		}
	}
	return nil
}

// checkText refuses text that cannot stand in a command line, a message or a
// file name without being taken for something else.
func checkText(s string, limit int) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > limit:
		return fmt.Errorf("is longer than %d bytes", limit)
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(s, isControl):
		return errors.New("holds control characters")
	case strings.HasPrefix(s, "-"):
		return errors.New("begins with '-'")
	case strings.ContainsFunc(s, unicode.IsSpace):
		return errors.New("holds white space")
	}
	return nil
}

// isControl is true for what changes how text around it is shown: control
// characters, and the invisible ones that reorder or join.
func isControl(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// isCommitID reports whether s can only be a full commit id.
func isCommitID(s string) bool { return fullID.MatchString(s) }

// isShortID reports whether s may be an abbreviated commit id.
func isShortID(s string) bool { return shortID.MatchString(s) }

var (
	fullID  = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	shortID = regexp.MustCompile(`^[0-9a-f]{7,63}$`)
)
