package kerberos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A profile is the content of krb5.conf and what it includes:
// https://web.mit.edu/kerberos/krb5-latest/doc/admin/conf_files/krb5_conf.html.
// gokrb5 reads no include, on which Red Hat's and Fedora's krb5.conf consist, and
// panics on some that MIT takes.
type profile struct {
	values []setting
	files  int
	size   int
}

// A setting is one line: {"realms", "EXAMPLE.ORG", "kdc"} is "kdc.example.org".
type setting struct {
	path  []string
	value string
}

const (
	maxProfileFiles = 200
	maxProfileDepth = 10
)

// all returns the values of a setting, first one first. Names of sections and
// settings are as they are written; there is no case to ignore.
func (p *profile) all(path ...string) []string {
	var found []string
	for _, s := range p.values {
		if equal(s.path, path) {
			found = append(found, s.value)
		}
	}
	return found
}

func (p *profile) first(path ...string) string {
	if v := p.all(path...); len(v) > 0 {
		return v[0]
	}
	return ""
}

// below returns the settings directly in a section.
func (p *profile) below(path ...string) []setting {
	var found []setting
	for _, s := range p.values {
		if len(s.path) == len(path)+1 && equal(s.path[:len(path)], path) {
			found = append(found, s)
		}
	}
	return found
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// load adds a file and what it includes.
func (p *profile) load(path string, depth int) error {
	p.files++
	if depth > maxProfileDepth || p.files > maxProfileFiles {
		return fmt.Errorf("%s: too many files include each other", path)
	}
	b, err := readFile(path)
	if err != nil {
		return err
	}
	if p.size += len(b); p.size > maxFile {
		return fmt.Errorf("%s: more than %d MiB of configuration", path, maxFile>>20)
	}
	return p.parse(path, string(b), func(word, arg string) error {
		if word == "include" {
			return p.load(arg, depth+1)
		}
		return p.loadDir(arg, depth+1)
	})
}

// loadDir adds the files of a directory whose names MIT takes: letters, digits, dashes
// and underscores, or with .conf at the end.
func (p *profile) loadDir(dir string, depth int) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name := e.Name()
		plain := strings.IndexFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}) < 0
		if !plain && (strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".conf")) {
			continue
		}
		if err := p.load(filepath.Join(dir, name), depth); err != nil {
			return err
		}
	}
	return nil
}

// parse adds the settings of text; file is its name for errors.
func (p *profile) parse(file, text string, include func(word, arg string) error) error {
	var section []string
	opening := "" // a name whose value must be a brace on the next line
	number := 0
	for line := range strings.Lines(text) {
		number++
		fail := func(what string) error { return fmt.Errorf("%s:%d: %s", file, number, what) }
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if word, arg, ok := directive(line); ok {
			if include == nil {
				return fail("an include where there can be none")
			}
			if err := include(word, arg); err != nil {
				return fmt.Errorf("%s:%d: %w", file, number, err)
			}
			continue
		}
		if opening != "" {
			if line != "{" {
				return fail("expected a { for " + opening)
			}
			section, opening = append(section, opening), ""
			continue
		}
		switch {
		case line[0] == '[':
			name, ok := strings.CutSuffix(strings.TrimRight(line, "*"), "]")
			if !ok || len(section) > 1 {
				return fail("a section begins with [NAME] on a line of its own, outside of braces")
			}
			section = []string{strings.TrimSpace(name[1:])}
		case strings.TrimRight(line, "*") == "}":
			if len(section) < 2 {
				return fail("a } without a {")
			}
			section = section[:len(section)-1]
		default:
			name, value, err := assignment(line)
			if err != nil {
				return fail(err.Error())
			}
			if len(section) == 0 || len(section) > maxProfileDepth {
				return fail("not within a [section], or in too many braces")
			}
			switch value {
			case "{":
				section = append(section, name)
			case "":
				opening = name
			default:
				p.values = append(p.values, setting{append(append([]string(nil), section...), name), unquote(value)})
			}
		}
	}
	if len(section) > 1 || opening != "" {
		return fmt.Errorf("%s: a } is missing at the end", file)
	}
	return nil
}

// directive takes an include line apart.
func directive(line string) (word, arg string, ok bool) {
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return "", "", false
	}
	word, arg = line[:i], strings.TrimSpace(line[i:])
	ok = (word == "include" || word == "includedir") && strings.HasPrefix(arg, "/")
	return word, arg, ok
}

func assignment(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, "=")
	name = strings.TrimRight(strings.TrimSpace(name), "*")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return "", "", errors.New("neither NAME = VALUE nor [SECTION]")
	}
	return name, strings.TrimSpace(value), nil
}

// unquote takes the quotes off a value that has them.
func unquote(v string) string {
	if len(v) < 2 || v[0] != '"' {
		return v
	}
	var out strings.Builder
	escaped := false
	for _, r := range v[1:] {
		switch {
		case escaped:
			switch r {
			case 'n':
				r = '\n'
			case 't':
				r = '\t'
			}
			out.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			return out.String()
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
