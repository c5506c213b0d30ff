package kojitest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/internal/rpmfile"
)

// An rpm is a package of a build; its file is in Koji's place below the topdir.
type rpm struct {
	id                           int64
	build                        *build
	name, version, release, arch string
	epoch                        *int64
	size, buildtime              int64
	payloadhash                  string
	buildroot                    any
	path                         string
}

func (r *rpm) common() map[string]any {
	return map[string]any{
		"id": r.id, "name": r.name, "version": r.version, "release": r.release, "arch": r.arch, "epoch": deref(r.epoch), "draft": false,
		"payloadhash": r.payloadhash, "size": r.size, "buildtime": r.buildtime, "buildroot_id": r.buildroot, "build_id": r.build.id,
		"metadata_only": false,
	}
}

func (r *rpm) info() map[string]any {
	m := r.common()
	m["nvr"], m["external_repo_id"], m["external_repo_name"], m["extra"] = r.name+"-"+r.version+"-"+r.release, 0, "INTERNAL", nil
	return m
}

// readRPM reads what the hub keeps of a package.
func readRPM(data []byte) (*rpm, error) {
	p, err := rpmfile.Read(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	n := p.NEVRA()
	r := &rpm{name: n.Name, version: n.Version, release: n.Release, arch: n.Arch, size: int64(len(data))}
	if e, ok := p.Uint64(rpmfile.TagEpoch); ok {
		r.epoch = ptr(int64(e))
	}
	if t, ok := p.Uint64(rpmfile.TagBuildTime); ok {
		r.buildtime = int64(t)
	}
	r.payloadhash = hex.EncodeToString(p.Signature.Bytes(rpmfile.SigTagMD5))
	return r, nil
}

// importRPMs puts packages into a build, and its directory.
func (c *call) importRPMs(b *build, files [][]byte) error {
	for _, data := range files {
		r, err := readRPM(data)
		if err != nil {
			return fmt.Errorf("importing a package of %s: %w", b.nvr(), err)
		}
		r.id, r.build = c.h.state.next("rpm"), b
		if b.taskID != 0 {
			r.buildroot = b.taskID // any number will do: nothing tells what was in it
		}
		dir := filepath.Join(c.h.Topdir, "packages", b.name, b.version, b.release, r.arch)
		r.path = filepath.Join(dir, fmt.Sprintf("%s-%s-%s.%s.rpm", r.name, r.version, r.release, r.arch))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(r.path, data, 0o644); err != nil {
			return err
		}
		c.h.state.rpms = append(c.h.state.rpms, r)
	}
	return nil
}

// ImportBuild makes a finished build of packages, one of which is the source
// package that names it, and puts it into tags. It returns the build's id.
func (h *Hub) ImportBuild(rpms [][]byte, tags ...string) (id int64) {
	h.setUp(func(c *call) error {
		b, err := c.importBuild(rpms, c.user, 0, "")
		if err != nil {
			return err
		}
		id = b.id
		for _, name := range tags {
			t, err := c.needTag(name, 0)
			if err != nil {
				return err
			}
			if err := c.tagBuild(t, b, c.user, false); err != nil {
				return err
			}
		}
		return nil
	})
	return id
}

// importBuild makes a build of packages.
func (c *call) importBuild(files [][]byte, owner *user, task int64, source string) (*build, error) {
	src, err := sourceOf(files)
	if err != nil {
		return nil, err
	}
	b, err := c.recordBuild(src, owner, task, source, buildComplete)
	if err != nil {
		return nil, err
	}
	return b, c.importRPMs(b, files)
}

// sourceOf returns the source package, once all packages are found to be good.
func sourceOf(files [][]byte) (src *rpm, err error) {
	for _, data := range files {
		r, err := readRPM(data)
		if err != nil {
			return nil, err
		}
		if r.arch == "src" {
			src = r
		}
	}
	if src == nil {
		return nil, fault(errBuild, "there is no source package among the %d built", len(files))
	}
	return src, nil
}

// recordBuild makes the record of a build that has ended, or takes over that of one
// which has failed before (recycle_build).
func (c *call) recordBuild(src *rpm, owner *user, task int64, source string, state int) (*build, error) {
	b := &build{name: src.name, version: src.version, release: src.release, epoch: src.epoch, state: state, owner: owner, btype: "rpm",
		taskID: task, complete: now()}
	if source != "" && !strings.Contains(source, "://") {
		source = fmt.Sprintf("%s-%s-%s.src.rpm", src.name, src.version, src.release)
	}
	if source != "" {
		b.source, b.extra = &source, map[string]any{"source": map[string]any{"original_url": source}}
	}
	if task != 0 {
		b.started = now()
	}
	old := c.h.state.build(b.nvr())
	if old == nil || old.state != buildFailed && old.state != buildCanceled {
		return c.newBuild(b)
	}
	b.id, b.pkg, b.event, b.made = old.id, old.pkg, c.event(), now()
	*old = *b
	c.noteBuild(old)
	return old, nil
}

func rpmMethods() map[string]method {
	return map[string]method{
		"listRPMs":        handle(0, (*call).listRPMs),
		"listBuildRPMs":   handle(1, (*call).listBuildRPMs),
		"getRPMChecksums": handle(1, (*call).getRPMChecksums),
	}
}

type listRPMsParams struct {
	Build      *int64    `xmlrpc:"buildID"`
	Buildroot  any       `xmlrpc:"buildrootID"`
	Image      any       `xmlrpc:"imageID"`
	Components any       `xmlrpc:"componentBuildrootID"`
	Host       any       `xmlrpc:"hostID"`
	Arches     any       `xmlrpc:"arches"`
	Query      queryOpts `xmlrpc:"queryOpts"`
}

func (c *call) listRPMs(p listRPMsParams) (any, error) {
	if p.Buildroot != nil || p.Image != nil || p.Components != nil || p.Host != nil {
		return nil, fault(errParameter, "this hub lists packages by build and architecture only")
	}
	list := []any{}
	for _, r := range c.h.state.rpms {
		if p.Build != nil && *p.Build != r.build.id || !isArch(p.Arches, r.arch) {
			continue
		}
		list = append(list, r.info())
	}
	return p.Query.apply(list)
}

type buildRPMsParams struct {
	Build any `xmlrpc:"build"`
}

func (c *call) listBuildRPMs(p buildRPMsParams) (any, error) {
	if id, ok := p.Build.(int64); ok {
		return c.listRPMs(listRPMsParams{Build: &id})
	}
	b, err := c.needBuild(p.Build)
	if err != nil {
		return nil, err
	}
	return c.listRPMs(listRPMsParams{Build: &b.id})
}

type checksumParams struct {
	RPM   int64    `xmlrpc:"rpm_id"`
	Types []string `xmlrpc:"checksum_types"`
	Cache bool     `xmlrpc:"cacheonly"`
}

// getRPMChecksums returns checksums of the unsigned copy by their types.
func (c *call) getRPMChecksums(p checksumParams) (any, error) {
	i := slices.IndexFunc(c.h.state.rpms, func(r *rpm) bool { return r.id == p.RPM })
	if i < 0 {
		return nil, fault(errGeneric, "No such rpm: %s", repr(map[string]any{"id": p.RPM}))
	}
	types := p.Types
	if len(types) == 0 {
		types = []string{"md5", "sha256"}
	}
	data, err := os.ReadFile(c.h.state.rpms[i].path)
	if err != nil {
		return nil, unspecified("%v", err)
	}
	sums := map[string]any{}
	for _, t := range types {
		var h hash.Hash
		switch t {
		case "md5":
			h = md5.New()
		case "sha1":
			h = sha1.New()
		case "sha256":
			h = sha256.New()
		default:
			return nil, fault(errGeneric, "Checksum_type %s isn't supported", t)
		}
		h.Write(data)
		sums[t] = hex.EncodeToString(h.Sum(nil))
	}
	return map[string]any{"": sums}, nil
}
