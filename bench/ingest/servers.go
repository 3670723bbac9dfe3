package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// servers are the three programs under load, each a process of its own, that
// all know the same hosts.
type servers struct {
	hub                  *rig.Hub
	echo, sqlite         *rig.Process
	echoAddr, sqliteAddr string
	hosts                []*load.Host
}

// startServers builds and starts everything.
func startServers(ctx context.Context, o options, dir string) (s *servers, err error) {
	s = new(servers)
	defer func() {
		if err != nil {
			s.kill()
		}
	}()
	if err = s.startHub(ctx, o, dir); err != nil {
		return nil, err
	}
	if s.echo, s.echoAddr, err = startReference(ctx, "echo", dir); err != nil {
		return nil, err
	}
	known := filepath.Join(dir, "hosts.txt")
	if err = os.WriteFile(known, hostLines(s.hosts), 0o600); err != nil {
		return nil, err
	}
	s.sqlite, s.sqliteAddr, err = startReference(ctx, "sqlite", dir, "-dir", dir, "-hosts", known)
	return s, err
}

func (s *servers) startHub(ctx context.Context, o options, dir string) error {
	program, err := rig.FindHub(ctx, o.hub, dir)
	if err != nil {
		return err
	}
	if s.hub, err = rig.NewHub(program, dir, rig.Settings{"LOG_LEVEL": "warn"}); err != nil {
		return err
	}
	if _, err := s.hub.Start(ctx); err != nil {
		return err
	}
	s.hosts, err = rig.Fleet(ctx, &s.hub.Admin, "bench", o.hosts)
	return err
}

// startReference builds the reference called name and waits until it answers.
func startReference(ctx context.Context, name, dir string, args ...string) (*rig.Process, string, error) {
	module, err := rig.BenchDir()
	if err != nil {
		return nil, "", err
	}
	program, err := rig.Build(ctx, module, "./reference/"+name, dir, "reference-"+name)
	if err != nil {
		return nil, "", err
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	p, err := rig.Start(program, append([]string{"-addr", addr}, args...), nil, new(rig.Log))
	if err != nil {
		return nil, "", err
	}
	if err := waitListening(ctx, addr); err != nil {
		p.Kill()
		return nil, "", fmt.Errorf("start reference %s: %w", name, err)
	}
	return p, addr, nil
}

func waitListening(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return rig.Poll(ctx, 5*time.Millisecond, func() (bool, error) { return rig.Listening(addr), nil })
}

func hostLines(hosts []*load.Host) []byte {
	var b bytes.Buffer
	for _, h := range hosts {
		fmt.Fprintf(&b, "%s %s\n", h.ID, h.Key.Reveal())
	}
	return b.Bytes()
}

// kill ends what runs; measuring is over and the stores are thrown away.
func (s *servers) kill() {
	for _, p := range []*rig.Process{s.hubProcess(), s.echo, s.sqlite} {
		if p != nil {
			p.Kill()
		}
	}
}

func (s *servers) hubProcess() *rig.Process {
	if s.hub == nil {
		return nil
	}
	return s.hub.Process
}
