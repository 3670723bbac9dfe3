package main

import (
	"context"
	"fmt"
	"time"

	"felhom.eu/bench/load"
)

// idle is what a connection costs that an agent keeps open between reports.
type idle struct {
	Connections int     `json:"connections"`
	Plain       perConn `json:"plain"`
	TLS         perConn `json:"tls"`
}

// perConn is what was added to a hub's memory, in bytes a connection.
type perConn struct {
	RSS  float64 `json:"rss_bytes"`
	Anon float64 `json:"rss_anon_bytes"`
}

// settle is how long a hub is left alone before its memory is read.
const settle = 3 * time.Second

// measureIdle holds connections to both hubs, whose hosts have all reported once.
func (b *bench) measureIdle(ctx context.Context) (*idle, error) {
	i := &idle{Connections: b.o.idle}
	var err error
	if i.Plain, err = hold(ctx, b.hub, b.o.idle); err != nil {
		return nil, err
	}
	if i.TLS, err = hold(ctx, b.secure, b.o.idle); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	fmt.Fprintf(b.progress, "%d idle connections: %.0f bytes of RSS each, %.0f with TLS\n", b.o.idle, i.Plain.RSS, i.TLS.RSS)
	return i, nil
}

func hold(ctx context.Context, s *server, connections int) (c perConn, err error) {
	if err := reportOnce(ctx, s); err != nil {
		return c, err
	}
	rest(ctx, settle)
	before, err := s.Memory()
	if err != nil {
		return c, err
	}
	release, err := load.Hold(ctx, s.addr, s.trust, s.hosts, connections)
	if err != nil {
		return c, err
	}
	defer release()
	rest(ctx, settle)
	after, err := s.Memory()
	n := float64(connections)
	return perConn{float64(after.RSS-before.RSS) / n, float64(after.Anon-before.Anon) / n}, err
}

// reportOnce lets every host report, over few connections.
func reportOnce(ctx context.Context, s *server) error {
	r, err := load.Run(ctx, load.Plan{Addr: s.addr, TLS: s.trust, Hosts: s.hosts, Connections: min(64, len(s.hosts)), Rounds: 1, For: 10 * time.Minute})
	if err == nil && r.Count != len(s.hosts) {
		err = fmt.Errorf("%d of %d hosts could report; last error: %v, answers %v", r.Count, len(s.hosts), r.LastErr, r.Statuses)
	}
	return err
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
