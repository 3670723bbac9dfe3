package pbs

import (
	"strings"
	"testing"

	"felhom.eu/agent/pbs/pbstest"
	"felhom.eu/messages"
)

// Protects the operator who sets a token up: each row says what there is, what
// was denied, and the command that mends it; and a token that could delete is
// told as such.
func TestDescribe(t *testing.T) {
	type row struct {
		question, found, hint, grant string
		status                       messages.SectionStatus
	}
	const grantAll = "proxmox-backup-manager acl update /datastore DatastoreAudit --auth-id 'felhom@pbs' && " +
		"proxmox-backup-manager acl update /datastore DatastoreAudit --auth-id 'felhom@pbs!"
	version := row{"attic GET /version", "Proxmox Backup Server 4.1.2", "", "", ok}
	figures := row{"attic datastore keller", "512 of 1024 GiB used, 2 verify jobs", "", "", ok}
	groups := row{"attic datastore keller", "4 groups with 5 snapshots in 3 namespaces", "", "", ok}
	whole := row{"attic datastores", "token lacks Datastore.Audit on /datastore as a whole", "", grantAll + "one-ns'", ok}
	for _, c := range []struct {
		name, token string
		spoil       func(*pbstest.Server, *server)
		want        []row
	}{
		{"all", pbstest.DatastoreAuditor, nil, []row{version, figures, groups}},
		{"can delete", pbstest.Admin, nil, []row{version,
			{"attic token", "can also DELETE backups, on /datastore: give it the role DatastoreAudit only", "", "", ok}, figures, groups}},
		{"new token", pbstest.Bare, nil, []row{version,
			{"attic datastores", "it is shown no datastore, which does not mean that there is none", "on the server: " + grantAll + "bare'", grantAll + "bare'", denial}}},
		{"one namespace", pbstest.OneNamespace, nil, []row{version,
			{"attic datastore keller", "1 groups with 1 snapshots in 2 namespaces", "", "", ok}, whole,
			{"attic datastore keller", "no figures: token lacks Datastore.Audit on /datastore/keller", "on the server: proxmox-backup-manager acl update /datastore/keller DatastoreAudit",
				"proxmox-backup-manager acl update /datastore/keller DatastoreAudit --auth-id 'felhom@pbs'", denial}}},
		{"own groups, none", pbstest.Stranger, nil, []row{version, {"attic datastore keller", "512 of 1024", "", "", ok},
			{"attic datastores", "as a whole", "", "--auth-id 'other@pbs!birke'", ok},
			{"attic datastore keller", "it is shown its own groups only", "acl update /datastore DatastoreAudit", "--auth-id 'other@pbs!birke'", denial}}},
		{"wrong secret", "felhom@pbs!unknown", nil, []row{
			{"attic GET /version", "401 authentication failed", "user list-tokens 'felhom@pbs'", "", denial}}},
		{"away", pbstest.DatastoreAuditor, func(s *pbstest.Server, _ *server) {
			s.Change("keller", func(st *pbstest.Store) { st.Error = "datastore 'keller' is not mounted" })
		}, []row{version, {"attic datastore keller", "datastore 'keller' is not mounted", "leave it out of the datastores", "", failed}}},
		{"nothing there", pbstest.Auditor, func(_ *pbstest.Server, one *server) { one.Base = "https://127.0.0.1:1" }, []row{
			{"attic GET /version", "connection refused", "systemctl status proxmox-backup-proxy", "", failed}}},
		{"not a PBS", pbstest.Auditor, func(s *pbstest.Server, _ *server) { s.Break("/version", pbstest.Body("<html>")) }, []row{
			{"attic GET /version", "not JSON", "is this a Proxmox Backup Server", "", failed}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := cellar(t)
			s.RemoveStore("usb")
			s.RemoveStore("leer")
			all := servers(t, config(s, c.token))
			if c.spoil != nil {
				c.spoil(s, all.all[0])
			}
			got := all.Describe(t.Context())
			if len(got) != len(c.want) {
				t.Fatalf("got %d rows, want %d: %+v", len(got), len(c.want), got)
			}
			for i, w := range c.want {
				g := got[i]
				if g.Question != w.question || g.Status != w.status || !strings.Contains(g.Found, w.found) || !strings.Contains(g.Hint, w.hint) || !strings.Contains(g.Grant, w.grant) {
					t.Errorf("got %+v\nwant %+v", g, w)
				}
				if (g.Status == ok) != (g.Hint == "") || w.grant == "" && g.Grant != "" || g.Deletes {
					t.Errorf("status, hint and grant do not fit: %+v", g)
				}
			}
		})
	}
	none := servers(t).Describe(t.Context())
	if len(none) != 1 || none[0].Status != messages.SectionNotConfigured || none[0].Bad() {
		t.Errorf("got %+v", none)
	}
}

// Protects the host's backups: a role given below the path from which a token has
// its rights takes those away there.
func TestACommandTakesNoRightAway(t *testing.T) {
	down, here := map[string]bool{backup: true}, map[string]bool{backup: false}
	for _, c := range []struct {
		perms    permissions
		on, want string
	}{
		{nil, "/datastore/keller", "/datastore/keller"},
		{permissions{"/datastore": down}, "/datastore/keller/wald", "/datastore"},
		{permissions{"/": down, "/datastore": down}, "/datastore/keller", "/"},
		{permissions{"/": {"Sys.Audit": true}, "/datastore": down}, "/datastore/keller", "/datastore"},
		{permissions{"/datastore/keller": down}, "/datastore/keller/wald", "/datastore/keller"},
		{permissions{"/datastore": here}, "/datastore/keller", "/datastore/keller"},
		{permissions{"/datastore": here}, "/datastore", "/datastore"},
		{permissions{"/datastore/keller/wald": down}, "/datastore/keller", "/datastore/keller"},
	} {
		if got := c.perms.addAt(c.on); got != c.want {
			t.Errorf("%v: for %s got %s, want %s", c.perms, c.on, got, c.want)
		}
	}
}
