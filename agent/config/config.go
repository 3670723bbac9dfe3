// Package config reads what an operator wants of the agent: a JSON file, then
// FELHOM_AGENT_<BLOCK>_<KEY> of the environment over it. Either is enough. It
// checks everything before anything starts, and only what the mode needs: to
// try the Proxmox side, no hub is needed.
//
// Secrets may stand in the file, in the environment, or best in files of their
// own (api_key_file, token_secret_file).
package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"felhom.eu/messages"
)

// Config is the agent's configuration. The zero value is invalid: start from
// Default.
type Config struct {
	Source      string      `json:"source"`    // SourceProxmox, SourcePBS, SourceLocal or SourceSimulated
	StateDir    string      `json:"state_dir"` // where a run writes down how it ends, if there is such a directory
	Proxmox     Proxmox     `json:"proxmox"`
	Collections Collections `json:"collections"`
	PBS         []PBS       `json:"pbs"` // for SourceProxmox and SourcePBS
	Cloudflared Cloudflared `json:"cloudflared"`
	Hub         Hub         `json:"hub"`
	Authz       Authz       `json:"authz"`
	Simulated   Simulated   `json:"simulated"`
}

// What a report is read from.
const (
	SourceProxmox   = "proxmox"   // the API of the Proxmox VE node
	SourcePBS       = "pbs"       // this Linux machine, and the backup servers that it or others are
	SourceLocal     = "local"     // this Linux machine, without Proxmox
	SourceSimulated = "simulated" // a made-up host, for drills
)

// Proxmox says which node to read, and with which token.
type Proxmox struct {
	URL             string          `json:"url"`               // of pveproxy
	Node            string          `json:"node"`              // the cluster's name for it; "": found out
	TokenID         string          `json:"token_id"`          // user@realm!name
	TokenSecret     messages.Secret `json:"token_secret"`      // or token_secret_file
	TokenSecretFile string          `json:"token_secret_file"` // its first line is the secret
	CAFile          string          `json:"ca_file"`           // "": the system's roots
	Fingerprint     string          `json:"fingerprint"`       // SHA-256 of the certificate; "": not pinned
	ServerName      string          `json:"server_name"`       // in the certificate, when it is not the URL's host
}

// Collections says what is read of a Proxmox node beside itself and its guests.
type Collections struct {
	// PeriodSeconds is how often disks, ZFS pools, backup jobs and the contents of
	// backup storages are read; reports in between repeat them.
	PeriodSeconds int `json:"period_seconds"`
	// ScratchVMIDs is the range, FIRST-LAST, of guests that are restored for a
	// test: a restore into it is a restore test. "": none.
	ScratchVMIDs string `json:"scratch_vmids"`
	// RestoreResultsDir holds what the operator's script says of test restores
	// (package agent/restore has the format). "": none.
	RestoreResultsDir string `json:"restore_results_dir"`
}

// Cloudflared says where the tunnel's state is found, beside systemd.
type Cloudflared struct {
	ReadyURL string `json:"ready_url"` // of cloudflared's /ready; "": its usual ports
}

// Hub says where reports go, and who is reporting.
type Hub struct {
	URL            string          `json:"url"`
	HostID         string          `json:"host_id"`
	APIKey         messages.Secret `json:"api_key"`         // or api_key_file
	APIKeyFile     string          `json:"api_key_file"`    // its first line is the key
	PollSeconds    int             `json:"poll_seconds"`    // until the hub says otherwise
	TimeoutSeconds int             `json:"timeout_seconds"` // of one request
	CAFile         string          `json:"ca_file"`         // "": the system's roots
}

// Simulated says which host is made up, when the source is SourceSimulated.
type Simulated struct {
	Seed   int    `json:"seed"`
	Preset string `json:"preset"` // how it misbehaves
}

// Authz says what the hub may have this host do. This version only reports:
// Operations must stay empty, so that nothing is allowed by a file that was
// written before it could be.
type Authz struct {
	Operations []string `json:"operations"`
}

// Bounds and defaults, in seconds.
const (
	minPollSeconds    = 60 // what a hub may ask for, too
	maxPollSeconds    = 3600
	maxTimeoutSeconds = 300

	minPeriodSeconds = 600 // reading SMART wakes disks
	maxPeriodSeconds = 86400
)

// Default is the configuration of an agent that was told nothing: on a Proxmox
// node, it lacks a token and a hub.
func Default() Config {
	return Config{
		Source:      SourceProxmox,
		StateDir:    "/var/lib/felhom-agent",
		Proxmox:     Proxmox{URL: "https://localhost:8006"},
		Collections: Collections{PeriodSeconds: 3600},
		Hub:         Hub{PollSeconds: 900, TimeoutSeconds: 30},
		Simulated:   Simulated{Seed: 1, Preset: "healthy"},
	}
}

// Poll is PollSeconds as a duration.
func (h *Hub) Poll() time.Duration { return time.Duration(h.PollSeconds) * time.Second }

// Timeout is TimeoutSeconds as a duration.
func (h *Hub) Timeout() time.Duration { return time.Duration(h.TimeoutSeconds) * time.Second }

// Period is PeriodSeconds as a duration.
func (x *Collections) Period() time.Duration { return time.Duration(x.PeriodSeconds) * time.Second }

// Scratch is the range of ScratchVMIDs; zeros when it is empty. The error says
// what it should be.
func (x *Collections) Scratch() (first, last messages.VMID, err error) {
	if x.ScratchVMIDs == "" {
		return 0, 0, nil
	}
	from, to, _ := strings.Cut(x.ScratchVMIDs, "-")
	a, err1 := strconv.ParseUint(strings.TrimSpace(from), 10, 32)
	b, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 32)
	if err1 != nil || err2 != nil || a < messages.MinVMID || b > messages.MaxVMID || a > b {
		return 0, 0, fmt.Errorf("%.40q; want FIRST-LAST of %d to %d, like 900-999", x.ScratchVMIDs, messages.MinVMID, messages.MaxVMID)
	}
	return messages.VMID(a), messages.VMID(b), nil
}

// Redacted is a copy without secrets, fit to be shown.
func (c Config) Redacted() Config {
	c.Hub.APIKey = messages.Secret(c.Hub.APIKey.String())
	c.Proxmox.TokenSecret = messages.Secret(c.Proxmox.TokenSecret.String())
	c.PBS = slices.Clone(c.PBS)
	for i := range c.PBS {
		c.PBS[i].TokenSecret = messages.Secret(c.PBS[i].TokenSecret.String())
	}
	return c
}
