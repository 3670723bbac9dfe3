package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"felhom.eu/messages"
)

// EnvPrefix begins the names of variables that lay over the file:
// FELHOM_AGENT_SOURCE, FELHOM_AGENT_HUB_URL, FELHOM_AGENT_PROXMOX_TOKEN_ID …
// FELHOM_AGENT_PBS_… is about the first backup server.
const EnvPrefix = "FELHOM_AGENT_"

// Load reads the file at path (none when empty), lays the environment over it
// through lookup (os.LookupEnv), and reads the files that hold secrets. Unknown
// keys of the file are errors. What can be lived with is a warning, one line
// each. The result is not validated yet: that depends on the mode.
func Load(path string, lookup func(string) (string, bool)) (c Config, warnings []string, err error) {
	c = Default()
	if err := c.readFile(path); err != nil {
		return Config{}, nil, err
	}
	if c.holdsSecret() {
		warnings = exposed(path)
	}
	warnings = append(warnings, c.overlay(lookup)...)
	for _, s := range c.secretFiles() {
		w, err := s.read()
		if err != nil {
			return Config{}, nil, err
		}
		warnings = append(warnings, w...)
	}
	for i := range c.PBS {
		c.PBS[i].fill()
	}
	return c, warnings, nil
}

func (c *Config) holdsSecret() bool {
	return c.Hub.APIKey != "" || c.Proxmox.TokenSecret != "" ||
		slices.ContainsFunc(c.PBS, func(x PBS) bool { return x.TokenSecret != "" })
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
		return decodeError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the closing brace")
	}
	return nil
}

// decodeError says what to mend without repeating a value, which may be a secret.
func decodeError(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: want %s", e.Field, e.Type)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON, at byte %d", e.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the closing brace is missing")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// exposed warns of a file that holds a secret when others may read it.
func exposed(path string) []string {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s holds a secret and may be read by others (%#o); chmod 600 it", path, info.Mode().Perm())}
}

// overlay sets what the environment says. A number that is none is warned of,
// and what the file said stays.
func (c *Config) overlay(lookup func(string) (string, bool)) (warnings []string) {
	c.overlayPBS(lookup)
	for name, key := range c.textKeys() {
		if v, ok := lookup(EnvPrefix + name); ok {
			*key = v
		}
	}
	for name, key := range c.secretKeys() {
		if v, ok := lookup(EnvPrefix + name); ok {
			*key = messages.Secret(v)
		}
	}
	for name, key := range c.numberKeys() {
		v, ok := lookup(EnvPrefix + name)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s%s: %.40q is not an integer; %d is kept", EnvPrefix, name, v, *key))
			continue
		}
		*key = n
	}
	return warnings
}

func (c *Config) textKeys() map[string]*string {
	keys := map[string]*string{
		"SOURCE":                          &c.Source,
		"STATE_DIR":                       &c.StateDir,
		"HUB_URL":                         &c.Hub.URL,
		"HUB_HOST_ID":                     &c.Hub.HostID,
		"HUB_API_KEY_FILE":                &c.Hub.APIKeyFile,
		"HUB_CA_FILE":                     &c.Hub.CAFile,
		"PROXMOX_URL":                     &c.Proxmox.URL,
		"PROXMOX_NODE":                    &c.Proxmox.Node,
		"PROXMOX_TOKEN_ID":                &c.Proxmox.TokenID,
		"PROXMOX_TOKEN_SECRET_FILE":       &c.Proxmox.TokenSecretFile,
		"PROXMOX_CA_FILE":                 &c.Proxmox.CAFile,
		"PROXMOX_FINGERPRINT":             &c.Proxmox.Fingerprint,
		"PROXMOX_SERVER_NAME":             &c.Proxmox.ServerName,
		"COLLECTIONS_SCRATCH_VMIDS":       &c.Collections.ScratchVMIDs,
		"COLLECTIONS_RESTORE_RESULTS_DIR": &c.Collections.RestoreResultsDir,
		"CLOUDFLARED_READY_URL":           &c.Cloudflared.ReadyURL,
		"SIMULATED_PRESET":                &c.Simulated.Preset,
	}
	if len(c.PBS) > 0 {
		maps.Copy(keys, c.PBS[0].textKeys())
	}
	return keys
}

func (c *Config) secretKeys() map[string]*messages.Secret {
	keys := map[string]*messages.Secret{
		"HUB_API_KEY":          &c.Hub.APIKey,
		"PROXMOX_TOKEN_SECRET": &c.Proxmox.TokenSecret,
	}
	if len(c.PBS) > 0 {
		keys["PBS_TOKEN_SECRET"] = &c.PBS[0].TokenSecret
	}
	return keys
}

func (c *Config) numberKeys() map[string]*int {
	return map[string]*int{
		"COLLECTIONS_PERIOD_SECONDS": &c.Collections.PeriodSeconds,
		"HUB_POLL_SECONDS":           &c.Hub.PollSeconds,
		"HUB_TIMEOUT_SECONDS":        &c.Hub.TimeoutSeconds,
		"SIMULATED_SEED":             &c.Simulated.Seed,
	}
}

// secretFile is a secret that stands in a file of its own.
type secretFile struct {
	key, path string
	secret    *messages.Secret
}

func (c *Config) secretFiles() []secretFile {
	files := []secretFile{
		{"hub.api_key_file", c.Hub.APIKeyFile, &c.Hub.APIKey},
		{"proxmox.token_secret_file", c.Proxmox.TokenSecretFile, &c.Proxmox.TokenSecret},
	}
	for i := range c.PBS {
		x := &c.PBS[i]
		files = append(files, secretFile{pbsKey(i, "token_secret_file"), x.TokenSecretFile, &x.TokenSecret})
	}
	return files
}

// read takes the file's first line, unless the secret was given outright.
func (s secretFile) read() (warnings []string, err error) {
	if s.path == "" || *s.secret != "" {
		return nil, nil
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.key, err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	*s.secret = messages.Secret(strings.TrimSpace(line))
	if *s.secret == "" {
		return nil, fmt.Errorf("%s: %s: first line is empty", s.key, s.path)
	}
	return exposed(s.path), nil
}
