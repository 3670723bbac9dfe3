package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"felhom.eu/messages"
)

// Limits of the figures.
const (
	minPoll, maxPoll = 60, 3600 // agents clamp to the same range
	minBody          = 1 << 10  // below it a report of a bare host does not fit
	maxSeconds       = 365 * 86400
	maxDays          = 36500
)

// Validate names every key that is wrong, its value, and what to do about it.
func (c *Config) Validate() error {
	return errors.Join(
		c.checkAddress("listen", c.Listen),
		c.checkAgentAddress(),
		c.checkTLS(),
		c.checkKey(),
		notEmpty("data_dir", c.DataDir),
		between("poll_interval_seconds", c.PollIntervalSeconds, minPoll, maxPoll),
		between("stale_seconds", c.StaleSeconds, 1, maxSeconds),
		between("down_seconds", c.DownSeconds, 1, maxSeconds),
		c.checkThresholds(),
		between("resume_grace_seconds", c.ResumeGraceSeconds, 0, maxSeconds),
		between("retention_days", c.RetentionDays, 1, maxDays),
		between("group_wait_seconds", c.GroupWaitSeconds, 0, 3600),
		between("max_body_bytes", c.MaxBodyBytes, minBody, messages.MaxBodyBytes),
		between("max_conns_per_ip", c.MaxConnsPerIP, 0, 1<<20),
		checkURL("watchdog_url", c.WatchdogURL.Reveal(), "[redacted]"),
		checkURL("external_url", c.ExternalURL, c.ExternalURL),
		oneOf("log_level", c.LogLevel, "debug", "info", "warn", "error"),
		oneOf("log_format", c.LogFormat, "", "console", "json"),
	)
}

// Warnings are what is allowed and probably not meant, a line each.
func (c *Config) Warnings() []string {
	var w []string
	if c.StaleSeconds <= c.PollIntervalSeconds {
		w = append(w, fmt.Sprintf("stale_seconds %d is not above poll_interval_seconds %d: every host will go stale between two reports",
			c.StaleSeconds, c.PollIntervalSeconds))
	}
	return w
}

func (c *Config) checkAgentAddress() error {
	if c.AgentListen == "" {
		return nil
	}
	if c.AgentListen == c.Listen && !strings.HasSuffix(c.Listen, ":0") {
		return fmt.Errorf("agent_listen: %q is also listen; give it another port, or leave it out", c.AgentListen)
	}
	return c.checkAddress("agent_listen", c.AgentListen)
}

func (c *Config) checkAddress(key, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return fmt.Errorf("%s: %q is no address; want host:port, like 127.0.0.1:8080", key, addr)
	}
	if c.TLS() || c.BehindProxy || loopback(host) {
		return nil
	}
	return fmt.Errorf("%s: %q is not loopback and keys would travel in the clear; set tls_cert_file and tls_key_file, or behind_proxy", key, addr)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func (c *Config) checkTLS() error {
	switch {
	case c.TLSCertFile != "" && c.TLSKeyFile == "":
		return fmt.Errorf("tls_key_file: not set; tls_cert_file %q needs its key", c.TLSCertFile)
	case c.TLSCertFile == "" && c.TLSKeyFile != "":
		return fmt.Errorf("tls_cert_file: not set; tls_key_file %q needs its certificate", c.TLSKeyFile)
	}
	return nil
}

func (c *Config) checkKey() error {
	if c.GlobalKey == "" {
		return nil
	}
	if c.GlobalKeyFile != "" {
		return fmt.Errorf("global_key: set beside global_key_file %q; keep one of them", c.GlobalKeyFile)
	}
	if !messages.ValidKey(c.GlobalKey) {
		return errors.New("global_key: [redacted] is no key; want 64 lower-case hex digits, as `openssl rand -hex 32` makes them")
	}
	return nil
}

func (c *Config) checkThresholds() error {
	if c.StaleSeconds < c.DownSeconds {
		return nil
	}
	return fmt.Errorf("stale_seconds: %d is not below down_seconds %d; a host is stale before it is down", c.StaleSeconds, c.DownSeconds)
}

func notEmpty(key, v string) error {
	if v != "" {
		return nil
	}
	return fmt.Errorf("%s: not set", key)
}

func between(key string, v, low, high int) error {
	if v >= low && v <= high {
		return nil
	}
	return fmt.Errorf("%s: %d is out of range; want %d to %d", key, v, low, high)
}

func oneOf(key, v string, words ...string) error {
	if slices.Contains(words, v) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of %s", key, v, strings.TrimPrefix(strings.Join(words, ", "), ", "))
}

// checkURL never repeats what url.Parse says: it would quote the URL, and a token in it.
func checkURL(key, v, shown string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
		return nil
	}
	return fmt.Errorf("%s: %q is no address; want https://host/path", key, shown)
}
