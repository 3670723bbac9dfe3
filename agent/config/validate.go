package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"felhom.eu/agent/endpoint"
	"felhom.eu/messages"
)

// Mode is what the agent was asked to do.
type Mode int

// The modes, and the blocks that each needs: Daemon and SelftestHub the source's
// and hub, SelftestProxmox the source's alone.
const (
	Daemon Mode = iota
	SelftestProxmox
	SelftestHub
)

// Validate checks everything that mode needs. The error has one line for each
// key to mend: the key, its value unless it is secret, and the remedy.
func (c *Config) Validate(mode Mode) error {
	var p problems
	sources := []string{SourceProxmox, SourcePBS, SourceLocal, SourceSimulated}
	p.check(slices.Contains(sources, c.Source), "source: %q is unknown; want one of %s", c.Source, strings.Join(sources, ", "))
	p.check(c.StateDir == "" || filepath.IsAbs(c.StateDir), "state_dir: %q; want the whole path, from /", c.StateDir)
	if c.Source == SourceProxmox {
		c.Proxmox.validate(&p)
		c.Collections.validate(&p)
	}
	c.validatePBS(&p)
	if c.Cloudflared.ReadyURL != "" {
		p.checkURL("cloudflared.ready_url", c.Cloudflared.ReadyURL)
	}
	if mode != SelftestProxmox {
		c.Hub.validate(&p)
	}
	p.check(len(c.Authz.Operations) == 0, "authz.operations: this version runs none; leave it empty")
	return errors.Join(p...)
}

func (x *Proxmox) validate(p *problems) {
	p.checkURL("proxmox.url", x.URL)
	user, name, ok := strings.Cut(x.TokenID, "!")
	p.check(ok && strings.Contains(user, "@") && name != "",
		"proxmox.token_id: %q; want user@realm!name, as `pveum user token add` prints it", x.TokenID)
	p.check(x.TokenSecret != "", "proxmox.token_secret: not set; put it into token_secret_file or %sPROXMOX_TOKEN_SECRET", EnvPrefix)
	p.check(x.Node == "" || !strings.ContainsAny(x.Node, "/. "), "proxmox.node: %q; want the node's name without its domain", x.Node)
}

func (x *Collections) validate(p *problems) {
	p.check(x.PeriodSeconds >= minPeriodSeconds && x.PeriodSeconds <= maxPeriodSeconds,
		"collections.period_seconds: %d is outside %d to %d", x.PeriodSeconds, minPeriodSeconds, maxPeriodSeconds)
	_, _, err := x.Scratch()
	p.check(err == nil, "collections.scratch_vmids: %w", err)
	p.check(x.RestoreResultsDir == "" || filepath.IsAbs(x.RestoreResultsDir),
		"collections.restore_results_dir: %q; want the whole path, from /", x.RestoreResultsDir)
}

func (x *Hub) validate(p *problems) {
	p.checkURL("hub.url", x.URL)
	if _, err := messages.ParseHostID(x.HostID); err != nil {
		p.check(false, "hub.host_id: %q; want the <customer_id>-<8 hex digits> that `felhom-hub host mint` printed", x.HostID)
	}
	if x.APIKey == "" {
		p.check(false, "hub.api_key: not set; put it into api_key_file or %sHUB_API_KEY", EnvPrefix)
	} else {
		p.check(messages.ValidKey(x.APIKey), "hub.api_key: has %d characters; want the 64 lower-case hex digits that `felhom-hub host mint` printed", len(x.APIKey))
	}
	p.check(x.PollSeconds >= minPollSeconds && x.PollSeconds <= maxPollSeconds,
		"hub.poll_seconds: %d is outside %d to %d", x.PollSeconds, minPollSeconds, maxPollSeconds)
	p.check(x.TimeoutSeconds >= 1 && x.TimeoutSeconds <= maxTimeoutSeconds,
		"hub.timeout_seconds: %d is outside 1 to %d", x.TimeoutSeconds, maxTimeoutSeconds)
}

// problems collects what is wrong, so that it is mended in one go.
type problems []error

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

func (p *problems) checkURL(key, value string) {
	if value == "" {
		p.check(false, "%s: not set; want https://<host>", key)
	} else if _, err := endpoint.Parse(value); err != nil {
		p.check(false, "%s: %w", key, err)
	}
}
