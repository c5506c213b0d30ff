package kojitask

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/kojimod/kojimod/pkg/modulebuild"
	"github.com/kojimod/kojimod/pkg/modulemd"
	"github.com/kojimod/kojimod/pkg/repogen"
)

// An uploadDir is a directory on this machine and the files in it that the hub is
// to get, in the order in which they are made.
type uploadDir struct {
	Path  string
	Files []string
}

// makeRepodata makes, in the directory dir, what Koji calls the repodata of one
// architecture's repository: exactly the module's packages, source, debug and
// multilib packages too, at their places in Koji's tree, and the module's documents
// as the record "modules". There is no record "group", which Koji's own
// repositories have: module tags have no groups, and what is installed together a
// module says with profiles.
func makeRepodata(ctx context.Context, dir string, f *modulebuild.Finished, rpms map[modulemd.NEVRA]*builtRPM, at time.Time) (uploadDir, []string, error) {
	var modules bytes.Buffer
	if err := modulemd.Write(&modules, f.Defaults, f.Stream); err != nil {
		return uploadDir{}, nil, fmt.Errorf("writing the module's metadata: %w", err)
	}
	in := repogen.Input{Modules: modules.Bytes()}
	for _, pkg := range f.Packages {
		rpm, ok := rpms[pkg.NEVRA]
		if !ok {
			return uploadDir{}, nil, fmt.Errorf("the package %s is part of the module, and no build in its tag has it", pkg.NEVRA)
		}
		in.Packages = append(in.Packages, rpm.Repo)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return uploadDir{}, nil, err
	}
	result, err := repogen.Generate(ctx, dir, in, repogen.Options{Time: at})
	if err != nil {
		return uploadDir{}, nil, err
	}
	out := uploadDir{Path: filepath.Join(dir, path.Dir(result.Metadata[0]))}
	for _, name := range result.Metadata {
		out.Files = append(out.Files, path.Base(name))
	}
	return out, result.Warnings, nil
}
