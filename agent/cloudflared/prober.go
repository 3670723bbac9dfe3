// Package cloudflared tells how the Cloudflare tunnel of this machine is: what
// systemd says of its unit, and while that is active, whether the tunnel has a
// connection to Cloudflare. systemd alone does not know: the unit turns active
// with its first connection and stays so when the last one is gone.
package cloudflared

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"felhom.eu/messages"
)

// What a Tunnel's status can be besides systemd's ActiveState and
// messages.TunnelUnknown.
const (
	StatusNotInstalled = "not_installed" // there is no such unit
	StatusDegraded     = "degraded"      // the unit is active and no connection is
)

const (
	showTimeout  = 5 * time.Second // systemctl
	readyTimeout = time.Second     // each port; they are on loopback
	maxAnswer    = 64 << 10        // bytes of an answer that are read
	maxState     = 32              // bytes of an ActiveState; they are words as "deactivating"
)

// ports are cloudflared's own choice for its metrics: the first free one, then
// a random one (cloudflared, metrics/metrics.go).
var ports = []int{20241, 20242, 20243, 20244, 20245}

// Prober asks systemd and cloudflared. Its zero value is ready for use, and so
// by several goroutines.
type Prober struct {
	// ReadyURL is where cloudflared answers /ready when it was told by
	// --metrics; empty tries its usual ports on 127.0.0.1.
	ReadyURL string
	// Run runs a command and returns its standard output; nil runs it. It must
	// end with ctx.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)

	readyURLs []string // instead of the usual ports, in tests
}

// Probe returns within 10 s, whatever hangs. What cannot be found out is
// messages.TunnelUnknown; it never fails.
func (p *Prober) Probe(ctx context.Context) messages.Tunnel {
	return messages.Tunnel{Status: p.status(ctx)}
}

func (p *Prober) status(ctx context.Context) string {
	load, active := p.unit(ctx)
	switch {
	case active == "":
		return messages.TunnelUnknown
	case load == "not-found":
		return StatusNotInstalled
	case active == "active" && p.disconnected(ctx):
		return StatusDegraded
	}
	return active
}

// unit is the unit's LoadState and ActiveState; both are empty when systemd
// does not say, or not in a plain word. The exit status says nothing: show ends with 0 for a unit that
// does not exist, and is-active with 3 or 4 by systemd's version.
func (p *Prober) unit(ctx context.Context) (load, active string) {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	run := p.Run
	if run == nil {
		run = runCommand
	}
	out, err := run(ctx, "systemctl", "show", "cloudflared", "-p", "LoadState,ActiveState")
	if err != nil {
		return "", ""
	}
	for line := range bytes.Lines(out) { // in any order
		key, value, _ := strings.Cut(string(bytes.TrimSpace(line)), "=")
		switch key {
		case "LoadState":
			load = value
		case "ActiveState":
			active = value
		}
	}
	if strings.ContainsFunc(active, func(r rune) bool { return r < 'a' || r > 'z' }) || len(active) > maxState {
		return "", ""
	}
	return load, active
}

func runCommand(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second // a child that keeps the pipe must not keep us
	return cmd.Output()
}

// disconnected reports whether a cloudflared that answers has no connection.
// One that does not answer is believed: its metrics may be anywhere. Several
// connectors take several ports; one of them without a connection is enough.
func (p *Prober) disconnected(ctx context.Context) bool {
	for _, url := range p.urls() {
		if n, ok := connections(ctx, url); ok && n == 0 {
			return true
		}
	}
	return false
}

func (p *Prober) urls() []string {
	switch {
	case p.ReadyURL != "":
		return []string{p.ReadyURL}
	case p.readyURLs != nil:
		return p.readyURLs
	}
	urls := make([]string, len(ports))
	for i, port := range ports {
		urls[i] = fmt.Sprintf("http://127.0.0.1:%d/ready", port)
	}
	return urls
}

// client keeps no connection, uses no proxy and goes nowhere else.
var client = &http.Client{
	Timeout:       readyTimeout,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// connections is what /ready says; ok is false when something else answers, or
// nothing. Without a connection the status is 503.
func connections(ctx context.Context, url string) (n uint, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, false
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	return readyConnections(resp.Body)
}

func readyConnections(body io.Reader) (n uint, ok bool) {
	var ready struct {
		Connections *uint `json:"readyConnections"`
	}
	err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&ready)
	if err != nil || ready.Connections == nil {
		return 0, false
	}
	return *ready.Connections, true
}
