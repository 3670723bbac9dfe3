package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// server is a program under load, and the hosts that it knows.
type server struct {
	*rig.Process
	addr  string
	trust *tls.Config // nil: it speaks plain HTTP
	hosts []*load.Host
}

// servers are all programs under load, each a process of its own. All but the
// hub with TLS know the same hosts.
type servers struct {
	program          string // of the hubs
	store            string // program of the stores without a server
	dir              string
	hub, secure      *server
	echo             *server
	sqlite, sqliteUp *server // synchronous FULL and NORMAL
}

// startServers builds and starts everything that the options ask for.
func startServers(ctx context.Context, o options, dir string) (s *servers, err error) {
	s = &servers{dir: dir}
	defer func() {
		if err != nil {
			s.kill()
		}
	}()
	if s.program, err = rig.FindHub(ctx, o.hub, dir); err != nil {
		return nil, err
	}
	if s.hub, err = startHub(ctx, s.program, filepath.Join(dir, "plain"), o.hosts, nil); err != nil {
		return nil, err
	}
	cert, err := rig.NewCertificate(dir)
	if err != nil {
		return nil, err
	}
	if s.secure, err = startHub(ctx, s.program, filepath.Join(dir, "tls"), o.hosts, cert); err != nil {
		return nil, err
	}
	return s, s.startReferences(ctx)
}

// startHub starts a hub as it is delivered, but for the log and for keeping idle
// connections long enough to be measured.
func startHub(ctx context.Context, program, dir string, hosts int, cert *rig.Certificate) (*server, error) {
	settings := rig.Settings{"LOG_LEVEL": "warn", "POLL_INTERVAL_SECONDS": "60"}
	var trust *tls.Config
	if cert != nil {
		trust = cert.Trust
		for name, value := range cert.Settings() {
			settings[name] = value
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	h, err := rig.NewHub(program, dir, settings)
	if err != nil {
		return nil, err
	}
	if trust != nil {
		h.OverTLS(trust)
	}
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	fleet, err := rig.Fleet(ctx, &h.Admin, "bench", hosts)
	if err != nil {
		h.Kill()
		return nil, err
	}
	return &server{h.Process, h.Addr, trust, fleet}, nil
}

func (s *servers) startReferences(ctx context.Context) (err error) {
	if s.store, err = buildReference(ctx, "store", s.dir); err != nil {
		return err
	}
	if s.echo, err = s.startReference(ctx, "echo"); err != nil {
		return err
	}
	known := filepath.Join(s.dir, "hosts.txt")
	if err := os.WriteFile(known, hostLines(s.hub.hosts), 0o600); err != nil {
		return err
	}
	if s.sqlite, err = s.startSQLite(ctx, known, "FULL"); err != nil {
		return err
	}
	s.sqliteUp, err = s.startSQLite(ctx, known, "NORMAL")
	return err
}

func (s *servers) startSQLite(ctx context.Context, known, synchronous string) (*server, error) {
	dir := filepath.Join(s.dir, "sqlite-"+synchronous)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return s.startReference(ctx, "sqlite", "-dir", dir, "-hosts", known, "-synchronous", synchronous)
}

func buildReference(ctx context.Context, name, dir string) (string, error) {
	module, err := rig.BenchDir()
	if err != nil {
		return "", err
	}
	return rig.Build(ctx, module, "./reference/"+name, dir, "reference-"+name)
}

// startReference builds the reference called name and waits until it answers.
func (s *servers) startReference(ctx context.Context, name string, args ...string) (*server, error) {
	program, err := buildReference(ctx, name, s.dir)
	if err != nil {
		return nil, err
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := rig.Start(program, append([]string{"-addr", addr}, args...), nil, new(rig.Log))
	if err != nil {
		return nil, err
	}
	if err := waitListening(ctx, addr); err != nil {
		p.Kill()
		return nil, fmt.Errorf("start reference %s: %w", name, err)
	}
	return &server{Process: p, addr: addr, hosts: s.hub.hosts}, nil
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

// kill ends what runs; measuring is over and the stores are thrown away. It may
// be called again.
func (s *servers) kill() {
	for _, p := range []*server{s.hub, s.secure, s.echo, s.sqlite, s.sqliteUp} {
		if p != nil {
			p.Kill()
		}
	}
}
