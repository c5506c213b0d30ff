package yamlx

import "regexp"

// IsWord reports whether a YAML 1.1 or 1.2 reader takes the plain text s for a
// boolean, for null, or for one of YAML 1.1's special keys.
func IsWord(s string) bool {
	switch s {
	case "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO",
		"true", "True", "TRUE", "false", "False", "FALSE",
		"on", "On", "ON", "off", "Off", "OFF",
		"", "~", "null", "Null", "NULL", "=", "<<":
		return true
	}
	return false
}

// numbers are the plain texts that a reader of YAML 1.1, YAML 1.2 or of
// yaml.v3 takes for a number or a time, '_' aside, which some let stand
// between digits.
var numbers = regexp.MustCompile(`^(` +
	`[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` + // decimal
	`|[-+]?0b[01]+|[-+]?0o[0-7]+|[-+]?0x[0-9a-fA-F]+` +
	`|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?` + // base 60
	`|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)` +
	`|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+[0-9]).*` + // time
	`|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}` +
	`)$`)

// IsNumber reports whether a reader takes the plain text s for a number, a day
// or a time.
func IsNumber(s string) bool {
	if s == "" {
		return false
	}
	switch c := s[0]; {
	case c >= '0' && c <= '9', c == '-', c == '+', c == '.':
		return numbers.MatchString(withoutUnderscores(s))
	}
	return false
}

func withoutUnderscores(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != '_' {
			b = append(b, s[i])
		}
	}
	return string(b)
}
