package proxmox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// Describe reads every source once and tells what it found, what it was denied
// and the command that grants it. It stops at the first failure that makes the
// rest pointless. It blocks as Collect does.
func (s *Source) Describe(ctx context.Context) []api2.Finding {
	d := &description{Source: s}
	if !d.version(ctx) {
		return d.found
	}
	d.permissions(ctx)
	node, err := s.nodeName(ctx)
	if err != nil {
		d.fail("name of the node", err)
		return d.found
	}
	d.status(ctx, node)
	d.guests(ctx, node)
	if r := d.report(ctx); r != nil {
		d.collections(r)
	}
	return d.found
}

type description struct {
	*Source
	found    []api2.Finding
	seesNone bool // the token is shown no guest, whatever there is
	perms    permissions
}

func (d *description) ok(question, format string, args ...any) {
	d.found = append(d.found, api2.Finding{Question: question, Status: messages.SectionOK, Found: fmt.Sprintf(format, args...)})
}

func (d *description) fail(question string, err error) {
	f := api2.Finding{Question: question, Status: api2.SectionOf(err).Status, Found: err.Error()}
	if api2.KindOf(err) == api2.KindForbidden {
		f.Grant = d.grant()
	} else {
		f.Hint = d.hint(err)
	}
	d.found = append(d.found, f)
}

func (d *description) deny(question, format string, args ...any) {
	d.found = append(d.found, api2.Finding{
		Question: question, Status: messages.SectionDenied, Found: fmt.Sprintf(format, args...), Grant: d.grant()})
}

func (d *description) version(ctx context.Context) bool {
	q := question{path: path("version")}
	v, err := read[struct {
		Version string `json:"version"`
	}](ctx, d.client, q)
	if err != nil {
		d.fail("GET "+q.path, err)
		return false
	}
	d.ok("GET "+q.path, "Proxmox VE %s", v.Version)
	return true
}

func (d *description) permissions(ctx context.Context) {
	const question = "GET /access/permissions"
	p, err := d.client.permissions(ctx)
	if err != nil {
		d.fail(question, err)
		return
	}
	d.perms = p
	var missing []string
	for _, need := range [][2]string{{"/", "Sys.Audit"}, {"/nodes", "Sys.Audit"}, {"/vms", "VM.Audit"}, {"/storage", "Datastore.Audit"}} {
		if !p.below(need[0], need[1]) {
			missing = append(missing, need[1]+" on "+need[0])
		}
	}
	if len(missing) > 0 {
		d.seesNone = !p.below("/vms", "VM.Audit")
		d.deny(question, "missing: %s", strings.Join(missing, ", "))
		return
	}
	d.ok(question, "Sys.Audit on /, VM.Audit on /vms, Datastore.Audit on /storage")
}

func (d *description) status(ctx context.Context, node string) {
	question := "GET " + path("nodes", node, "status")
	st, err := d.client.nodeStatus(ctx, node)
	if err != nil {
		d.fail(question, err)
		return
	}
	n := st.node(node, nil)
	d.ok(question, "kernel %s, %d threads, %d of %d MiB memory used", n.Kernel, n.CPUCount, n.MemoryUsedBytes>>20, n.MemoryTotalBytes>>20)
}

func (d *description) guests(ctx context.Context, node string) {
	for _, q := range []question{
		{path: path("nodes", node, kindLXC), slow: true},
		{path: path("nodes", node, kindQEMU), slow: true},
		{path: path("cluster", "resources")},
	} {
		rows, bad, err := readRows[guestRow](ctx, d.client, q)
		switch {
		case err != nil:
			d.fail("GET "+q.path, err)
		case len(bad) > 0:
			d.fail("GET "+q.path, bad[0])
		case len(rows) == 0 && d.seesNone:
			d.deny("GET "+q.path, "empty, as VM.Audit on /vms is missing")
		default:
			d.ok("GET "+q.path, "%d rows", len(rows))
		}
	}
}

// report is what a hub would be sent, configurations included.
func (d *description) report(ctx context.Context) *messages.Report {
	const question = "report"
	r, err := d.Collect(ctx)
	if err != nil {
		d.fail(question, err)
		return nil
	}
	specs := 0
	for _, g := range r.Guests {
		if g.Spec != nil {
			specs++
		}
	}
	f := api2.Finding{Question: question, Status: r.Sections["guests"].Status,
		Found: fmt.Sprintf("node %s, %d guests, %d with their configuration", r.Host.Node, len(r.Guests), specs)}
	if detail := r.Sections["guests"].Detail; detail != "" {
		f.Found += "; " + detail
	}
	if f.Status != messages.SectionOK {
		f.Hint = d.lastHint()
	}
	d.found = append(d.found, f)
	return r
}

// lastHint belongs to the question before that spoiled the report.
func (d *description) lastHint() string {
	for _, f := range slices.Backward(d.found) {
		if f.Bad() {
			return cmp.Or(f.Hint, f.Grant)
		}
	}
	return "run it again: it failed only just now"
}

// grant is how an administrator gives the token what it needs. A token of its
// own privileges has only what both it and its user have.
func (s *Source) grant() string {
	user, _, _ := strings.Cut(s.tokenID, "!")
	return fmt.Sprintf("pveum acl modify / --users '%s' --roles PVEAuditor && pveum acl modify / --tokens '%s' --roles PVEAuditor",
		user, s.tokenID)
}

// hint is what to do about an error.
func (s *Source) hint(err error) string {
	user, _, _ := strings.Cut(s.tokenID, "!")
	_, pinned := errors.AsType[*api2.FingerprintError](err)
	e, asked := errors.AsType[*api2.Error](err)
	switch {
	case pinned:
		return "compare with 'pvenode cert info' on the node, and set fingerprint to what it says"
	case api2.CertificateError(err):
		return "set ca_file to /etc/pve/pve-root-ca.pem or fingerprint to the node's; server_name when the certificate is for another name"
	case errors.Is(err, fs.ErrPermission):
		return "the agent must be able to read ca_file: files below /etc/pve are for root and group www-data"
	case !asked:
		return "set node to a name that 'pvesh get /nodes' shows"
	}
	switch e.Kind {
	case api2.KindAuth:
		return fmt.Sprintf("check token id, secret and expiry: pveum user token list '%s'", user)
	case api2.KindUnreachable:
		if e.Status != 0 {
			return "pveproxy answers but pvedaemon or the node behind it does not: systemctl status pvedaemon"
		}
		return "check the url, and on the node: systemctl status pveproxy"
	case api2.KindTimeout:
		return "something on the node hangs, often a storage: pvesm status, systemctl status pvedaemon"
	case api2.KindAPI:
		return "set node to a name that 'pvesh get /nodes' shows; this is Proxmox VE 7 or newer at the url?"
	}
	return "is this Proxmox VE at the url, and not something in between?"
}
