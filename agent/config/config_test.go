package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

const canary = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

func file(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // past the umask
		t.Fatal(err)
	}
	return path
}

func env(pairs map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := pairs[k]; return v, ok }
}

func load(t *testing.T, text string, pairs map[string]string) (Config, []string) {
	t.Helper()
	c, warnings, err := Load(file(t, "agent.json", text, 0o600), env(pairs))
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

// working is a configuration that every mode accepts.
func working() Config {
	c := Default()
	c.Proxmox.TokenID, c.Proxmox.TokenSecret = "felhom@pve!agent", "s"
	c.Hub.URL, c.Hub.HostID, c.Hub.APIKey = "https://hub.example.com", "acme-7f3a90c1", canary
	return c
}

// server is a backup server that every mode accepts.
func server(name string) PBS {
	return PBS{Name: name, URL: "https://pbs.example.com:8007", TokenID: "felhom@pbs!agent", TokenSecret: "s"}
}

// Protects the documentation: the example names every key there is, and is what
// the program reads.
func TestExampleFileNamesEveryKeyAndIsValid(t *testing.T) {
	text, err := os.ReadFile("../../configs/agent.example.json")
	if err != nil {
		t.Fatal(err)
	}
	full, _ := json.Marshal(Config{PBS: []PBS{{}}, Authz: Authz{Operations: []string{}}})
	example := keys(t, text)
	for key := range keys(t, full) {
		if !example[key] {
			t.Errorf("the example lacks %s", key)
		}
	}
	dir := t.TempDir()
	moved := strings.ReplaceAll(string(text), "/etc/felhom", dir)
	os.WriteFile(filepath.Join(dir, "agent.key"), []byte(canary+"\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "proxmox.secret"), []byte("s\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "pbs.secret"), []byte("s\n"), 0o600)
	c, warnings := load(t, moved, nil)
	if err := c.Validate(Daemon); err != nil || len(warnings) > 0 {
		t.Errorf("got %v, warnings %q", err, warnings)
	}
}

// keys are the names of all that is in a document: block.key, and of a list its
// first element's.
func keys(t *testing.T, text []byte) map[string]bool {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for name, v := range document {
		all[name] = true
		if list, ok := v.([]any); ok {
			v = list[0]
		}
		block, _ := v.(map[string]any)
		for key := range block {
			all[name+"."+key] = true
		}
	}
	return all
}

// Protects the order of precedence: default, file, environment; and an agent
// that has no file at all.
func TestEnvironmentLiesOverTheFileOverTheDefaults(t *testing.T) {
	pairs := map[string]string{"FELHOM_AGENT_SOURCE": "local", "FELHOM_AGENT_HUB_URL": "https://env.example.com",
		"FELHOM_AGENT_HUB_HOST_ID": "acme-00000001", "FELHOM_AGENT_HUB_API_KEY": canary, "FELHOM_AGENT_HUB_POLL_SECONDS": "120"}
	c, warnings := load(t, `{"hub":{"url":"https://file.example.com","timeout_seconds":7,"ca_file":"/ca"}}`, pairs)
	want := Default()
	want.Source = SourceLocal
	want.Hub = Hub{URL: "https://env.example.com", HostID: "acme-00000001", APIKey: canary, PollSeconds: 120, TimeoutSeconds: 7, CAFile: "/ca"}
	if !reflect.DeepEqual(c, want) || len(warnings) > 0 {
		t.Errorf("got warnings %q and\n%s", warnings, cmp.Diff(want, c))
	}
	c, _, err := Load("", env(pairs))
	if err == nil {
		err = c.Validate(Daemon)
	}
	if err != nil {
		t.Errorf("from the environment alone: %v", err)
	}
}

// Protects every variable of the documentation from being a dead letter.
func TestEveryKeyHasItsVariable(t *testing.T) {
	c := Config{PBS: []PBS{{}}}
	blocks := map[string]reflect.Type{"HUB_": reflect.TypeFor[Hub](), "PROXMOX_": reflect.TypeFor[Proxmox](), "SIMULATED_": reflect.TypeFor[Simulated](), "CLOUDFLARED_": reflect.TypeFor[Cloudflared](), "PBS_": reflect.TypeFor[PBS]()}
	for prefix, block := range blocks {
		for i := range block.NumField() {
			if block.Field(i).Type.Kind() == reflect.Slice {
				continue // lists stand in the file
			}
			name := prefix + strings.ToUpper(block.Field(i).Tag.Get("json"))
			_, text := c.textKeys()[name]
			_, secret := c.secretKeys()[name]
			_, number := c.numberKeys()[name]
			if !text && !secret && !number {
				t.Errorf("no variable %s%s", EnvPrefix, name)
			}
		}
	}
}

// Protects a running agent from a typing error in its unit file.
func TestUnparsableIntegerWarnsAndKeepsTheFilesValue(t *testing.T) {
	c, warnings := load(t, `{"hub":{"poll_seconds":300}}`, map[string]string{
		"FELHOM_AGENT_HUB_POLL_SECONDS": "5m", "FELHOM_AGENT_HUB_TIMEOUT_SECONDS": ""})
	if c.Hub.PollSeconds != 300 || c.Hub.TimeoutSeconds != 30 {
		t.Errorf("got poll %d, timeout %d; want 300, 30", c.Hub.PollSeconds, c.Hub.TimeoutSeconds)
	}
	if all := strings.Join(warnings, "\n"); len(warnings) != 2 || !strings.Contains(all, `FELHOM_AGENT_HUB_POLL_SECONDS: "5m" is not an integer; 300 is kept`) {
		t.Errorf("got warnings %q", warnings)
	}
}

// Protects from a setting that was misspelt and silently not made; and secrets
// from the errors about them.
func TestBadFilesAreErrorsWithoutSecrets(t *testing.T) {
	for text, want := range map[string]string{
		`{"hub":{"poll_secs":1}}`:                           `unknown field "poll_secs"`,
		`{"hub":{"url":"x"}} {}`:                            "text after the closing brace",
		`{"hub":{"poll_seconds":"` + canary + `"}}`:         "hub.poll_seconds: want int",
		`{"hub":{"api_key":"` + canary + `" "x"}}`:          "not JSON, at byte",
		`{"hub":{"api_key_file":"/nonexistent/` + `key"}}`:  "hub.api_key_file: open /nonexistent/key",
		`{"proxmox":{"token_secret_file":"/nonexistent/s"}`: "the closing brace is missing",
		``: "the closing brace is missing",
		`{"proxmox":{"token_secret_file":"/dev/null"}}`: "proxmox.token_secret_file: /dev/null: first line is empty",
	} {
		_, _, err := Load(file(t, "agent.json", text, 0o600), env(nil))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// Protects secrets on a machine with other users; a file without one may be open.
func TestOpenFileWithASecretIsWarnedOf(t *testing.T) {
	for text, warned := range map[string]bool{`{"hub":{"api_key":"k"}}`: true, `{"proxmox":{"token_secret":"s"}}`: true, `{"pbs":[{},{"token_secret":"s"}]}`: true, `{}`: false} {
		for mode, open := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o644: true} {
			_, warnings, err := Load(file(t, "agent.json", text, mode), env(nil))
			if err != nil || (len(warnings) == 1) != (warned && open) {
				t.Errorf("%s with mode %#o: got %q, %v", text, mode, warnings, err)
			}
		}
	}
	key := file(t, "agent.key", canary, 0o644)
	if _, warnings := load(t, `{}`, map[string]string{"FELHOM_AGENT_HUB_API_KEY_FILE": key}); len(warnings) != 1 {
		t.Errorf("open api_key_file: got %q", warnings)
	}
}

// Protects the operator from an agent that starts and then cannot work, and the
// selftest of one side from the other side's keys.
func TestValidateNamesKeyValueAndRemedy(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Config)
		mode  Mode
		want  string // "" is valid
	}{
		{"complete", func(*Config) {}, Daemon, ""},
		{"no hub, proxmox selftest", func(c *Config) { c.Hub = Hub{} }, SelftestProxmox, ""},
		{"no hub, hub selftest", func(c *Config) { c.Hub.URL = "" }, SelftestHub, "hub.url: not set; want https://<host>"},
		{"local needs no token", func(c *Config) { c.Source, c.Proxmox = SourceLocal, Proxmox{} }, Daemon, ""},
		{"unknown source", func(c *Config) { c.Source = "vmware" }, Daemon, `source: "vmware" is unknown; want one of proxmox, pbs, local, simulated`},
		{"plain http", func(c *Config) { c.Hub.URL = "http://hub.example.com" }, Daemon, "hub.url: http would show the key"},
		{"plain http on loopback", func(c *Config) { c.Hub.URL = "http://127.0.0.1:8080" }, Daemon, ""},
		{"host id", func(c *Config) { c.Hub.HostID = "acme" }, Daemon, `hub.host_id: "acme"; want the <customer_id>-<8 hex digits>`},
		{"no key", func(c *Config) { c.Hub.APIKey = "" }, Daemon, "hub.api_key: not set; put it into api_key_file or FELHOM_AGENT_HUB_API_KEY"},
		{"half a key", func(c *Config) { c.Hub.APIKey = messages.Secret(canary[:20]) }, Daemon, "hub.api_key: has 20 characters; want the 64"},
		{"too fast", func(c *Config) { c.Hub.PollSeconds = 5 }, Daemon, "hub.poll_seconds: 5 is outside 60 to 3600"},
		{"no timeout", func(c *Config) { c.Hub.TimeoutSeconds = 0 }, Daemon, "hub.timeout_seconds: 0 is outside 1 to 300"},
		{"token id", func(c *Config) { c.Proxmox.TokenID = "root@pam" }, SelftestProxmox, `proxmox.token_id: "root@pam"; want user@realm!name`},
		{"no secret", func(c *Config) { c.Proxmox.TokenSecret = "" }, Daemon, "proxmox.token_secret: not set"},
		{"node with domain", func(c *Config) { c.Proxmox.Node = "pve1.lan" }, Daemon, `proxmox.node: "pve1.lan"; want the node's name`},
		{"pbs alone", func(c *Config) { c.Source, c.PBS = SourcePBS, []PBS{server("a"), server("b")} }, Daemon, ""},
		{"pbs beside proxmox", func(c *Config) { c.PBS = []PBS{server("a")} }, SelftestProxmox, ""},
		{"pbs without a server", func(c *Config) { c.Source = SourcePBS }, Daemon, "pbs: empty; source pbs needs a server to read"},
		{"pbs beside local", func(c *Config) { c.Source, c.PBS = SourceLocal, []PBS{server("a")} }, Daemon, `pbs: source "local" reads none; set source to pbs or proxmox`},
		{"pbs of one name", func(c *Config) { c.PBS = []PBS{server("a"), server("a")} }, Daemon, `pbs[1].name: "a" is another server's, too`},
		{"pbs of no name", func(c *Config) { c.PBS = []PBS{server("a b")} }, Daemon, `pbs[0].name: "a b"; want letters`},
		{"pbs token id", func(c *Config) { c.PBS = []PBS{server("a")}; c.PBS[0].TokenID = "root@pam" }, Daemon, `pbs[0].token_id: "root@pam"; want user@realm!name`},
		{"pbs secret", func(c *Config) { c.PBS = []PBS{server("a")}; c.PBS[0].TokenSecret = "" }, Daemon, "pbs[0].token_secret: not set"},
		{"pbs address", func(c *Config) { c.PBS = []PBS{server("a")}; c.PBS[0].URL = "http://pbs.example.com:8007" }, Daemon, "pbs[0].url: http would show the key"},
		{"pbs empty datastore", func(c *Config) { c.PBS = []PBS{server("a")}; c.PBS[0].Datastores = []string{""} }, Daemon, "pbs[0].datastores: has an empty name"},
		{"tunnel's address", func(c *Config) { c.Cloudflared.ReadyURL = "localhost:20241/ready" }, SelftestProxmox, "cloudflared.ready_url: want https://<host>"},
		{"operations", func(c *Config) { c.Authz.Operations = []string{"reboot"} }, Daemon, "authz.operations: this version runs none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := working()
			c.spoil(&cfg)
			err := cfg.Validate(c.mode)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v, want one line: %s", err, c.want)
			case err != nil && strings.Contains(err.Error(), canary[:20]):
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
	var empty Config
	if err := empty.Validate(Daemon); err == nil || strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("the zero value: got %v, want every problem at once", err)
	}
}

// Protects secrets in every form in which a configuration may be shown.
func TestNoFormOfAConfigurationShowsASecret(t *testing.T) {
	c := working()
	c.Proxmox.TokenSecret = canary
	c.PBS = []PBS{server("a")}
	c.PBS[0].TokenSecret = canary
	r := c.Redacted()
	if r.PBS[0].TokenSecret != "[redacted]" || c.PBS[0].TokenSecret != canary {
		t.Errorf("got %q for a backup server's", r.PBS[0].TokenSecret.Reveal())
	}
	if r.Hub.APIKey != messages.Secret("[redacted]") || r.Proxmox.TokenSecret != "[redacted]" || c.Hub.APIKey != canary {
		t.Errorf("got %q and %q; the original has %d characters", r.Hub.APIKey.Reveal(), r.Proxmox.TokenSecret.Reveal(), len(c.Hub.APIKey))
	}
	text, _ := json.Marshal(c)
	if shown := fmt.Sprintf("%v %+v %#v %s", c, c, c, text); strings.Contains(shown, canary) {
		t.Errorf("the key is shown: %s", shown)
	}
}

// Protects an agent that is configured by its environment alone, and the servers
// of the file from losing their place.
func TestABackupServerFromTheEnvironment(t *testing.T) {
	pairs := map[string]string{"FELHOM_AGENT_PBS_TOKEN_ID": "felhom@pbs!env", "FELHOM_AGENT_PBS_TOKEN_SECRET": canary}
	c, _ := load(t, `{}`, pairs)
	if want := []PBS{{Name: "pbs", URL: "https://localhost:8007", TokenID: "felhom@pbs!env", TokenSecret: canary}}; !reflect.DeepEqual(c.PBS, want) {
		t.Errorf("got %+v", c.PBS)
	}
	secret := file(t, "pbs.secret", "from a file\n", 0o600)
	c, _ = load(t, `{"pbs":[{"name":"a","datastores":["keller"]},{"name":"b","url":"https://b:8007","token_secret_file":"`+secret+`"}]}`, pairs)
	want := []PBS{{Name: "a", URL: "https://localhost:8007", TokenID: "felhom@pbs!env", TokenSecret: canary, Datastores: []string{"keller"}},
		{Name: "b", URL: "https://b:8007", TokenSecret: "from a file", TokenSecretFile: secret}}
	if !reflect.DeepEqual(c.PBS, want) {
		t.Errorf("got %s", cmp.Diff(want, c.PBS))
	}
	if c, _ = load(t, `{}`, nil); c.PBS != nil {
		t.Errorf("got %+v, want none", c.PBS)
	}
}
