package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Hosts that are not as simple as this one: mounts below directories that get
// overlaid, a work directory on an overlay, root without root's rights. Each is
// made in a mount namespace of its own, and the other tests are run there.
func TestOddHosts(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(partVar) != "" {
		t.Skip("needs root, to mount things")
	}
	for _, program := range []string{"setpriv", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs util-linux: %v", err)
		}
	}
	start(t, Config{}) // skips where there are no sandboxes
	const below = `mount --bind /etc/hosts /etc/hosts && mount --bind /usr/share/misc /usr/share/misc && mount -t tmpfs x /var/lib/misc`
	const overlay = `mkdir l u w m && mount -t tmpfs x u && mkdir u/u u/w && mount -t overlay overlay -o lowerdir=l,upperdir=u/u,workdir=u/w m && chmod 1777 m && TMPDIR=$PWD/m`
	const user = "setpriv --reuid 65534 --regid 65534 --clear-groups"
	tests := []struct{ name, setup, as string }{
		{"mounts below, root", below, ""},
		{"mounts below, ordinary user", below, user},
		{"work directory on an overlay, root", overlay, ""},
		{"work directory on an overlay, ordinary user", overlay, user},
		{"root without CAP_SYS_ADMIN", "true", "setpriv --bounding-set -sys_admin"},
		{"root of a user namespace with one user", "true", "unshare --map-root-user"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, exe := userDir(t)
			for _, path := range []string{"/usr/share/misc", "/var/lib/misc"} {
				if _, err := os.Stat(path); err != nil && strings.Contains(tt.setup, path) {
					t.Skip(err)
				}
			}
			tmp := filepath.Join(dir, "tmp")
			if err := os.Mkdir(tmp, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(tmp, 0o777); err != nil {
				t.Fatal(err)
			}
			script := `mount --make-rprivate / && cd "$TMPDIR" && ` + tt.setup + ` && export TMPDIR && exec ` + tt.as + ` "$0" "$@"`
			cmd := exec.Command("sh", "-c", script, exe, "-test.run=^(TestIdentity|TestContained|TestStateStays|TestBackgroundProcessesEnd)$", "-test.v")
			cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + tmp, "PATH=" + os.Getenv("PATH"), partVar + "=odd"}
			cmd.Dir = dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestStateStays") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
