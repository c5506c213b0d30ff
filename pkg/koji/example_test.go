package koji_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kojimod/kojimod/pkg/koji"
)

// A scratch build, waited for. A call whose reply is
// lost has had its effect: the task is looked for instead of being made again.
func Example() {
	ctx := context.Background()
	client, err := koji.New("https://koji.example.org/kojihub", koji.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	session, err := client.LoginPassword(ctx, "packager", os.Getenv("KOJI_PASSWORD"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer func() { _ = session.Logout(ctx) }()

	var task int64
	err = session.Call(ctx, "build", &task, "git+https://src.example.org/bash#1234567", "f40", map[string]any{"scratch": true})
	switch {
	case errors.Is(err, koji.ErrReplyLost):
		fmt.Fprintln(os.Stderr, "the build was started; see the list of tasks")
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return
	}
	done, err := session.WatchTask(ctx, task, koji.WatchOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(done.ID, done.State)
}
