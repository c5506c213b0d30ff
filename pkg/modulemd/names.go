package modulemd

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckComponentName reports why a name cannot be that of a component. Names
// become names of directories, files and RPM options, so that a name must not
// lead anywhere else: it is printable, has no '/' and no blank, does not begin
// with '.' or '-', and has at most 200 bytes.
func CheckComponentName(name string) error { return checkName(name) }

// CheckModuleName reports why a name cannot be that of a module. The rules are
// those of components, and there is no ':', which joins the parts of an NSVCA.
func CheckModuleName(name string) error {
	if strings.Contains(name, ":") {
		return errors.New("has a ':' in it; use letters, digits, '-', '_', '.' and '+'")
	}
	return checkName(name)
}

// CheckStreamName reports why a stream cannot be built. Documents may hold
// stream names with a '/'; nothing can be built under them.
func CheckStreamName(name StreamName) error { return CheckModuleName(string(name)) }

// CheckContext reports why a text cannot be a context.
func CheckContext(c Context) error { return CheckModuleName(string(c)) }

func checkName(name string) error {
	if err := checkWord(name); err != nil {
		return err
	}
	switch {
	case strings.Contains(name, "/"):
		return errors.New("has a '/' in it; use letters, digits, '-', '_', '.' and '+'")
	case name[0] == '.' || name[0] == '-':
		return fmt.Errorf("begins with %q; begin with a letter or digit", name[0])
	case len(name) > 200:
		return fmt.Errorf("has %d bytes; 200 is the limit", len(name))
	}
	return nil
}

// checkWord refuses what no name, reference, architecture or package name has:
// blanks, characters that do not print, nothing at all.
func checkWord(s string) error {
	switch {
	case s == "":
		return errors.New("is empty; give a name")
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8 text")
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("has a control character in it; remove it")
	case strings.ContainsRune(s, ' '):
		return errors.New("has a blank in it; remove it")
	}
	return nil
}

// checkLine refuses text that breaks out of its line.
func checkLine(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("is not UTF-8 text")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("has a control character in it; remove it")
	}
	return nil
}

// onlyLetters reports whether s has between 1 and most letters and digits of
// ASCII, or characters of also.
func onlyLetters(s string, most int, also string) bool {
	return len(s) >= 1 && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(also, r)
	})
}
