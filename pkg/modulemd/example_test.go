package modulemd_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A packager's document becomes the stream document that gets built.
func Example() {
	docs, err := modulemd.Read(strings.NewReader(`
document: modulemd-packager
version: 3
data:
  name: greeter
  stream: 1.10
  summary: Greets
  description: Greets people.
  configurations:
  - context: A1
    platform: f40
  components:
    rpms:
      greeter: {rationale: The program., ref: 12e45678}
`), "greeter.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	stream, _, err := docs[0].(*modulemd.PackagerV3).ToStream("")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := modulemd.Write(os.Stdout, stream); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ---
	// document: modulemd
	// version: 2
	// data:
	//   name: greeter
	//   stream: "1.10"
	//   context: A1
	//   static_context: true
	//   summary: Greets
	//   description: >-
	//     Greets people.
	//   license:
	//     module:
	//     - MIT
	//   dependencies:
	//   - buildrequires:
	//       platform: [f40]
	//     requires:
	//       platform: [f40]
	//   components:
	//     rpms:
	//       greeter:
	//         rationale: The program.
	//         ref: "12e45678"
	// ...
}

// Problems name the place, and say what to do.
func ExampleRead_problems() {
	_, err := modulemd.Read(strings.NewReader(`---
document: modulemd-packager
version: 3
data:
  sumary: Greets
  components:
    rpms:
      ../greeter: {}
`), "greeter.yaml")
	fmt.Println(err)
	// Output:
	// greeter.yaml:5:3: document 1: data.sumary: unknown key; did you mean "summary"?
}
