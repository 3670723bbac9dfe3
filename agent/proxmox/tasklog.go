package proxmox

import (
	"context"
	"net/url"
	"strconv"
)

// logPage is how many lines of a log are asked for at once. A task's log is
// read once, page by page, from where the last page ended: a finished one never
// changes, and one of a running task only grows.
const logPage = 5000

// taskLog is how far a task's log was read.
type taskLog struct {
	task task
	next int  // line to go on with, from 0
	done bool // nothing more will come
}

// read gives the next page to take, line by line. Without an error one
// question of the allowance is gone.
func (l *taskLog) read(ctx context.Context, x *round, take func(line string)) error {
	if !x.spend() {
		return errNoTurn
	}
	type row struct {
		Text string `json:"t"`
	}
	q := question{path: path("nodes", x.node, "tasks", l.task.UPID, "log"), slow: true, query: url.Values{
		"start": {strconv.Itoa(l.next)},
		"limit": {strconv.Itoa(logPage)},
	}}
	var bad []string
	rows, err := fetch[row](ctx, x, q, &bad)
	if err != nil {
		return err
	}
	if l.task.running() && len(rows) > 0 {
		rows = rows[:len(rows)-1] // half a line, or Proxmox's word for a log that is still empty
	}
	l.next += len(rows)
	l.done = len(rows) < logPage && !l.task.running()
	for _, r := range rows {
		take(r.Text)
	}
	return nil
}
