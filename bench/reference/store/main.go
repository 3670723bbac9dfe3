// Command store is what a hub's storage could reach if nobody had to be asked
// or answered: one writer that makes batches of ready reports durable, one
// after the other. It measures one run and prints it as JSON in a line; then it
// waits to be killed, so that its memory can be read.
//
// "badger" writes the rows that the hub writes, with the options that the hub's
// storage has. "append" writes the bodies behind each other into a file.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/messages"
)

// commit makes one batch of bodies durable.
type commit func(bodies [][]byte) error

// Run is the line that is printed.
type Run struct {
	Reports    int     `json:"reports"`
	Seconds    float64 `json:"seconds"`
	P50Seconds float64 `json:"p50_seconds"` // of a commit
	P99Seconds float64 `json:"p99_seconds"`
}

func main() {
	kind := flag.String("kind", "badger", "badger or append")
	dir := flag.String("dir", ".", "write into this `folder`")
	batch := flag.Int("batch", 256, "reports in a commit")
	length := flag.Duration("for", 5*time.Second, "how long")
	flag.Parse()
	if err := run(*kind, *dir, *batch, *length); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
	// Not select {}: with no other goroutine that is a deadlock to the runtime.
	killed := make(chan os.Signal, 1)
	signal.Notify(killed, syscall.SIGTERM)
	<-killed
}

func run(kind, dir string, batch int, length time.Duration) error {
	var (
		c     commit
		store io.Closer
		err   error
	)
	switch kind {
	case "badger":
		c, store, err = openBadger(dir)
	case "append":
		c, store, err = openFile(filepath.Join(dir, "reports"))
	default:
		err = fmt.Errorf("no store is called %q; there are badger and append", kind)
	}
	if err != nil {
		return err
	}
	r, err := measure(c, batch, length)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// ready is how many bodies are rendered before the run; they repeat.
const ready = 2048

func measure(c commit, batch int, length time.Duration) (Run, error) {
	bodies := make([][]byte, ready)
	for i := range bodies {
		h := load.NewHost(i, messages.HostID(fmt.Sprintf("bench-%08x", i)), "")
		bodies[i] = load.Ack{Host: h, Sequence: 1000, At: 1_780_928_409}.Body()
	}
	var r Run
	var took load.Histogram
	batched := make([][]byte, batch)
	for begin := time.Now(); r.Seconds < length.Seconds(); r.Seconds = time.Since(begin).Seconds() {
		for i := range batched {
			batched[i] = bodies[(r.Reports+i)%ready]
		}
		start := time.Now()
		if err := c(batched); err != nil {
			return r, fmt.Errorf("commit: %w", err)
		}
		took.Add(time.Since(start))
		r.Reports += batch
	}
	r.P50Seconds, r.P99Seconds = took.Quantile(0.5).Seconds(), took.Quantile(0.99).Seconds()
	return r, nil
}

// openFile appends to a file.
func openFile(path string) (commit, io.Closer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	var all []byte
	return func(bodies [][]byte) error {
		all = all[:0]
		for _, b := range bodies {
			all = append(all, b...)
		}
		if _, err := f.Write(all); err != nil {
			return err
		}
		return syscall.Fdatasync(int(f.Fd()))
	}, f, nil
}
