package proxmox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// DefaultURL is pveproxy on the agent's own machine.
const DefaultURL = "https://localhost:8006"

// CollectTimeout is how long a collection takes at most when the node answers
// at all: both lists run into pveproxy's own limit of 30 s.
const CollectTimeout = quickTimeout + slowTimeout

// Config is where the node is and who asks.
type Config struct {
	URL     string          // https://host:8006; empty is DefaultURL
	TokenID string          // user@realm!tokenid
	Token   messages.Secret // the token's secret, a UUID
	Node    string          // the node's name in the cluster; empty to find it out

	// How the node proves itself; all empty: the system's roots. With both
	// CAFile and Fingerprint, both must hold.
	CAFile      string // PEM, usually /etc/pve/pve-root-ca.pem; read anew at every connection
	Fingerprint string // SHA-256 of the certificate, in any case, colons or not
	ServerName  string // the name in the certificate, when it is not the URL's host

	// Period is how often disks, backup jobs and the contents of storages are
	// read; 0 is DefaultPeriod.
	Period     time.Duration
	Scratch    ScratchRange // where restores are tests; the zero value: nowhere
	ResultsDir string       // of the operator's restore tests (package restore); empty: none
}

// DefaultPeriod is how often what changes slowly, or is dear to ask, is read.
const DefaultPeriod = time.Hour

// Source reads one Proxmox VE node. Its methods are not for several goroutines
// at once.
type Source struct {
	client    *client
	tokenID   string
	node      string // found or configured; "" until then
	localLink string // points to the node's own directory, nodes/<name>
	hostname  func() string
	cycle     uint64
	known     map[messages.VMID]knownSpec
	memory
}

// memory is what collections know from earlier reports.
type memory struct {
	period     time.Duration
	scratch    ScratchRange
	resultsDir string
	zone       *time.Location // of the node's clock, as far as is known

	warm          bool      // the first report was made
	storagesAgain time.Time // no question for storages before, after they hung
	keptJobs      kept[jobBook]
	keptDisks     kept[messages.Items[messages.Disk]]
	keptPools     kept[messages.Items[messages.ZFSPool]]
	listings      map[string]*kept[listing] // by storage

	allTasks bool                   // the whole list of backup tasks was read once
	caughtUp bool                   // and the logs of all of it
	dumps    map[string]*backupTask // by UPID: those listed, and those still to be read
	pasts    map[messages.VMID]*past

	allRestores bool
	restores    map[string]*restoreTask // by UPID, the newest maxRestores
}

// Token and realm names (pve-access-control, PVE/Auth/Plugin.pm).
var (
	tokenGrammar  = regexp.MustCompile(`^[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+$`)
	secretGrammar = regexp.MustCompile(`^[!-~]+$`)
	nodeGrammar   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
)

// New makes a Source. It checks the configuration and touches neither network
// nor disk.
func New(cfg Config) (*Source, error) {
	base, err := api2.ParseURL(cmp.Or(cfg.URL, DefaultURL))
	if err != nil {
		return nil, err
	}
	if !tokenGrammar.MatchString(cfg.TokenID) {
		return nil, fmt.Errorf("token id %.80q: want user@realm!tokenid", cfg.TokenID)
	}
	if !secretGrammar.MatchString(cfg.Token.Reveal()) {
		return nil, errors.New("token: want the secret that Proxmox showed once, without blanks")
	}
	if cfg.Node == "localhost" || cfg.Node != "" && !nodeGrammar.MatchString(cfg.Node) {
		return nil, fmt.Errorf("node %.80q: want the node's name in the cluster, its host name up to the first dot", cfg.Node)
	}
	t := &api2.Trust{CAFile: cfg.CAFile, ServerName: cfg.ServerName}
	if cfg.Fingerprint != "" {
		if t.Pin, err = api2.NormalFingerprint(cfg.Fingerprint); err != nil {
			return nil, err
		}
	}
	return &Source{
		client:    newClient(base, cfg.TokenID, cfg.Token, t),
		tokenID:   cfg.TokenID,
		node:      cfg.Node,
		localLink: "/etc/pve/local",
		hostname:  hostname,
		memory: memory{
			period: cmp.Or(cfg.Period, DefaultPeriod), scratch: cfg.Scratch, resultsDir: cfg.ResultsDir, zone: time.Local,
			listings: map[string]*kept[listing]{}, dumps: map[string]*backupTask{}, pasts: map[messages.VMID]*past{},
			restores: map[string]*restoreTask{},
		},
	}, nil
}

// Collect reads the node and its guests; it blocks until they are read or ctx
// ends. An error means that the node's status could not be read: there is
// nothing to report then. What else could not be read is in Sections, and its
// collection is empty. HostID, Cloudflared and what orders reports are left to
// the caller.
func (s *Source) Collect(ctx context.Context) (*messages.Report, error) {
	node, err := s.nodeName(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the node's name: %w", err)
	}
	status, err := s.client.nodeStatus(ctx, node)
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", node, err)
	}
	seen := s.survey(ctx, node)
	r := &messages.Report{Host: status.node(node, seen.stats), Sections: map[string]messages.Section{}}
	for _, name := range []string{messages.SectionPBSSnapshots, messages.SectionPBSDatastores} {
		r.Sections[name] = messages.Section{Status: messages.SectionNotConfigured}
	}
	r.Guests, r.Sections[messages.SectionGuests] = s.guests(ctx, node, r.Host.CPUCount, seen)
	s.collections(ctx, node, seen, r)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("read node %s: %w", node, ctx.Err()) // half a report is worse than none
	}
	return r, nil
}

// guests turns what was seen into the report's guests, and says how good they
// are. A guest whose configuration cannot be read is of unknown status.
func (s *Source) guests(ctx context.Context, node string, threads uint64, seen *survey) (messages.List[messages.Guest], messages.Section) {
	if seen.err != nil {
		return nil, api2.SectionOf(seen.err)
	}
	if n := len(seen.guests); n > messages.MaxGuests {
		return nil, messages.Section{Status: messages.SectionFailed,
			Detail: fmt.Sprintf("%d guests, a report holds %d", n, messages.MaxGuests)}
	}
	s.cycle++
	known, err := s.specs(ctx, node, threads, seen)
	s.known = known
	if err != nil {
		seen.notes = append(seen.notes, "configuration unknown: "+err.Error())
	}
	list := messages.List[messages.Guest]{}
	for _, id := range seen.vmids() {
		g := seen.guests[id]
		k, ok := known[id]
		if bool(g.Template) || k.template {
			continue
		}
		guest := g.report(id)
		if ok {
			guest.Spec, guest.OnBoot = &k.GuestSpec, k.onBoot
		} else {
			guest.Status = messages.GuestUnknown
		}
		list = append(list, guest)
	}
	return list, vouch(list, seen)
}

// vouch asks whether the token would have seen every guest. Without the right
// to, Proxmox answers with an empty list, not a refusal.
func vouch(list messages.List[messages.Guest], seen *survey) messages.Section {
	perms, err, notes := seen.perms, seen.permsErr, seen.notes
	section := messages.Section{Status: messages.SectionOK}
	switch {
	case err != nil && len(list) == 0:
		return messages.Section{Status: messages.SectionFailed,
			Detail: api2.OneLine("empty, and the token's permissions are unknown: " + err.Error())}
	case err != nil:
		notes = append(notes, "permissions unknown: "+err.Error())
	case !perms.below("/vms", "VM.Audit") && len(list) == 0:
		return messages.Section{Status: messages.SectionDenied,
			Detail: "token lacks VM.Audit on /vms: it is shown no guest, which does not mean that there is none"}
	case !perms.below("/vms", "VM.Audit"):
		notes = append(notes, "token lacks VM.Audit on /vms as a whole: guests it may not see are missing")
	}
	section.Detail = api2.OneLine(strings.Join(notes, "; "))
	return section
}
