package mockbuild

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kojimod/kojimod/internal/fileurl"
	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// config writes mock's configuration for one build: a Python file that takes the
// administrator's own and adds to it.
type config struct {
	base    string // path of the root's configuration
	results string // directory of the results so far, with repodata; empty if there are none
	enable  []modulebuild.ModuleStream
	macros  []modulebuild.Macro
	install []string // packages that are installed without being asked for
	time    time.Time
}

func (c config) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "include(%s)\n", python(c.base))
	for _, m := range slices.Concat(c.macros, reproducible) {
		// mock writes each macro as one line of ~/.rpmmacros.
		body := strings.ReplaceAll(m.Body, "\n", "\\\n")
		fmt.Fprintf(&b, "config_opts['macros'][%s] = %s\n", python("%"+m.Name), python(body))
	}
	fmt.Fprintf(&b, "config_opts['environment']['SOURCE_DATE_EPOCH'] = '%d'\n", c.time.Unix())
	b.WriteString("config_opts['rpmbuild_networking'] = False\n")
	if len(c.enable) > 0 {
		b.WriteString("config_opts['module_setup_commands'] = list(config_opts.get('module_setup_commands') or [])\n")
		for _, m := range c.enable {
			fmt.Fprintf(&b, "config_opts['module_setup_commands'].append(('enable', %s))\n", python(m.String()))
		}
	}
	if len(c.install) > 0 {
		fmt.Fprintf(&b, "config_opts['chroot_setup_cmd'] += %s\n", python(" "+strings.Join(c.install, " ")))
		// Another component's chroot must not start from one with these in it.
		b.WriteString("config_opts['plugin_conf']['root_cache_enable'] = False\n")
	}
	if c.results != "" {
		// The root's own configuration has one of these; which depends on its age.
		fmt.Fprintf(&b, "for _name in ('dnf.conf', 'yum.conf'):\n    if config_opts.get(_name):\n        config_opts[_name] += %s\n        break\n",
			python(resultsRepo(c.results)))
	}
	return b.String()
}

// resultsRepo is the repository of what the module has built so far. Without
// module_hotfixes dnf hides its packages, which carry a MODULARITYLABEL that no
// enabled stream lists; the priority makes them win over newer ones of the
// platform, as the finished module will.
func resultsRepo(dir string) string {
	return fmt.Sprintf(`

[module-results]
name=results of this module build
baseurl=%s
enabled=1
gpgcheck=0
skip_if_unavailable=False
module_hotfixes=1
priority=1
metadata_expire=0
`, fileurl.FromPath(dir))
}

// checkTemplates refuses text that mock would not take as it is: it renders every
// string of its configuration as a Jinja template, over and over until nothing
// changes, so that there is no way to quote one.
func checkTemplates(what, text string) error {
	for _, mark := range []string{"{{", "{%", "{#"} {
		if strings.Contains(text, mark) {
			return &modulebuild.InputError{Where: what, Msg: fmt.Sprintf("mock takes %q for the beginning of a template: write it otherwise (a macro can be %%{expand:…} of parts)", mark)}
		}
	}
	return nil
}

// reproducible makes two builds of the same source give the same packages.
var reproducible = []modulebuild.Macro{
	{Name: "_buildhost", Body: "localhost"},
	{Name: "source_date_epoch_from_changelog", Body: "0"},
	{Name: "use_source_date_epoch_as_buildtime", Body: "1"},
	{Name: "clamp_mtime_to_source_date_epoch", Body: "1"},
}

// python writes a string literal of Python.
func python(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
