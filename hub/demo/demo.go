// Package demo is the whole product on one machine in one command: a hub with a
// throw-away store, a made-up fleet in which things go wrong, this machine as a
// real host, and a receiver that checks what it is told.
//
// It is not for load or for tests of the rules; those have programs of their
// own. The idea to hold: except for starting the hub, everything goes the way
// that strangers go. Customers, hosts and the route are made through the admin
// API, reports come over HTTP from the agent's own uplink, and the receiver
// trusts nothing but the signature.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"felhom.eu/hub/command"
	"felhom.eu/hub/config"
	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// The demo's thresholds: a silent host is down before one loses interest.
const (
	reportEvery  = 2 * time.Second
	staleSeconds = 10
	downSeconds  = 20
	graceSeconds = 5
	groupSeconds = 2

	redrawEvery = time.Second
	linkEvery   = 5 * time.Minute // a sign-in link lives for ten
)

// Hub is a running hub.
type Hub interface {
	URL() string          // of everything it serves
	LoginLink() string    // signs a browser in, once
	Failed() <-chan error // says why the hub cannot go on
	Stop() error          // drains, and blocks until it is done
}

// Options say how to run.
type Options struct {
	For      time.Duration // 0: until the context ends
	Listen   string        // host:port on loopback; port 0 is a free one
	Out, Err io.Writer     // a live table on a terminal, else a line an event; remarks
	Start    func(config.Config) (Hub, error)
}

// Run runs the demo until the context ends or o.For is over, and leaves nothing
// behind. It fails when the hub does, or when a notification arrived that the
// hub had not signed.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "felhom-demo-")
	if err != nil {
		return fmt.Errorf("make the demo's store: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := configuration(dir, o.Listen)
	hub, err := o.Start(cfg)
	if err != nil {
		return fmt.Errorf("start the demo's hub: %w", err)
	}
	defer func() { err = errors.Join(err, hub.Stop()) }()
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	err = play(ctx, o, hub, cfg.GlobalKey)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // that is how it ends
	}
	return err
}

// configuration is a hub that forgets everything and is impatient.
func configuration(dir, listen string) config.Config {
	c := config.Default()
	c.Listen = listen
	c.DataDir = dir
	c.GlobalKey = messages.Secret(hex.EncodeToString(random(32)))
	c.PollIntervalSeconds = 60 // the least that agents accept; the demo's keep their own pace
	c.StaleSeconds, c.DownSeconds = staleSeconds, downSeconds
	c.ResumeGraceSeconds = graceSeconds
	c.GroupWaitSeconds = groupSeconds
	c.AllowPrivateRoutes = true // the receiver is on loopback
	c.LogLevel = "error"
	return c
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// play makes the fleet and the receiver, and shows them until ctx ends.
func play(ctx context.Context, o Options, hub Hub, key messages.Secret) error {
	client, err := command.NewClient(hub.URL(), key, "")
	if err != nil {
		return err
	}
	receiver, err := listen()
	if err != nil {
		return err
	}
	defer receiver.close()
	if _, err := client.AddRoute(ctx, receiver.route()); err != nil {
		return fmt.Errorf("add the demo's route: %w", err)
	}
	out := terminal.New(o.Out, o.Err)
	stop := out.Spin("minting hosts")
	fleet, err := mint(ctx, client, hub.URL())
	stop()
	if err != nil {
		return err
	}
	defer fleet.start(ctx)()
	s := newShow(out, hub, client, fleet, receiver)
	return errors.Join(s.run(ctx), receiver.verdict())
}
