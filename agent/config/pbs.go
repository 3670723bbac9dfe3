package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"felhom.eu/messages"
)

// PBS says which Proxmox Backup Server to read, and with which token.
type PBS struct {
	Name            string          `json:"name"`              // what reports call it; "": pbs
	URL             string          `json:"url"`               // "": this machine's, https://localhost:8007
	TokenID         string          `json:"token_id"`          // user@realm!name
	TokenSecret     messages.Secret `json:"token_secret"`      // or token_secret_file
	TokenSecretFile string          `json:"token_secret_file"` // its first line is the secret
	CAFile          string          `json:"ca_file"`           // "": the system's roots
	Fingerprint     string          `json:"fingerprint"`       // SHA-256 of the certificate; "": not pinned
	ServerName      string          `json:"server_name"`       // in the certificate, when it is not the URL's host
	Datastores      []string        `json:"datastores"`        // read only these; empty: all that the token may see
	Namespaces      []string        `json:"namespaces"`        // read only these and what is below; empty: all
}

var serverName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// overlayPBS makes a server of the environment alone, when the file names none.
func (c *Config) overlayPBS(lookup func(string) (string, bool)) {
	if len(c.PBS) > 0 {
		return
	}
	c.PBS = []PBS{{}}
	set := func(name string) bool { _, ok := lookup(EnvPrefix + name); return ok }
	for name := range c.textKeys() {
		if strings.HasPrefix(name, "PBS_") && set(name) {
			return
		}
	}
	if !set("PBS_TOKEN_SECRET") {
		c.PBS = nil
	}
}

// textKeys are what the environment may say of the server.
func (x *PBS) textKeys() map[string]*string {
	return map[string]*string{
		"PBS_NAME":              &x.Name,
		"PBS_URL":               &x.URL,
		"PBS_TOKEN_ID":          &x.TokenID,
		"PBS_TOKEN_SECRET_FILE": &x.TokenSecretFile,
		"PBS_CA_FILE":           &x.CAFile,
		"PBS_FINGERPRINT":       &x.Fingerprint,
		"PBS_SERVER_NAME":       &x.ServerName,
	}
}

// fill sets what was left empty.
func (x *PBS) fill() {
	x.Name = cmp.Or(x.Name, "pbs")
	x.URL = cmp.Or(x.URL, "https://localhost:8007")
}

// pbsKey names a key of the i-th server.
func pbsKey(i int, key string) string { return fmt.Sprintf("pbs[%d].%s", i, key) }

// validatePBS checks all servers. Only a source that is a host of Proxmox's makes
// use of them.
func (c *Config) validatePBS(p *problems) {
	switch c.Source {
	case SourceProxmox:
	case SourcePBS:
		p.check(len(c.PBS) > 0, "pbs: empty; source %s needs a server to read", SourcePBS)
	default:
		p.check(len(c.PBS) == 0, "pbs: source %q reads none; set source to %s or %s, or leave pbs empty", c.Source, SourcePBS, SourceProxmox)
		return
	}
	names := map[string]bool{}
	for i := range c.PBS {
		x := &c.PBS[i]
		p.check(serverName.MatchString(x.Name), "%s: %q; want letters, digits, dots and dashes, 63 at most", pbsKey(i, "name"), x.Name)
		p.check(!names[x.Name], "%s: %q is another server's, too; reports could not tell them apart", pbsKey(i, "name"), x.Name)
		names[x.Name] = true
		x.validate(i, p)
	}
}

func (x *PBS) validate(i int, p *problems) {
	p.checkURL(pbsKey(i, "url"), x.URL)
	user, name, ok := strings.Cut(x.TokenID, "!")
	p.check(ok && strings.Contains(user, "@") && name != "",
		"%s: %q; want user@realm!name, as `proxmox-backup-manager user generate-token` prints it", pbsKey(i, "token_id"), x.TokenID)
	p.check(x.TokenSecret != "", "%s: not set; put it into token_secret_file", pbsKey(i, "token_secret"))
	p.check(!slices.Contains(x.Datastores, ""), "%s: has an empty name; leave the list empty to read all", pbsKey(i, "datastores"))
	p.check(!slices.Contains(x.Namespaces, ""), "%s: has an empty name; leave the list empty to read all", pbsKey(i, "namespaces"))
}
