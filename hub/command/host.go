package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

func (a *app) hostCommand() *cobra.Command {
	return a.asks(a.group("host", "Mint hosts and see how they are",
		a.hostMintCommand(),
		a.hostListCommand(),
		&cobra.Command{
			Use: "show HOST", Short: "Show one host as last reported", Args: idArg(messages.ParseHostID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodGet, "hosts/"+args[0], nil, a.showHost)
			}),
		},
		a.hostSeriesCommand(),
		a.availabilityCommand("HOST", "hosts", "Show how much of each month a host could be heard", idArg(messages.ParseHostID)),
		&cobra.Command{
			Use: "rotate HOST", Short: "Make a new API key; the old one ends when the new one is first used",
			Args: idArg(messages.ParseHostID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodPost, "hosts/"+args[0]+"/rotate-key", nil, a.printRotated)
			}),
		},
		&cobra.Command{
			Use: "site HOST SITE", Short: "Say where a host stands; '' for nowhere",
			Args: func(_ *cobra.Command, args []string) error {
				if len(args) != 2 {
					return fmt.Errorf("want two arguments, got %d", len(args))
				}
				_, err := messages.ParseHostID(args[0])
				return err
			},
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodPut, "hosts/"+args[0]+"/site", map[string]string{"site": args[1]}, func(struct{}) error {
					return a.out.Line("host %s: site %s", args[0], terminal.OrDash(args[1]))
				})
			}),
		},
		a.hostVerb("revoke", "End a host's API key now", http.MethodPost, "/revoke-key", "has no valid key any more"),
		a.hostVerb("remove", "Remove a host; its events stay", http.MethodDelete, "", "removed"),
	))
}

func (a *app) hostMintCommand() *cobra.Command {
	var interval int
	var site string
	cmd := &cobra.Command{
		Use: "mint CUSTOMER", Short: "Make a host and its API key, and print what to put on it",
		Args: idArg(messages.ParseCustomerID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			body := map[string]any{"customer_id": args[0]}
			if interval != 0 {
				body["poll_interval_seconds"] = interval
			}
			if site != "" {
				body["site"] = site
			}
			return told(ctx, a, s, http.MethodPost, "hosts", body, func(k HostKey) error { return a.printMinted(s, k) })
		}),
	}
	cmd.Flags().IntVar(&interval, "poll-interval-seconds", 0, "the host's own interval in `SECONDS` (default: the hub's)")
	cmd.Flags().StringVar(&site, "site", "", "where it stands (`NAME`): hosts of a site fail together")
	return cmd
}

func (a *app) hostListCommand() *cobra.Command {
	var customer, state, site string
	cmd := &cobra.Command{
		Use: "list", Short: "List hosts and their state",
		Args: func(cmd *cobra.Command, args []string) error {
			if state != "" && !slices.Contains([]string{"new", "ok", "stale", "down"}, state) {
				return fmt.Errorf("--state %q: want new, ok, stale or down", state)
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			q := filter("customer_id", customer, "state", state, "site", site)
			return show(a, s.Hosts(ctx, q), list[json.RawMessage](ctx, s.Client, "hosts", q),
				HostColumns(a.out, time.Now()), "no such host; felhom-hub host mint makes one")
		}),
	}
	cmd.Flags().StringVar(&customer, "customer", "", "only hosts of `CUSTOMER`")
	cmd.Flags().StringVar(&state, "state", "", "only hosts that are `STATE`: new, ok, stale or down")
	cmd.Flags().StringVar(&site, "site", "", "only hosts of the site `NAME`")
	return cmd
}

// hostVerb is a command that does one thing to one host.
func (a *app) hostVerb(verb, short, method, suffix, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " HOST", Short: short, Args: idArg(messages.ParseHostID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			return told(ctx, a, s, method, "hosts/"+args[0]+suffix, nil, func(struct{}) error {
				return a.out.Line("host %s %s", args[0], done)
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
		a.out.Facts(terminal.Fact{Name: "host_id", Value: string(k.HostID)}, terminal.Fact{Name: "api_key", Value: k.APIKey}),
		a.out.Line("\nThe key is shown this once; the hub keeps only its hash.\n"),
		a.out.Line(mintedText, strings.TrimSuffix(s.agents, "/"), k.HostID, k.APIKey),
	)
}

func (a *app) printRotated(k HostKey) error {
	return errors.Join(
		a.out.Facts(terminal.Fact{Name: "api_key", Value: k.APIKey}),
		a.out.Line("\nThe old key works until this one is first used, at most 24 hours."),
	)
}

// HostColumns are the columns of a list of hosts, as of now.
func HostColumns(o terminal.Output, now time.Time) []terminal.Column[Host] {
	return []terminal.Column[Host]{
		{Title: "host", Cell: func(h Host) string { return string(h.HostID) }},
		{Title: "state", Cell: func(h Host) string { return h.State }, Style: o.State},
		{Title: "since", Cell: func(h Host) string { return terminal.Ago(h.StateSince, now) }},
		{Title: "last report", Cell: func(h Host) string { return terminal.Ago(h.LastReportAt, now) }},
		{Title: "cpu", Right: true, Cell: func(h Host) string { return terminal.Percent(h.CPUPercent) }},
		{Title: "memory", Right: true, Cell: func(h Host) string { return terminal.Percent(h.MemoryPercent) }},
		{Title: "disk", Right: true, Cell: func(h Host) string { return terminal.Percent(h.DiskPercent) }},
		{Title: "guests", Right: true, Cell: guestsOf},
		{Title: "tunnel", Cell: func(h Host) string { return terminal.OrDash(h.Cloudflared) }},
		{Title: "agent", Cell: func(h Host) string { return terminal.OrDash(h.AgentVersion) }},
		{Title: "site", Cell: func(h Host) string { return terminal.OrDash(h.Site) }},
	}
}

func guestsOf(h Host) string {
	if h.GuestTotal == nil || h.GuestRunning == nil {
		return terminal.OrDash("")
	}
	return fmt.Sprintf("%d/%d", *h.GuestRunning, *h.GuestTotal)
}

func guestsInWords(h Host) string {
	if h.GuestTotal == nil {
		return "unknown"
	}
	return guestsOf(h) + " running"
}

func (a *app) showHost(h Host) error {
	now := time.Now()
	if err := a.out.Facts(
		terminal.Fact{Name: "host", Value: string(h.HostID)},
		terminal.Fact{Name: "customer", Value: string(h.CustomerID)},
		terminal.Fact{Name: "site", Value: h.Site},
		terminal.Fact{Name: "state", Value: h.State, Style: a.out.State},
		terminal.Fact{Name: "since", Value: terminal.Ago(h.StateSince, now)},
		terminal.Fact{Name: "last report", Value: terminal.Ago(h.LastReportAt, now)},
		terminal.Fact{Name: "clock", Value: skewInWords(h.SkewSeconds)},
		terminal.Fact{Name: "agent", Value: h.AgentVersion},
		terminal.Fact{Name: "tunnel", Value: h.Cloudflared},
		terminal.Fact{Name: "cpu", Value: terminal.Percent(h.CPUPercent)},
		terminal.Fact{Name: "memory", Value: terminal.Percent(h.MemoryPercent)},
		terminal.Fact{Name: "disk", Value: terminal.Percent(h.DiskPercent)},
		terminal.Fact{Name: "guests", Value: guestsInWords(h)},
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
		return terminal.InWords(d) + " ahead of the hub's"
	}
	return terminal.InWords(d) + " behind the hub's"
}

func (a *app) showNode(n *messages.Node) error {
	if n == nil {
		return nil
	}
	return errors.Join(a.out.Line(""), a.out.Facts(
		terminal.Fact{Name: "node", Value: n.Node},
		terminal.Fact{Name: "proxmox", Value: n.PVEVersion},
		terminal.Fact{Name: "kernel", Value: n.Kernel},
		terminal.Fact{Name: "up", Value: terminal.InWords(time.Duration(n.UptimeSeconds) * time.Second)},
		terminal.Fact{Name: "load", Value: fmt.Sprintf("%.2f %.2f %.2f on %d threads", n.Load1m, n.Load5m, n.Load15m, n.CPUCount)},
		terminal.Fact{Name: "memory", Value: terminal.Size(n.MemoryUsedBytes) + " of " + terminal.Size(n.MemoryTotalBytes)},
		terminal.Fact{Name: "swap", Value: terminal.Size(n.SwapUsedBytes) + " of " + terminal.Size(n.SwapTotalBytes)},
		terminal.Fact{Name: "root", Value: terminal.Size(n.RootUsedBytes) + " of " + terminal.Size(n.RootTotalBytes)},
	))
}

func (a *app) showGuests(guests []messages.Guest) error {
	if len(guests) == 0 {
		return nil
	}
	columns := []terminal.Column[messages.Guest]{
		{Title: "guest", Right: true, Cell: func(g messages.Guest) string { return fmt.Sprint(g.VMID) }},
		{Title: "kind", Cell: func(g messages.Guest) string { return terminal.OrDash(g.Kind) }},
		{Title: "name", Cell: func(g messages.Guest) string { return terminal.OrDash(g.Name) }},
		{Title: "status", Cell: func(g messages.Guest) string { return g.Status }, Style: a.out.State},
		{Title: "memory", Right: true, Cell: func(g messages.Guest) string { return terminal.Size(g.MemoryUsedBytes) }},
	}
	return errors.Join(a.out.Line(""), terminal.Tabulate(a.out, columns, terminal.All(guests), ""))
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
	columns := []terminal.Column[row]{
		{Title: "unknown", Cell: func(r row) string { return r.name }},
		{Title: "because", Cell: func(r row) string { return string(r.Status) }, Style: a.out.State},
		{Title: "detail", Cell: func(r row) string { return terminal.OrDash(r.Detail) }},
	}
	return errors.Join(a.out.Line(""), terminal.Tabulate(a.out, columns, terminal.All(rows), ""))
}
