package yamlx

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// convert copies the parser's node into ours, counting nodes and depth, and
// refuses what module metadata has no use for: aliases, tags of other types,
// keys that are not text, and keys that come twice.
func (p *parser) convert(from *yaml.Node, to *Node, depth int) error {
	line, column := from.Line+p.line-1, from.Column
	if p.nodes++; p.nodes > p.limits.Nodes {
		return p.tooMany(line)
	}
	if from.Kind == yaml.AliasNode {
		return p.fail(line, column, "found the alias *%.60s; write out what it stands for", from.Value)
	}
	if err := p.checkTag(from); err != nil {
		return err
	}
	*to = Node{Line: line, Column: column}
	if from.Kind == yaml.ScalarNode {
		to.Kind, to.Style, to.Text = Scalar, scalarStyle(from.Style), from.Value
		return nil
	}
	if depth++; depth > p.limits.Depth {
		return p.fail(line, column, "nested more than %d deep", p.limits.Depth)
	}
	to.Kind = Sequence
	if from.Style&yaml.FlowStyle != 0 {
		to.Style = Flow
	}
	to.Content = make([]Node, len(from.Content))
	if from.Kind == yaml.MappingNode {
		to.Kind = Mapping
		if err := p.checkKeys(from); err != nil {
			return err
		}
	}
	for i, c := range from.Content {
		if err := p.convert(c, &to.Content[i], depth); err != nil {
			return err
		}
	}
	return nil
}

// checkTag lets through the types that plain YAML has anyway.
func (p *parser) checkTag(n *yaml.Node) error {
	if n.Style&yaml.TaggedStyle == 0 {
		return nil
	}
	switch n.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!map", "!!seq":
		return nil
	}
	return p.fail(n.Line+p.line-1, n.Column, "found the tag %.60q; remove it", n.Tag)
}

func (p *parser) checkKeys(n *yaml.Node) error {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		line := k.Line + p.line - 1
		switch {
		case k.Kind == yaml.AliasNode: // convert refuses it
			continue
		case k.Kind != yaml.ScalarNode:
			return p.fail(line, k.Column, "found a list or a mapping as a key; keys are text")
		case len(k.Value) > maxKey:
			return p.fail(line, k.Column, "found a key of %d bytes; %d is the limit", len(k.Value), maxKey)
		}
		if first, ok := seen[k.Value]; ok {
			return p.fail(line, k.Column, "key %s stands here a second time, first on line %d; remove one of them", quoteShort(k.Value), first)
		}
		seen[k.Value] = line
	}
	return nil
}

func quoteShort(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "..."
	}
	return strconv.Quote(s)
}

func scalarStyle(s yaml.Style) Style {
	switch {
	case s&yaml.DoubleQuotedStyle != 0:
		return DoubleQuoted
	case s&yaml.SingleQuotedStyle != 0:
		return SingleQuoted
	case s&yaml.LiteralStyle != 0:
		return Literal
	case s&yaml.FoldedStyle != 0:
		return Folded
	}
	return Plain
}
