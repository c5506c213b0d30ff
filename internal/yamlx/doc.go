// Package yamlx reads YAML that nobody vouches for, and writes the YAML that
// module metadata is exchanged in.
//
// Reading gives one small tree per document, made of this package's own
// [Node]: scalars keep the text of the source and the style they were written
// in (1.10 stays "1.10", no stays "no"), and every node knows its line and
// column in the whole file. A file is cut into documents before any of it is
// parsed, so that one bad document leaves the others readable, and what one
// document may cost in bytes, nodes, depth and memory is bounded by [Limits].
//
//	r := yamlx.NewReader(file, "modules.yaml", yamlx.Limits{})
//	for {
//		doc, err := r.Next()
//		if err == io.EOF {
//			break
//		}
//		...
//	}
//
// Writing ([AppendDocument]) gives the bytes that libyaml's emitter would give
// for the same tree at its usual settings, which is the form that libmodulemd
// publishes.
//
// It is the only package that imports a YAML library.
package yamlx
