package fileurl

import "testing"

func TestFromPath(t *testing.T) {
	for path, want := range map[string]string{
		"/srv/repo":              "file:///srv/repo",
		"/srv/my builds,$x%/é?#": "file:///srv/my%20builds%2C%24x%25/%C3%A9%3F%23",
	} {
		if got := FromPath(path); got != want {
			t.Errorf("FromPath(%q) = %s, want %s", path, got, want)
		}
	}
}
