// Package config reads what an operator wants of the hub: a JSON file, then
// FELHOM_HUB_<KEY> of the environment, then flags. It knows nothing of HTTP or
// storage; it checks everything before anything starts, so that a hub which
// starts is one that was meant.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"felhom.eu/messages"
)

// Config is the hub's configuration, one field a key. The zero value is
// invalid: start from Default.
type Config struct {
	Listen      string `json:"listen"`       // host:port of dashboard, admin and agent API
	AgentListen string `json:"agent_listen"` // host:port for agents only; "" for none
	TLSCertFile string `json:"tls_cert_file"`
	TLSKeyFile  string `json:"tls_key_file"`
	BehindProxy bool   `json:"behind_proxy"` // someone else ends TLS

	DataDir       string          `json:"data_dir"`
	GlobalKey     messages.Secret `json:"global_key"`
	GlobalKeyFile string          `json:"global_key_file"`

	PollIntervalSeconds int `json:"poll_interval_seconds"`
	StaleSeconds        int `json:"stale_seconds"`
	DownSeconds         int `json:"down_seconds"`
	ResumeGraceSeconds  int `json:"resume_grace_seconds"` // 0: poll interval + 60; see ResumeGrace
	RetentionDays       int `json:"retention_days"`
	GroupWaitSeconds    int `json:"group_wait_seconds"`

	AllowPrivateRoutes bool `json:"allow_private_routes"`
	MaxBodyBytes       int  `json:"max_body_bytes"`
	MaxConnsPerIP      int  `json:"max_conns_per_ip"` // 0: no limit

	WatchdogURL messages.Secret `json:"watchdog_url"` // may carry a token
	ExternalURL string          `json:"external_url"`

	LogLevel  string `json:"log_level"`
	LogFormat string `json:"log_format"` // "": console on a terminal, else json
}

// Default is the configuration of a hub that was told nothing.
func Default() Config {
	return Config{
		Listen:              "127.0.0.1:8080",
		DataDir:             "felhom-data",
		PollIntervalSeconds: 900,
		StaleSeconds:        1800,
		DownSeconds:         3600,
		RetentionDays:       30,
		GroupWaitSeconds:    30,
		MaxBodyBytes:        messages.MaxBodyBytes,
		MaxConnsPerIP:       4096, // a NAT's worth of agents, and a bound for one attacker
		LogLevel:            "info",
	}
}

// ResumeGrace is for how many seconds no host goes stale after the hub could
// not listen: the configured figure, or one poll interval and a minute.
func (c *Config) ResumeGrace() int {
	if c.ResumeGraceSeconds > 0 {
		return c.ResumeGraceSeconds
	}
	return c.PollIntervalSeconds + 60
}

// ConnsPerIP is the limit to hold: max_conns_per_ip, or none behind a proxy,
// where everyone comes from one address.
func (c *Config) ConnsPerIP() int {
	if c.BehindProxy {
		return 0
	}
	return c.MaxConnsPerIP
}

// TLS reports whether the hub ends TLS itself.
func (c *Config) TLS() bool { return c.TLSCertFile != "" }

// Key is one key of the configuration, for whoever makes flags of them.
type Key struct {
	Name  string // as in the file: "stale_seconds"
	Usage string // one line
}

// Keys lists every key in the order of the documentation.
func Keys() []Key {
	var c Config
	rows := c.rows()
	keys := make([]Key, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	return keys
}

// EnvPrefix begins the name of a key in the environment.
const EnvPrefix = "FELHOM_HUB_"

// Load reads the file at path (none when empty), lays the environment over it
// through lookup (os.LookupEnv; nil for none), then flags by key name, and
// validates the result. Unknown keys of the file and of flags are errors.
// Unknown variables are not: container platforms make up FELHOM_HUB_PORT and
// the like for a service of that name.
func Load(path string, lookup func(string) (string, bool), flags map[string]string) (Config, error) {
	c := Default()
	if err := c.readFile(path); err != nil {
		return Config{}, err
	}
	if err := c.overlay(lookup, flags); err != nil {
		return Config{}, err
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func (c *Config) readFile(path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := c.decode(b); err != nil {
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	return nil
}

func (c *Config) decode(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return plain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the closing brace")
	}
	return nil
}

// plain takes the package's name off a decoder's error, and the value, which
// may be a secret, out of it.
func plain(err error) error {
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		return fmt.Errorf("%s: want %s", te.Field, te.Type)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

func (c *Config) overlay(lookup func(string) (string, bool), flags map[string]string) error {
	known := make(map[string]bool)
	for _, r := range c.rows() {
		known[r.Name] = true
		if lookup != nil {
			name := EnvPrefix + strings.ToUpper(r.Name)
			if v, ok := lookup(name); ok {
				if err := r.set(v); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		if v, ok := flags[r.Name]; ok {
			if err := r.set(v); err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
		}
	}
	for name := range flags {
		if !known[name] {
			return fmt.Errorf("%s: unknown key", name)
		}
	}
	return nil
}

// row is a key and the way to set its field from text.
type row struct {
	Key
	set func(string) error
}

func (c *Config) rows() []row {
	return []row{
		{Key{"listen", "address of dashboard, admin and agent API"}, text(&c.Listen)},
		{Key{"agent_listen", "extra address that serves only agents"}, text(&c.AgentListen)},
		{Key{"tls_cert_file", "certificate chain, PEM; reloaded when it changes"}, text(&c.TLSCertFile)},
		{Key{"tls_key_file", "private key, PEM; reloaded when it changes"}, text(&c.TLSKeyFile)},
		{Key{"behind_proxy", "a reverse proxy ends TLS, so any address may be listened on without it"}, truth(&c.BehindProxy)},
		{Key{"data_dir", "where the hub keeps everything"}, text(&c.DataDir)},
		{Key{"global_key", "the global API key, 64 hex digits"}, text(&c.GlobalKey)},
		{Key{"global_key_file", "file with the global API key"}, text(&c.GlobalKeyFile)},
		{Key{"poll_interval_seconds", "how often agents report, 60 to 3600"}, number(&c.PollIntervalSeconds)},
		{Key{"stale_seconds", "silence after which a host is stale"}, number(&c.StaleSeconds)},
		{Key{"down_seconds", "silence after which a host is down"}, number(&c.DownSeconds)},
		{Key{"resume_grace_seconds", "what every host gets after the hub could not listen; 0 is poll interval + 60"}, number(&c.ResumeGraceSeconds)},
		{Key{"retention_days", "how long bodies of reports are kept"}, number(&c.RetentionDays)},
		{Key{"group_wait_seconds", "how long events wait to be told together; 0 tells at once"}, number(&c.GroupWaitSeconds)},
		{Key{"allow_private_routes", "routes may point at loopback, link-local and private addresses"}, truth(&c.AllowPrivateRoutes)},
		{Key{"max_body_bytes", "largest body of a request, inflated"}, number(&c.MaxBodyBytes)},
		{Key{"max_conns_per_ip", "connections of one address (of one /64 for IPv6); 0 is no limit"}, number(&c.MaxConnsPerIP)},
		{Key{"watchdog_url", "URL to ping every 60 s while the hub is well"}, text(&c.WatchdogURL)},
		{Key{"external_url", "the hub's address as people reach it, for links"}, text(&c.ExternalURL)},
		{Key{"log_level", "debug, info, warn or error"}, text(&c.LogLevel)},
		{Key{"log_format", "console or json; empty is console on a terminal, else json"}, text(&c.LogFormat)},
	}
}

func text[T ~string](p *T) func(string) error {
	return func(s string) error { *p = T(s); return nil }
}

func number(p *int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%.40q is not a whole number", s)
		}
		*p = n
		return nil
	}
}

func truth(p *bool) func(string) error {
	return func(s string) error {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%.40q is neither true nor false", s)
		}
		*p = b
		return nil
	}
}

// Redacted is c as it may be shown: keys, and URLs that may carry a token, are
// blanked.
func (c Config) Redacted() Config {
	c.GlobalKey = messages.Secret(c.GlobalKey.String())
	c.WatchdogURL = messages.Secret(c.WatchdogURL.String())
	return c
}
