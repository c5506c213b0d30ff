// Package ctxio lets long reads end with their context.
package ctxio

import (
	"context"
	"io"
)

// Reader gives a reader of r whose Read fails with the context's error once the
// context has ended. A Read that is under way is not broken off.
func Reader(ctx context.Context, r io.Reader) io.Reader { return reader{ctx, r} }

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (c reader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
