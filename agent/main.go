// Felhom-agent reports this host to a felhom-hub. See README.md, and
// configs/agent.example.json for what it can be told.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Version is set by the linker: -X main.Version=0.3.0.
var Version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}
