package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

const platformKey = "module.platform" // extra of a build tag: which platform it is

func (e *exam) checkTarget(ctx context.Context) {
	if e.Target == "" {
		e.add(Note, "target", "give --target", "without a build target its architectures, platform and destination are not looked at")
		return
	}
	target, err := e.User.BuildTarget(ctx, e.Target)
	if !e.found("target", err, "koji add-target NAME BUILD-TAG DESTINATION-TAG; koji list-targets shows them", "build target %s", e.Target) {
		return
	}
	e.target = &target
	var config struct {
		Arches string         `xmlrpc:"arches"`
		Extra  map[string]any `xmlrpc:"extra"`
	}
	if !e.call(ctx, "target", "getBuildConfig", &config, target.BuildTagName) {
		return
	}
	e.arches = slices.Compact(slices.Sorted(strings.FieldsSeq(config.Arches)))
	if len(e.arches) == 0 {
		e.fail("target", "koji edit-tag "+target.BuildTagName+" --arches 'x86_64 …'", "the build tag %s has no architectures", target.BuildTagName)
	} else {
		e.ok("target", "%s builds in %s for %s and puts modules into %s", target.Name, target.BuildTagName, strings.Join(e.arches, " "), target.DestTagName)
	}
	e.checkPlatform(target.BuildTagName, config.Extra[platformKey])
}

func (e *exam) checkPlatform(tag string, extra any) {
	set := "koji edit-tag " + tag + " -x " + platformKey + "=platform:STREAM"
	name, err := platformName(extra)
	switch {
	case err != nil:
		e.fail("platform", set, "extra %s of %s %v", platformKey, tag, err)
	case name == "":
		e.warn("platform", set, "%s does not say which platform it is (extra %s): documents that name none are refused", tag, platformKey)
	default:
		e.ok("platform", "%s is %s", tag, name)
	}
}

// platformName reads the extra: "platform:el9", or a struct of module (the same),
// disttag_marking and repository.
func platformName(extra any) (string, error) {
	name, text := extra.(string)
	if fields, ok := extra.(map[string]any); ok {
		text = true
		for key, v := range fields {
			s, ok := v.(string)
			if !ok {
				return "", fmt.Errorf("has no text in %s", key)
			}
			if key == "module" {
				name = s
			}
		}
	}
	if extra == nil {
		return "", nil
	}
	m, err := modulebuild.ParseModuleStream(name)
	if !text || err != nil || m.Name != modulebuild.PlatformModule {
		return "", fmt.Errorf("is %.80q, not platform:STREAM", fmt.Sprint(extra))
	}
	return name, nil
}

// checkDestination looks at the tag that modules go into. Their names need not be in
// its package list: the plugin adds them.
func (e *exam) checkDestination(ctx context.Context) {
	if e.target == nil {
		return
	}
	name := e.target.DestTagName
	tag, err := e.User.Tag(ctx, name, 0)
	if !e.found("destination", err, "koji edit-target "+e.target.Name+" --dest-tag TAG", "tag %s", name) {
		return
	}
	switch {
	case tag.Locked:
		e.fail("destination", "koji edit-tag "+name+" --unlock, or another target", "%s is locked: modules cannot be tagged into it", name)
	case tag.Perm != nil && *tag.Perm != "":
		remedy := "see that it is meant so; koji edit-tag " + name + " --no-perm opens it"
		if *tag.Perm != "admin" {
			remedy += ", koji grant-permission " + *tag.Perm + " USER adds one"
		}
		e.warn("destination", remedy,
			"only users with the permission %s build modules for %s", *tag.Perm, name)
	default:
		e.ok("destination", "%s takes modules", name)
	}
	e.ok("packages", "the plugin adds the name of a module to the package list of %s, unless it is blocked there (koji list-pkgs --tag %s --show-blocked)", name, name)
}
