package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"felhom.eu/actors"
	"felhom.eu/agent/api2"
	"felhom.eu/agent/config"
	"felhom.eu/agent/uplink"
	"felhom.eu/messages"
)

// selftestSource reads the configured source once and prints what it found and
// what it was denied.
func selftestSource(ctx context.Context, cfg config.Config, stdout io.Writer) error {
	source, err := newSource(cfg)
	if err != nil {
		return err
	}
	if d, ok := source.(describer); ok {
		return describe(ctx, d, stdout)
	}
	r, err := collectOnce(ctx, source)
	if err != nil {
		return err
	}
	return printFound(stdout, r)
}

// describer is a source that tells what it found question by question.
type describer interface {
	Describe(ctx context.Context) []api2.Finding
}

// describe fails when anything was denied, too: what the agent may not see, the
// hub cannot watch.
func describe(ctx context.Context, d describer, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	found := d.Describe(ctx)
	if err := printFindings(stdout, found); err != nil {
		return err
	}
	for _, f := range found {
		if f.Bad() {
			return hinted{fmt.Errorf("%s: %s", f.Question, f.Status), cmp.Or(f.Hint, f.Grant)}
		}
	}
	return nil
}

// printFindings is a table: what was read, what was denied, and below each that
// lacks a right the command that grants it.
func printFindings(w io.Writer, found []api2.Finding) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range found {
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Status, f.Question, f.Found)
		switch {
		case f.Grant != "" && f.Deletes:
			fmt.Fprintf(t, "\t\tgrant (CAN ALSO DELETE): %s\n", f.Grant)
		case f.Grant != "":
			fmt.Fprintf(t, "\t\tgrant: %s\n", f.Grant)
		}
	}
	return t.Flush()
}

// describeTimeout bounds a look at a node of which every part hangs.
const describeTimeout = 3 * time.Minute

func collectOnce(ctx context.Context, source actors.Source) (*messages.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	r, err := source.Collect(ctx)
	if err != nil {
		return nil, fmt.Errorf("collect: %w", err)
	}
	return r, nil
}

func printFound(w io.Writer, r *messages.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := r.Host
	fmt.Fprintf(t, "node\t%s\tkernel %s, up %d s\n", n.Node, n.Kernel, n.UptimeSeconds)
	fmt.Fprintf(t, "processor\t%.1f %%\tof %d threads, load %.2f %.2f %.2f\n", 100*n.CPUUsedRatio, n.CPUCount, n.Load1m, n.Load5m, n.Load15m)
	printUsed(t, "memory", n.MemoryUsedBytes, n.MemoryTotalBytes)
	printUsed(t, "swap", n.SwapUsedBytes, n.SwapTotalBytes)
	printUsed(t, "root", n.RootUsedBytes, n.RootTotalBytes)
	fmt.Fprintf(t, "cloudflared\t%s\t\n", r.Cloudflared.Status)
	fmt.Fprintf(t, "guests\t%d\t%d running\n", len(r.Guests), running(r.Guests))
	names := make([]string, 0, len(r.Sections))
	for name := range r.Sections {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(t, "section %s\t%s\t%s\n", name, r.Sections[name].Status, r.Sections[name].Detail)
	}
	return t.Flush()
}

func printUsed(w io.Writer, name string, used, total uint64) {
	const gib = 1 << 30
	if total == 0 {
		fmt.Fprintf(w, "%s\tnone\t\n", name)
		return
	}
	fmt.Fprintf(w, "%s\t%.1f %%\tof %.1f GiB\n", name, 100*float64(used)/float64(total), float64(total)/gib)
}

func running(guests []messages.Guest) (n int) {
	for _, g := range guests {
		if g.Status == messages.GuestRunning {
			n++
		}
	}
	return n
}

// selftestHub collects and reports once, and prints both documents. The report
// is not numbered: a number would make the hub take the daemon's, should one be
// running, for older ones.
func selftestHub(ctx context.Context, cfg config.Config, stdout io.Writer) error {
	source, err := newSource(cfg)
	if err != nil {
		return err
	}
	client, err := newUplink(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	r, err := collectOnce(ctx, source)
	if err != nil {
		return err
	}
	r.HostID, r.AgentVersion = messages.HostID(cfg.Hub.HostID), Version
	if r.ReportedAt.IsZero() {
		r.ReportedAt = time.Now().UTC()
	}
	if err := printJSON(stdout, "report", r); err != nil {
		return err
	}
	envelope, err := client.Report(ctx, r)
	if err != nil {
		return hinted{fmt.Errorf("report: %w", err), uplinkHint(err)}
	}
	return printJSON(stdout, "envelope", envelope)
}

func printJSON(w io.Writer, name string, document any) error {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return fmt.Errorf("print %s: %w", name, err)
	}
	_, err = fmt.Fprintf(w, "%s: %s\n", name, text)
	return err
}

// uplinkHint says what to look at when a report was not delivered.
func uplinkHint(err error) string {
	refused, ok := errors.AsType[*uplink.HTTPError](err)
	if !ok {
		return "check hub.url, the name's address and the way to it; for a hub with a certificate of its own set hub.ca_file"
	}
	switch refused.Code {
	case messages.CodeUnauthorized:
		return "the hub does not know hub.api_key; felhom-hub host rotate makes a new one"
	case messages.CodeHostMismatch:
		return "hub.api_key belongs to another host than hub.host_id"
	case messages.CodeUnknownHost:
		return "the hub does not know hub.host_id; felhom-hub host mint makes a host"
	case messages.CodeInvalidReport, messages.CodeBodyTooLarge:
		return "hub and agent disagree on what a report is; compare their versions"
	case messages.CodeUnavailable, messages.CodeTooMany, messages.CodeInternal:
		return "the hub is there, but cannot take reports now; its log says why"
	}
	return "something answered that is not a hub; check hub.url"
}
