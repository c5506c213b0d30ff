// Package fileurl makes URLs of paths that dnf reads as they are meant.
package fileurl

import (
	"net/url"
	"strings"
)

// FromPath gives the file URL of an absolute path. Beside what no URL may hold it
// escapes what dnf takes for more than a character: commas part the URLs of a
// list, and $ begins a variable.
func FromPath(path string) string {
	u := (&url.URL{Scheme: "file", Path: path}).String()
	return strings.NewReplacer(",", "%2C", "$", "%24").Replace(u)
}
