package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/messages"
)

func (a *app) hostCommand() *cobra.Command {
	return a.asks(a.group("host", "Mint hosts and see how they are",
		&cobra.Command{
			Use: "mint CUSTOMER", Short: "Make a host and its API key, and print what to put on it",
			Args: idArg(messages.ParseCustomerID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodPost, "hosts", map[string]string{"customer_id": args[0]},
					func(k HostKey) error { return a.printMinted(s, k) })
			}),
		},
		a.hostListCommand(),
		&cobra.Command{
			Use: "show HOST", Short: "Show one host as last reported", Args: idArg(messages.ParseHostID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodGet, "hosts/"+args[0], nil, a.showHost)
			}),
		},
		&cobra.Command{
			Use: "rotate HOST", Short: "Make a new API key; the old one ends when the new one is first used",
			Args: idArg(messages.ParseHostID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodPost, "hosts/"+args[0]+"/rotate-key", nil, a.printRotated)
			}),
		},
		a.hostVerb("revoke", "End a host's API key now", http.MethodPost, "/revoke-key", "has no valid key any more"),
		a.hostVerb("remove", "Remove a host; its events stay", http.MethodDelete, "", "removed"),
	))
}

func (a *app) hostListCommand() *cobra.Command {
	var customer, state string
	cmd := &cobra.Command{
		Use: "list", Short: "List hosts and their state",
		Args: func(cmd *cobra.Command, args []string) error {
			if state != "" && !slices.Contains([]string{"new", "ok", "stale", "down"}, state) {
				return fmt.Errorf("--state %q: want new, ok, stale or down", state)
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			q := filter("customer_id", customer, "state", state)
			return show(a, s.Hosts(ctx, q), list[json.RawMessage](ctx, s.Client, "hosts", q),
				a.hostColumns(), "no such host; felhom-hub host mint makes one")
		}),
	}
	cmd.Flags().StringVar(&customer, "customer", "", "only hosts of `CUSTOMER`")
	cmd.Flags().StringVar(&state, "state", "", "only hosts that are `STATE`: new, ok, stale or down")
	return cmd
}

// hostVerb is a command that does one thing to one host.
func (a *app) hostVerb(verb, short, method, suffix, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " HOST", Short: short, Args: idArg(messages.ParseHostID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			return told(ctx, a, s, method, "hosts/"+args[0]+suffix, nil, func(struct{}) error {
				return a.out.line("host %s %s", args[0], done)
			})
		}),
	}
}

// mintedText is what to do on the host, as root: url, host_id, api_key.
const mintedText = `On the Proxmox node, as root (a token that may read, and nothing else):

  pveum user add felhom@pve
  pveum acl modify / --users felhom@pve --roles PVEAuditor
  pveum user token add felhom@pve agent --privsep 0

  install -d -m 0755 /etc/felhom
  (umask 077; cat > /etc/felhom/agent.env) <<'END'
FELHOM_AGENT_HUB_URL=%[1]s
FELHOM_AGENT_HUB_HOST_ID=%[2]s
FELHOM_AGENT_HUB_API_KEY=%[3]s
FELHOM_AGENT_PROXMOX_TOKEN_ID=felhom@pve!agent
FELHOM_AGENT_PROXMOX_TOKEN_SECRET=the value that pveum printed
END
  systemctl restart felhom-agent

On a machine without Proxmox, FELHOM_AGENT_SOURCE=local stands for the last two
variables. To see one report before the daemon runs, export the variables and:

  felhom-agent --selftest=hub`

func (a *app) printMinted(s *session, k HostKey) error {
	return errors.Join(
		a.out.pairs([2]string{"host_id", string(k.HostID)}, [2]string{"api_key", k.APIKey}),
		a.out.line("\nThe key is shown this once; the hub keeps only its hash.\n"),
		a.out.line(mintedText, strings.TrimSuffix(s.agents, "/"), k.HostID, k.APIKey),
	)
}

func (a *app) printRotated(k HostKey) error {
	return errors.Join(
		a.out.pairs([2]string{"api_key", k.APIKey}),
		a.out.line("\nThe old key works until this one is first used, at most 24 hours."),
	)
}

func (a *app) hostColumns() []column[Host] {
	now := time.Now()
	return []column[Host]{
		{title: "host", cell: func(h Host) string { return string(h.HostID) }},
		{title: "state", cell: func(h Host) string { return a.out.state(h.State) }},
		{title: "since", cell: func(h Host) string { return ago(h.StateSince, now) }},
		{title: "last report", cell: func(h Host) string { return ago(h.LastReportAt, now) }},
		{title: "cpu", right: true, cell: func(h Host) string { return percent(h.CPUPercent) }},
		{title: "memory", right: true, cell: func(h Host) string { return percent(h.MemoryPercent) }},
		{title: "disk", right: true, cell: func(h Host) string { return percent(h.DiskPercent) }},
		{title: "guests", right: true, cell: guestsOf},
		{title: "tunnel", cell: func(h Host) string { return orDash(h.Cloudflared) }},
		{title: "agent", cell: func(h Host) string { return orDash(h.AgentVersion) }},
	}
}

func guestsOf(h Host) string { return fmt.Sprintf("%d/%d", h.GuestRunning, h.GuestTotal) }

func (a *app) showHost(h Host) error {
	now := time.Now()
	if err := a.out.pairs(
		[2]string{"host", string(h.HostID)},
		[2]string{"customer", string(h.CustomerID)},
		[2]string{"state", a.out.state(h.State) + ", since " + ago(h.StateSince, now)},
		[2]string{"last report", ago(h.LastReportAt, now)},
		[2]string{"clock", skewInWords(h.SkewSeconds)},
		[2]string{"agent", h.AgentVersion},
		[2]string{"tunnel", h.Cloudflared},
		[2]string{"cpu", percent(h.CPUPercent)},
		[2]string{"memory", percent(h.MemoryPercent)},
		[2]string{"disk", percent(h.DiskPercent)},
		[2]string{"guests", guestsOf(h) + " running"},
	); err != nil {
		return err
	}
	return errors.Join(a.showNode(h.Host), a.showGuests(h.Guests), a.showSections(h.Sections))
}

// skewInWords says nothing of a clock that is right to the second or two that
// a report travels.
func skewInWords(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d.Abs() < 3*time.Second:
		return ""
	case d > 0:
		return inWords(d) + " ahead of the hub's"
	}
	return inWords(d) + " behind the hub's"
}

func (a *app) showNode(n *messages.Node) error {
	if n == nil {
		return nil
	}
	return errors.Join(a.out.line(""), a.out.pairs(
		[2]string{"node", n.Node},
		[2]string{"proxmox", n.PVEVersion},
		[2]string{"kernel", n.Kernel},
		[2]string{"up", inWords(time.Duration(n.UptimeSeconds) * time.Second)},
		[2]string{"load", fmt.Sprintf("%.2f %.2f %.2f on %d threads", n.Load1m, n.Load5m, n.Load15m, n.CPUCount)},
		[2]string{"memory", size(n.MemoryUsedBytes) + " of " + size(n.MemoryTotalBytes)},
		[2]string{"swap", size(n.SwapUsedBytes) + " of " + size(n.SwapTotalBytes)},
		[2]string{"root", size(n.RootUsedBytes) + " of " + size(n.RootTotalBytes)},
	))
}

func (a *app) showGuests(guests []messages.Guest) error {
	if len(guests) == 0 {
		return nil
	}
	columns := []column[messages.Guest]{
		{title: "guest", right: true, cell: func(g messages.Guest) string { return fmt.Sprint(g.VMID) }},
		{title: "kind", cell: func(g messages.Guest) string { return orDash(g.Kind) }},
		{title: "name", cell: func(g messages.Guest) string { return orDash(g.Name) }},
		{title: "status", cell: func(g messages.Guest) string { return a.out.state(g.Status) }},
		{title: "memory", right: true, cell: func(g messages.Guest) string { return size(g.MemoryUsedBytes) }},
	}
	return errors.Join(a.out.line(""), tabulate(a.out, columns, without(guests), ""))
}

// showSections tells which collections the agent could not vouch for.
func (a *app) showSections(sections map[string]messages.Section) error {
	type row struct {
		name string
		messages.Section
	}
	var rows []row
	for name, s := range sections {
		if s.Status != messages.SectionOK && s.Status != messages.SectionNotConfigured {
			rows = append(rows, row{name, s})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].name < rows[j].name })
	columns := []column[row]{
		{title: "unknown", cell: func(r row) string { return r.name }},
		{title: "because", cell: func(r row) string { return a.out.state(string(r.Status)) }},
		{title: "detail", cell: func(r row) string { return orDash(r.Detail) }},
	}
	return errors.Join(a.out.line(""), tabulate(a.out, columns, without(rows), ""))
}

// without is items that no error can interrupt.
func without[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// filter is a query of the pairs whose value is given.
func filter(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
