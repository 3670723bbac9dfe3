package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"felhom.eu/messages"
)

// errBroken is an answer of lines without its last.
var errBroken = errors.New("the hub's answer broke off")

// lines asks for work that the hub tells of while it is under way, and yields what it
// says, each with the text that it came in. It may take as long as it takes.
func lines[T any](ctx context.Context, c *Client, path string, body any) iter.Seq2[lineOf[T], error] {
	return func(yield func(lineOf[T], error) bool) {
		resp, err := c.send(ctx, http.MethodPost, path, nil, body)
		if err != nil {
			yield(lineOf[T]{}, err)
			return
		}
		defer resp.Body.Close()
		for d := json.NewDecoder(resp.Body); ; {
			var l lineOf[T]
			err := d.Decode(&l.raw)
			if err == nil {
				err = json.Unmarshal(l.raw, &l.value)
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("%w: %w", errBroken, err)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

type lineOf[T any] struct {
	value T
	raw   json.RawMessage
}

// failedLine is an error that came as a line.
func failedLine(e *messages.ErrorDetail) error {
	return fmt.Errorf("%s (%s)", e.Message, e.Code)
}
