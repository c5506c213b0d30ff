package modulebuild

// A Macro is an RPM macro definition.
type Macro struct {
	Name string // with parameters where it takes any: "dist", "demo(a:)"
	Body string // may hold newlines
}
