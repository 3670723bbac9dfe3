// Command felhom-hub watches a fleet of hosts: it takes their reports, notices
// who falls silent, and tells the right people.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"felhom.eu/hub/command"
)

// Version is set by the build: -ldflags "-X main.Version=…".
var Version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(command.Main(ctx, program(), os.Args[1:], command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
