// Command standin is a hub for testing the rigs themselves: the smallest thing
// that keeps a hub's promises to them, slowly (one journal, one sync a request,
// one lock). It reads the hub's environment variables.
//
// STANDIN_FAULT makes it break one promise, so that a test can see the rig
// notice: "forget" acknowledges every hundredth report without keeping it,
// "silent" tells nobody, "twice" tells every event in two deliveries,
// "unsigned" signs with another secret, "leak" logs keys.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run() error {
	h, err := open(os.Getenv("FELHOM_HUB_DATA_DIR"))
	if err != nil {
		return err
	}
	h.key = os.Getenv("FELHOM_HUB_GLOBAL_KEY")
	h.stale, h.down, h.grace = seconds("STALE_SECONDS"), seconds("DOWN_SECONDS"), seconds("RESUME_GRACE_SECONDS")
	h.fault = os.Getenv("STANDIN_FAULT")
	l, err := net.Listen("tcp4", os.Getenv("FELHOM_HUB_LISTEN"))
	if err != nil {
		return err
	}
	h.started = time.Now()
	go h.watch()
	go h.tell()
	go stopOnTerm()
	s := &http.Server{Handler: h.routes(), ReadTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	return s.Serve(l)
}

func stopOnTerm() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	<-c
	os.Exit(0) // everything acknowledged is synced
}

func seconds(name string) time.Duration {
	n, _ := strconv.Atoi(os.Getenv("FELHOM_HUB_" + name))
	return time.Duration(n) * time.Second
}
