package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"felhom.eu/messages"
)

const someKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hub.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(pairs ...string) func(string) (string, bool) {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

// The example is what a newcomer copies: it must load, and name every key with its default.
func TestExampleIsTheDefault(t *testing.T) {
	path := "../../configs/hub.example.json"
	c, err := Load(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c != Default() {
		t.Errorf("got  %+v\nwant %+v", c, Default())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys() {
		if _, ok := m[k.Name]; !ok {
			t.Errorf("the example does not name %s", k.Name)
		}
		delete(m, k.Name)
	}
	for k := range m {
		t.Errorf("%s is in the file but is no key that environment and flags can set", k)
	}
}

// Flags win over the environment, the environment over the file, the file over defaults.
func TestLayers(t *testing.T) {
	path := write(t, `{"stale_seconds": 3, "down_seconds": 6, "retention_days": 7, "group_wait_seconds": 1}`)
	c, err := Load(path,
		env("FELHOM_HUB_DOWN_SECONDS", "60", "FELHOM_HUB_GROUP_WAIT_SECONDS", "2", "FELHOM_HUB_GLOBAL_KEY", someKey,
			"FELHOM_HUB_ALLOW_PRIVATE_ROUTES", "true", "FELHOM_HUB_PORT_8080_TCP", "tcp://10.0.0.1"),
		map[string]string{"group_wait_seconds": "0"})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.StaleSeconds, want.DownSeconds, want.RetentionDays, want.GroupWaitSeconds = 3, 60, 7, 0
	want.GlobalKey, want.AllowPrivateRoutes = someKey, true
	if c != want {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// Whatever is wrong is refused, and the error names the key, the value and the remedy.
func TestBadConfigurationIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, file, env, value string
		want                   []string
	}{
		{"unknown key", `{"stale_second": 3}`, "", "", []string{`"stale_second"`}},
		{"trailing text", `{} {}`, "", "", []string{"after the closing brace"}},
		{"wrong type", `{"listen": 8080}`, "", "", []string{"listen", "string"}},
		{"unparsable integer", `{}`, "STALE_SECONDS", "ten", []string{"FELHOM_HUB_STALE_SECONDS", `"ten"`, "whole number"}},
		{"unparsable truth", `{}`, "BEHIND_PROXY", "maybe", []string{"FELHOM_HUB_BEHIND_PROXY", `"maybe"`, "true nor false"}},
		{"open to the world", `{}`, "LISTEN", "0.0.0.0:8080", []string{"listen", "0.0.0.0:8080", "tls_cert_file", "behind_proxy"}},
		{"every interface", `{}`, "LISTEN", ":8080", []string{"listen", "behind_proxy"}},
		{"agents in the clear", `{}`, "AGENT_LISTEN", "192.0.2.1:8443", []string{"agent_listen", "192.0.2.1:8443"}},
		{"same listener twice", `{}`, "AGENT_LISTEN", "127.0.0.1:8080", []string{"agent_listen", "another port"}},
		{"no port", `{}`, "LISTEN", "127.0.0.1", []string{"listen", "host:port"}},
		{"certificate without key", `{"tls_cert_file":"a.pem"}`, "", "", []string{"tls_key_file", "a.pem"}},
		{"key without certificate", `{"tls_key_file":"a.pem"}`, "", "", []string{"tls_cert_file", "a.pem"}},
		{"stale not below down", `{"stale_seconds": 60, "down_seconds": 60}`, "", "", []string{"stale_seconds", "60", "down_seconds"}},
		{"no stale", `{"stale_seconds": 0}`, "", "", []string{"stale_seconds", "0", "want 1"}},
		{"poll too often", `{"poll_interval_seconds": 59}`, "", "", []string{"poll_interval_seconds", "59", "60 to 3600"}},
		{"nothing kept", `{"retention_days": 0}`, "", "", []string{"retention_days"}},
		{"negative wait", `{"group_wait_seconds": -1}`, "", "", []string{"group_wait_seconds", "-1"}},
		{"body beyond the contract", `{"max_body_bytes": 4194305}`, "", "", []string{"max_body_bytes", "4194304"}},
		{"no data directory", `{"data_dir": ""}`, "", "", []string{"data_dir"}},
		{"watchdog", `{"watchdog_url": "ftp://x/y"}`, "", "", []string{"watchdog_url", "https://"}},
		{"external", `{"external_url": "hub.example.com"}`, "", "", []string{"external_url", "hub.example.com"}},
		{"level", `{"log_level": "loud"}`, "", "", []string{"log_level", "loud", "debug"}},
		{"format", `{"log_format": "xml"}`, "", "", []string{"log_format", "xml"}},
		{"malformed key", `{"global_key": "hunter2"}`, "", "", []string{"global_key", "64 lower-case hex"}},
		{"two keys", `{"global_key_file": "k"}`, "GLOBAL_KEY", someKey, []string{"global_key", "keep one"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(write(t, c.file), env(EnvPrefix+c.env, c.value), nil)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
	if _, err := Load("", nil, map[string]string{"stale-seconds": "3"}); err == nil {
		t.Error("a flag of no key was accepted")
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.json"), nil, nil); err == nil {
		t.Error("a file that is not there was accepted")
	}
}

// A hub may be open to the world when keys do not travel in the clear.
func TestListenBeyondLoopback(t *testing.T) {
	for _, flags := range []map[string]string{
		{"listen": "0.0.0.0:443", "tls_cert_file": "a", "tls_key_file": "b"},
		{"listen": ":8080", "behind_proxy": "true"},
		{"listen": "[::1]:0", "agent_listen": "localhost:0"},
		{"listen": "127.0.0.1:0", "agent_listen": "127.0.0.1:0"},
	} {
		if _, err := Load("", nil, flags); err != nil {
			t.Errorf("%v: %v", flags, err)
		}
	}
}

// Nothing that prints a configuration, or an error about one, prints a secret.
func TestSecretsAreNotTold(t *testing.T) {
	const token = "https://ping.example.com/tokentoken"
	c := Default()
	c.GlobalKey, c.WatchdogURL = someKey, token
	b, err := json.Marshal(c.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%s %v %+v %#v %#v", b, c, c.Redacted(), c.Redacted(), c)
	if r := c.Redacted(); r.GlobalKey.Reveal() == someKey || r.WatchdogURL.Reveal() == token {
		t.Error("Redacted keeps what it should blank")
	}
	for _, bad := range []string{
		`{"global_key": "hunter2hunter2"}`, `{"watchdog_url": "hunter2hunter2"}`, `{"watchdog_url": "https://x\nhunter2hunter2"}`,
		`{"global_key": ["hunter2hunter2"]}`,
	} {
		_, err := Load(write(t, bad), nil, nil)
		shown += fmt.Sprint(err)
	}
	for _, secret := range []string{someKey, "tokentoken", "hunter2hunter2"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s is told in %s", secret, shown)
		}
	}
}

// The first start makes a key that only its owner reads; every later one finds it.
func TestGlobalKeyIsMadeOnce(t *testing.T) {
	c := Default()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	first, created, err := c.EnsureGlobalKey()
	if err != nil || !created || !messages.ValidKey(first) {
		t.Fatalf("got %v %v %v", messages.ValidKey(first), created, err)
	}
	st, err := os.Stat(c.GlobalKeyPath())
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	second, created, err := c.EnsureGlobalKey()
	if err != nil || created || second != first {
		t.Errorf("the second start: same key %v, created %v, %v", second == first, created, err)
	}
	left, err := os.ReadDir(c.DataDir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files beside the key, %v", len(left)-1, err)
	}
}

// A key comes from the configuration before any file, and a bad file is an
// error, not a reason to make another key.
func TestGlobalKeyFromElsewhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	c := Default()
	c.DataDir, c.GlobalKeyFile = filepath.Join(dir, "data"), path
	if _, _, err := c.EnsureGlobalKey(); err == nil {
		t.Error("a global_key_file that is not there was accepted")
	}
	for _, f := range []struct {
		text string
		mode os.FileMode
		ok   bool
	}{
		{someKey + "\n", 0o400, true},
		{someKey, 0o440, true},
		{someKey, 0o644, false},
		{"", 0o600, false},
		{someKey + someKey, 0o600, false},
		{strings.ToUpper(someKey), 0o600, false},
	} {
		os.Remove(path)
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
		key, _, err := c.EnsureGlobalKey()
		if f.ok != (err == nil) || f.ok && key != someKey {
			t.Errorf("%q mode %v: %v", f.text, f.mode, err)
		}
		if err != nil && strings.Contains(err.Error(), someKey) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
	c.GlobalKeyFile, c.GlobalKey = "", someKey
	if key, created, err := c.EnsureGlobalKey(); key != someKey || created || err != nil {
		t.Errorf("configured key: created %v, %v", created, err)
	}
	if _, err := os.Stat(c.DataDir); err == nil {
		t.Error("a configured key made the data directory")
	}
}

// What is legal and probably a slip is said, and the plain default is quiet.
func TestWarnings(t *testing.T) {
	c := Default()
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("the default warns: %q", w)
	}
	c.StaleSeconds = c.PollIntervalSeconds
	if len(c.Warnings()) != 1 {
		t.Error("a threshold within the poll interval is not warned of")
	}
}

// Behind a proxy every agent has the proxy's address: the limit would be the fleet's.
func TestProxyLiftsTheLimitPerAddress(t *testing.T) {
	c := Default()
	if n := c.ConnsPerIP(); n != c.MaxConnsPerIP || n == 0 {
		t.Errorf("%d without a proxy", n)
	}
	if c.BehindProxy = true; c.ConnsPerIP() != 0 {
		t.Errorf("%d behind a proxy", c.ConnsPerIP())
	}
}
