package modulemd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kojimod/kojimod/internal/yamlx"
)

// maxDocuments is how many documents one file may have.
const maxDocuments = 100_000

// ErrUnsupported is what a [Problem] is (errors.Is) that stands for a document
// of a type or version that this package does not read.
var ErrUnsupported = errors.New("document type not supported")

// ReadFile reads a file of module metadata, uncompressed. See [Read].
func ReadFile(path string) ([]Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f, path)
}

// Read reads all documents of a file; filename is only for messages. It
// returns the good ones in the order of the file, and what is wrong with the
// others as [Problems]: all of it, up to 100 problems, each with file, line,
// column and document number. Any other error means that the rest of the file
// was not read.
//
// A document may have up to 4 MiB, 200,000 nodes and a depth of 100.
func Read(r io.Reader, filename string) ([]Document, error) {
	var (
		docs     []Document
		problems Problems
		reader   = yamlx.NewReader(r, filename, yamlx.Limits{})
	)
	for number := 1; ; number++ {
		tree, err := reader.Next()
		if err == io.EOF {
			return docs, problems.orNil()
		}
		var bad *yamlx.Error
		if errors.As(err, &bad) {
			problems = append(problems, &Problem{
				Pos: Position{bad.File, bad.Line, bad.Column}, Document: bad.Document, Msg: bad.Msg,
			})
		} else if err != nil {
			return docs, errors.Join(problems.orNil(), err)
		} else {
			doc, wrong := readDocument(tree, filename)
			problems = append(problems, wrong...)
			if len(wrong) == 0 {
				docs = append(docs, doc)
			}
		}
		if len(problems) >= maxProblems || number >= maxDocuments {
			return docs, errors.Join(problems.orNil(), fmt.Errorf("%s: gave up at document %d: at most %d problems and %d documents are read from one file",
				filename, number, maxProblems, maxDocuments))
		}
	}
}

// readDocument reads one document, whatever it is.
func readDocument(tree *yamlx.Document, filename string) (Document, Problems) {
	d := &decoder{file: filename, number: tree.Number}
	if tree.Root == nil {
		d.add(&yamlx.Node{Line: tree.Line}, nil, "the document is empty; write document, version and data, or remove the \"---\"")
		return nil, d.problems
	}
	var (
		kind    string
		version uint64
		body    *yamlx.Node
	)
	ok := d.fields(tree.Root, nil, table{
		"document": text(d, &kind),
		"version":  d.uint(&version),
		"data":     func(n *yamlx.Node, _ *path) { body = n },
	})
	if !ok || len(d.problems) > 0 {
		return nil, d.problems
	}
	switch root := (*path)(nil); {
	case kind == "":
		d.add(tree.Root, root.at("document"), "is missing; write for example \"document: modulemd-packager\"")
	case version == 0:
		d.add(tree.Root, root.at("version"), "is missing; write for example \"version: 3\"")
	case body == nil:
		d.add(tree.Root, data, "is missing")
	}
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	doc := d.document(kind, version, tree.Root, body)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	var wrong Problems
	if errors.As(doc.Validate(), &wrong) {
		for _, p := range wrong {
			p.Pos, p.Document = d.find(tree.Root, p.path), d.number
		}
	}
	return doc, wrong
}

// document reads the data of a document by its type and version.
func (d *decoder) document(kind string, version uint64, root, body *yamlx.Node) Document {
	pos := d.pos(root)
	switch {
	case version == 2 && (kind == "modulemd" || kind == "modulemd-stream"):
		s := &Stream{Pos: pos}
		d.stream(s, body)
		return s
	case version == 2 && kind == "modulemd-packager":
		p := &PackagerV2{Pos: pos}
		d.packagerV2(p, body)
		return p
	case version == 3 && kind == "modulemd-packager":
		p := &PackagerV3{Pos: pos}
		d.packagerV3(p, body)
		return p
	case version == 1 && kind == "modulemd-defaults":
		def := &Defaults{Pos: pos}
		d.defaults(def, body)
		return def
	}
	d.add(root.Get("document"), nil, "%s version %d is not read by this version of the program; it reads modulemd 2, modulemd-packager 2 and 3, and modulemd-defaults 1",
		quote(kind), version)
	d.problems[len(d.problems)-1].err = ErrUnsupported
	return nil
}
