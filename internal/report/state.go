package report

// A look is how a state is shown: a style class, and a symbol so that nothing
// depends on colour alone. None of the symbols has an emoji form.
type look struct{ class, symbol string }

func lookOf(state string) look {
	switch state {
	case "waiting":
		return look{"waiting", "○"}
	case "building":
		return look{"building", "▸"}
	case "built":
		return look{"built", "✓"}
	case "taken over":
		return look{"taken", "↺"}
	case "failed":
		return look{"failed", "✗"}
	case "skipped":
		return look{"skipped", "⊘"}
	case "not built":
		return look{"notbuilt", "–"}
	case "interrupted":
		return look{"interrupted", "!"}
	}
	return look{"other", "?"}
}

// states are the states of components in the order in which they are counted.
func states() []string {
	return []string{"built", "taken over", "failed", "building", "waiting", "not built", "skipped"}
}
