// Package layout holds no code. Its tests hold what the tree promises to those
// who read and use it: which packages may know of which (imports_test.go), and
// that what pkg/* exports is made of its own and the standard library's types
// (exported_test.go).
package layout
