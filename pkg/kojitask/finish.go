package kojitask

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A requiredModule is one that the module was built with.
type requiredModule = modulebuild.Required

// A finishInput is all that a module's repository and build record are made from.
type finishInput struct {
	Plan     *modulebuild.Plan
	Outcomes []modulebuild.Outcome
	RPMs     []builtRPM // all in the module's tag
	Arches   []string   // of the module's tag
	Dir      string     // an empty directory to work in

	TaskID, BuildID int64
	Tag             string    // with the module's components
	Started, Ended  time.Time // of the build
	Owner           string    // whose build it is; empty: the hub's plugin says the task's owner

	// Source is where the document is from, as Koji has it in build records, and
	// Commit what that was in git; both may be empty. SourceText is the document as
	// it was read.
	Source, Commit string
	SourceText     []byte

	Requires  map[string]requiredModule
	BuildLog  string // path of the task's log; empty for none
	Generator string // the hub's name of the content generator; empty for the usual one
	Version   string // of this program; empty: as it was built
	Scratch   bool   // nothing is imported

	// DefaultProfiles are those that the document marks; empty: see
	// modulebuild.FinishOptions.
	DefaultProfiles []string
}

// A finishedModule is what the hub is asked to publish.
type finishedModule struct {
	Repodata map[string]uploadDir // by architecture, as in Arches
	Import   *uploadDir           // of the build record; nil for a scratch build
	Streams  map[string]*modulemd.Stream
	Install  string // what dnf is told to install
	Warnings []string
}

func (in *finishInput) options() modulebuild.FinishOptions {
	opts := modulebuild.FinishOptions{Commit: in.Commit, Requires: in.Requires, DefaultProfiles: in.DefaultProfiles}
	if in.Commit != "" {
		opts.SourceURL = in.Source
	}
	return opts
}

// finishModule makes the module's documents, the repodata of all architectures and
// the directory to import the build from. It asks nobody and reads no package.
// The same input gives the same repodata.
func finishModule(ctx context.Context, in finishInput) (*finishedModule, error) {
	if err := checkArches(in.Arches); err != nil {
		return nil, err
	}
	rpms := make(map[modulemd.NEVRA]*builtRPM, len(in.RPMs))
	for i := range in.RPMs {
		rpm := &in.RPMs[i]
		if other, ok := rpms[rpm.Package.NEVRA]; ok {
			return nil, fmt.Errorf("the builds %s and %s both have the package %s", other.Build.NVR, rpm.Build.NVR, rpm.Package.NEVRA)
		}
		rpms[rpm.Package.NEVRA] = rpm
	}
	type result struct {
		finished *modulebuild.Finished
		repodata uploadDir
		warnings []string
	}
	results := make([]result, len(in.Arches))
	err := inParallel(ctx, len(in.Arches), runtime.NumCPU(), func(ctx context.Context, i int) error {
		arch, r := in.Arches[i], &results[i]
		var err error
		if r.finished, err = in.Plan.FinishArch(in.Outcomes, arch, in.options()); err != nil {
			return err
		}
		r.warnings = slices.Clone(r.finished.Warnings)
		if len(r.finished.Packages) == 0 {
			r.warnings = append(r.warnings, "the module has no packages")
		}
		dir := filepath.Join(in.Dir, "repository", arch)
		var more []string
		if r.repodata, more, err = makeRepodata(ctx, dir, r.finished, rpms, in.Plan.Identity.Time); err != nil {
			return fmt.Errorf("making the repository for %s: %w", arch, err)
		}
		r.warnings = append(r.warnings, more...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &finishedModule{Repodata: map[string]uploadDir{}, Streams: map[string]*modulemd.Stream{}}
	finished := map[string]*modulebuild.Finished{}
	var warnings [][]string
	for i, arch := range in.Arches {
		finished[arch] = results[i].finished
		out.Repodata[arch], out.Streams[arch] = results[i].repodata, results[i].finished.Stream
		out.Install = results[i].finished.Installable() // the same for all
		warnings = append(warnings, results[i].warnings)
	}
	out.Warnings = mergeWarnings(in.Arches, warnings)
	if in.Scratch {
		return out, nil
	}
	record, err := writeImport(filepath.Join(in.Dir, "import"), &in, finished, rpms)
	if err != nil {
		return nil, err
	}
	out.Import = &record
	return out, nil
}

// archName is what an architecture may be called, since directories are called
// after it.
var archName = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

// checkArches refuses architectures that Koji would put into one directory.
func checkArches(arches []string) error {
	if len(arches) == 0 {
		return errors.New("the module's tag has no architectures")
	}
	dirs := map[string]string{}
	for _, arch := range arches {
		if !archName.MatchString(arch) || arch == "src" || arch == "noarch" {
			return fmt.Errorf("the module's tag has the architecture %.40q: there is no such thing", arch)
		}
		dir := repoArch(arch)
		if other, ok := dirs[dir]; ok {
			return fmt.Errorf("the module's tag has the architectures %s and %s, of which Koji makes one repository", other, arch)
		}
		dirs[dir] = arch
	}
	return nil
}

// repoArch is what Koji calls the directory of an architecture's repository
// (koji.canonArch).
func repoArch(arch string) string {
	has := func(prefix string) bool { return strings.HasPrefix(arch, prefix) }
	switch {
	case len(arch) == 4 && arch[0] == 'i' && arch[2:] == "86", arch == "athlon":
		return "i386"
	case arch == "ia32e":
		return "x86_64"
	case arch == "ppc64le":
		return arch
	case has("ppc64"):
		return "ppc64"
	case has("sparc64"):
		return "sparc64"
	case has("sparc"):
		return "sparc"
	case has("alpha"):
		return "alpha"
	case has("arm") && strings.Contains(arch[3:], "h"):
		return "armhfp"
	case has("arm"):
		return "arm"
	}
	return arch
}

// mergeWarnings tells once what holds for several architectures.
func mergeWarnings(arches []string, warnings [][]string) []string {
	var texts []string
	of := map[string][]string{}
	for i, list := range warnings {
		for _, text := range list {
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
			if !slices.Contains(of[text], arches[i]) {
				of[text] = append(of[text], arches[i])
			}
		}
	}
	for i, text := range texts {
		if len(of[text]) < len(arches) {
			texts[i] = text + " (on " + strings.Join(of[text], ", ") + ")"
		}
	}
	return texts
}
