// Package modulemd reads, validates and writes module metadata: the documents
// that say what a module stream is made of (modulemd-packager), what was built
// (modulemd, also called modulemd-stream) and which of its profiles are
// installed by default (modulemd-defaults). The forms are those of
// libmodulemd's specifications.
//
//	docs, err := modulemd.ReadFile("greeter.yaml")
//	// docs holds what could be read, err says what could not and where.
//	for _, doc := range docs {
//		switch d := doc.(type) {
//		case *modulemd.PackagerV3:
//			stream, defaults, err := d.ToStream("")
//			...
//		}
//	}
//	err = modulemd.Write(os.Stdout, docs...)
//
// Reading is strict where libmodulemd lets things pass that never do what
// their author meant: unknown keys, keys given twice. Text stays as it was
// written: the stream 1.10 is "1.10", never 1.1.
package modulemd
