package koji

import "context"

// A Tag is what Koji says about a tag.
type Tag struct {
	ID     int64   `xmlrpc:"id"`
	Name   string  `xmlrpc:"name"`
	Arches string  `xmlrpc:"arches"`  // separated by blanks; empty for none
	Perm   *string `xmlrpc:"perm"`    // the permission that tagging needs; nil for none
	PermID *int64  `xmlrpc:"perm_id"` // likewise
	Locked bool    `xmlrpc:"locked"`

	// Extra are the tag's own settings, not inherited ones.
	Extra map[string]any `xmlrpc:"extra"`
}

// Tag returns a tag as it was at an event, 0 for now; the error is ErrNotFound if
// there is none.
func (s *Session) Tag(ctx context.Context, name string, event int64) (Tag, error) {
	return lookup[Tag](ctx, s, "getTag", name, Named{"event": eventOf(event)})
}

// eventOf returns what Koji takes for an event: nil stands for now.
func eventOf(event int64) any {
	if event == 0 {
		return nil
	}
	return event
}

// A BuildTarget is what Koji says about a build target.
type BuildTarget struct {
	ID           int64  `xmlrpc:"id"`
	Name         string `xmlrpc:"name"`
	BuildTag     int64  `xmlrpc:"build_tag"`
	BuildTagName string `xmlrpc:"build_tag_name"`
	DestTag      int64  `xmlrpc:"dest_tag"`
	DestTagName  string `xmlrpc:"dest_tag_name"`
}

// BuildTarget returns a build target; the error is ErrNotFound if there is none.
func (s *Session) BuildTarget(ctx context.Context, name string) (BuildTarget, error) {
	return lookup[BuildTarget](ctx, s, "getBuildTarget", name)
}

// A TaggedQuery says what of a tag to list. The zero value lists all that the tag
// itself has now.
type TaggedQuery struct {
	Event   int64  // as of this event; 0 for now
	Inherit bool   // with what is inherited from other tags
	Latest  bool   // of each package the latest build only
	Package string // builds of this package only; "" for all
	Owner   string // builds of this user only; "" for all
	Type    string // builds of this type only: "module", "image", …; "" for all

	// Of ListTaggedRPMs only.
	Arches     []string // RPMs of these architectures; empty for all
	Signatures bool     // one entry for each signature of an RPM
}

func (q TaggedQuery) named() Named {
	n := Named{"event": eventOf(q.Event), "inherit": q.Inherit, "latest": q.Latest}
	for name, v := range map[string]string{"package": q.Package, "owner": q.Owner, "type": q.Type} {
		if v != "" {
			n[name] = v
		}
	}
	return n
}

// ListTagged returns the builds in a tag, the most recently tagged first.
func (s *Session) ListTagged(ctx context.Context, tag string, q TaggedQuery) ([]Build, error) {
	var builds []Build
	err := s.Call(ctx, "listTagged", &builds, tag, q.named())
	return builds, err
}

// ListTaggedRPMs returns the RPMs in a tag and the builds that they belong to.
func (s *Session) ListTaggedRPMs(ctx context.Context, tag string, q TaggedQuery) ([]RPM, []Build, error) {
	named := q.named()
	named["rpmsigs"] = q.Signatures
	if len(q.Arches) > 0 {
		named["arch"] = q.Arches
	}
	var reply []any
	var rpms []RPM
	var builds []Build
	if err := s.Call(ctx, "listTaggedRPMS", &reply, tag, named); err != nil {
		return nil, nil, err
	}
	if len(reply) != 2 {
		return nil, nil, badReply("listTaggedRPMS", "%d lists instead of 2", len(reply))
	}
	if err := put("listTaggedRPMS", &rpms, reply[0]); err != nil {
		return nil, nil, err
	}
	if err := put("listTaggedRPMS", &builds, reply[1]); err != nil {
		return nil, nil, err
	}
	return rpms, builds, nil
}
