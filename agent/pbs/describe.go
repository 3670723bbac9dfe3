package pbs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// Describe reads every server once and tells what it found, what it was denied
// and the command that grants it. It blocks as Add does, and leaves out of each
// server what its first failure makes pointless.
func (s *Servers) Describe(ctx context.Context) (found []api2.Finding) {
	for _, one := range s.all {
		d := &description{server: one}
		d.ask(ctx, s.now())
		found = append(found, d.found...)
	}
	if len(s.all) == 0 {
		found = append(found, api2.Finding{Question: "pbs", Status: messages.SectionNotConfigured,
			Found: "no Proxmox Backup Server is configured"})
	}
	return found
}

type description struct {
	*server
	perms permissions
	found []api2.Finding
}

func (d *description) ask(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, CollectTimeout)
	defer cancel()
	version, err := d.version(ctx)
	if err != nil {
		d.trouble("GET /version", refused("", "", "", err))
		return
	}
	d.ok("GET /version", "Proxmox Backup Server %s", version)
	d.view(d.look(ctx, now))
}

func (d *description) ok(question, format string, args ...any) {
	d.found = append(d.found, api2.Finding{Question: d.name + " " + question, Status: messages.SectionOK, Found: fmt.Sprintf(format, args...)})
}

// trouble is a row with what to do about it. A remark has the command, too: to
// see a part only may be what the operator wants.
func (d *description) trouble(question string, t trouble) {
	f := api2.Finding{Question: d.name + " " + question, Status: t.status, Found: t.text}
	if t.path != "" {
		f.Grant = d.grant(t.path)
	}
	if t.status != messages.SectionOK {
		f.Hint = d.hint(t)
	}
	d.found = append(d.found, f)
}

func (d *description) view(v *view) {
	d.perms = v.perms
	if paths := v.perms.dangerous(); len(paths) > 0 {
		d.ok("token", "can also DELETE backups, on %s: give it the role DatastoreAudit only", strings.Join(paths, ", "))
	}
	for _, st := range v.stores {
		d.store(v, st)
	}
	for _, t := range v.troubles {
		if t.later {
			continue // what made it so, if anything, has a row of its own
		}
		question := cmp.Or(t.section, "datastores")
		if t.store != "" {
			question = "datastore " + t.store
		}
		d.trouble(question, t)
	}
}

func (d *description) store(v *view, st *store) {
	question := "datastore " + st.Datastore
	if st.TotalBytes > 0 {
		d.ok(question, "%d of %d GiB used, %d verify jobs", st.UsedBytes>>30, st.TotalBytes>>30, len(st.VerifyJobs))
	}
	groups, snapshots := 0, uint64(0)
	for _, g := range v.groups {
		if g.Datastore == st.Datastore {
			groups, snapshots = groups+1, snapshots+g.Count
		}
	}
	if groups > 0 || st.GroupsMissing == "" {
		d.ok(question, "%d groups with %d snapshots in %d namespaces", groups, snapshots, len(st.namespaces))
	}
}

// grant is how an administrator gives the token the right to look, and no more.
// A token has what both it and its user were given.
func (d *description) grant(path string) string {
	path = d.perms.addAt(path)
	user, _, _ := strings.Cut(d.tokenID, "!")
	const command = "proxmox-backup-manager acl update %s DatastoreAudit --auth-id '%s'"
	return fmt.Sprintf(command+" && "+command, path, user, path, d.tokenID)
}

// hint is what to do about a trouble.
func (d *description) hint(t trouble) string {
	user, _, _ := strings.Cut(d.tokenID, "!")
	_, pinned := errors.AsType[*api2.FingerprintError](t.err)
	switch {
	case t.path != "":
		return "on the server: " + d.grant(t.path)
	case t.err == nil:
		return "look at it on the server, or leave it out of the datastores to read"
	case pinned:
		return "compare with 'proxmox-backup-manager cert info' on the server, and set fingerprint to what it says"
	case api2.CertificateError(t.err):
		return "set fingerprint to what 'proxmox-backup-manager cert info' shows on the server, or ca_file to a copy of its /etc/proxmox-backup/proxy.pem; server_name when the certificate is for another name"
	case errors.Is(t.err, fs.ErrPermission):
		return "the agent must be able to read ca_file"
	}
	switch api2.KindOf(t.err) {
	case api2.KindAuth:
		return fmt.Sprintf("check token id, secret and expiry: proxmox-backup-manager user list-tokens '%s'", user)
	case api2.KindUnreachable:
		return "check the url, and on the server: systemctl status proxmox-backup-proxy"
	case api2.KindTimeout:
		return "something on the server hangs, often the disks of a datastore: proxmox-backup-manager datastore list, systemctl status proxmox-backup-proxy"
	case api2.KindAPI:
		return "the server's own words say why; is it in maintenance?"
	}
	return "is this a Proxmox Backup Server at the url, and not something in between?"
}
