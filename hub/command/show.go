package command

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
)

// show prints a list: as JSON what the hub answered, else as a table. items and
// raw are the same list; only one of them is asked for.
func show[T any](a *app, items iter.Seq2[T, error], raw iter.Seq2[json.RawMessage, error], columns []terminal.Column[T], none string) error {
	if a.json {
		return a.out.Array(raw)
	}
	return terminal.Tabulate(a.out, columns, items, none)
}

// told asks the hub one question and hands its answer to print, or prints it
// as it came with --json. A hub that answers without a body is answered for
// with {}, so that whoever decodes the output finds a document.
func told[T any](ctx context.Context, a *app, s *session, method, path string, body any, print func(T) error) error {
	raw, err := call[json.RawMessage](ctx, s.Client, method, path, body)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	if a.json {
		return a.out.Document(raw)
	}
	var answer T
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("decode the hub's answer to %s %s: %w", method, path, err)
	}
	return print(answer)
}

// idArg wants exactly one argument, which parse accepts.
func idArg[T ~string](parse func(string) (T, error)) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one argument, got %d", len(args))
		}
		_, err := parse(args[0])
		return err
	}
}

// filter is a query of the pairs whose value is given.
func filter(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
