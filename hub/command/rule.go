package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// Rules are the settings of the rules on reports, as the admin API shows them.
type Rules struct {
	Own       messages.RuleSettings `json:"own"`       // set for the customer or host itself
	Effective messages.RuleSettings `json:"effective"` // what holds for it
}

func (a *app) ruleCommand() *cobra.Command {
	return a.asks(a.group("rule", "See and set thresholds and exclusions",
		&cobra.Command{
			Use: "show CUSTOMER|HOST", Short: "Show what holds for a customer or a host, and what was set for it",
			Args: onlyOwner,
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodGet, rulesPath(args[0]), nil, a.printRules)
			}),
		},
		&cobra.Command{
			Use: "set CUSTOMER|HOST NAME=VALUE…", Short: "Set thresholds and exclusions; they hold at once",
			Long: "Set thresholds and exclusions of a customer or a host; they hold at once, and what is\n" +
				"not named stays as it was. A value that is empty is inherited again.\n\n" + ruleHelp(),
			Example: "  felhom-hub rule set acme backup_warning=8d backup_critical=9d\n" +
				"  felhom-hub rule set acme-7f3a90c1 storage_warning=80% excluded_guests=105,106\n" +
				"  felhom-hub rule set acme-7f3a90c1 pbs_sources=main:acme:backup@pbs!acme",
			Args: func(_ *cobra.Command, args []string) error {
				if len(args) < 2 {
					return errors.New("want a customer or a host, and NAME=VALUE")
				}
				return errors.Join(ownerArg(args[0]), setAll(&messages.RuleSettings{}, args[1:]))
			},
			RunE: a.ask(a.setRules),
		},
		&cobra.Command{
			Use: "reset CUSTOMER|HOST", Short: "Inherit everything again",
			Args: onlyOwner,
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodDelete, rulesPath(args[0]), nil, func(struct{}) error {
					return a.out.Line("%s inherits everything", args[0])
				})
			}),
		},
	))
}

// setRules lays what was named over what is set.
func (a *app) setRules(ctx context.Context, s *session, args []string) error {
	now, err := call[Rules](ctx, s.Client, http.MethodGet, rulesPath(args[0]), nil)
	if err != nil {
		return err
	}
	if err := setAll(&now.Own, args[1:]); err != nil {
		return err
	}
	return told(ctx, a, s, http.MethodPut, rulesPath(args[0]), now.Own, a.printRules)
}

func onlyOwner(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, got %d", len(args))
	}
	return ownerArg(args[0])
}

func ownerArg(id string) error {
	if _, err := messages.ParseHostID(id); err == nil {
		return nil
	}
	_, err := messages.ParseCustomerID(id)
	return err
}

// rulesPath takes what reads as a host's id for one. A customer whose name ends in
// eight hex digits is reached through the API.
func rulesPath(id string) string {
	if _, err := messages.ParseHostID(id); err == nil {
		return "hosts/" + id + "/rules"
	}
	return "customers/" + id + "/rules"
}

// ruleSetting is one name of `rule set`, and how its value is read and shown.
type ruleSetting struct {
	name, help string
	set        func(r *messages.RuleSettings, value string) error
	show       func(r *messages.RuleSettings) string
}

var ruleSettings = []ruleSetting{
	percentage("storage_warning", "percent, 50% to 100%", func(r *messages.RuleSettings) **float64 { return &r.StorageWarningRatio }),
	percentage("storage_critical", "percent", func(r *messages.RuleSettings) **float64 { return &r.StorageCriticalRatio }),
	age("backup_warning", "age of a guest's newest good backup, such as 30h or 8d", func(r *messages.RuleSettings) **int64 { return &r.BackupWarningSeconds }),
	age("backup_critical", "age", func(r *messages.RuleSettings) **int64 { return &r.BackupCriticalSeconds }),
	age("verify", "age of its newest good verification", func(r *messages.RuleSettings) **int64 { return &r.VerifySeconds }),
	age("restore_test", "age of its newest good restore test", func(r *messages.RuleSettings) **int64 { return &r.RestoreTestSeconds }),
	names("disabled_rules", "of "+ruleNames(), func(r *messages.RuleSettings) *[]messages.Rule { return &r.DisabledRules }, ruleNamed),
	names("excluded_guests", "vmids", func(r *messages.RuleSettings) *[]messages.VMID { return &r.ExcludedGuests }, vmidOf),
	names("excluded_storages", "names; root is the root file system", func(r *messages.RuleSettings) *[]string { return &r.ExcludedStorages },
		func(s string) (string, error) { return s, nil }),
	names("pbs_sources", "whose backup groups are the host's: [SERVER/]DATASTORE:NAMESPACE:OWNER, each may be *",
		func(r *messages.RuleSettings) *[]messages.PBSSource { return &r.PBSSources }, sourceNamed),
}

func ruleHelp() string {
	var b strings.Builder
	for _, s := range ruleSettings {
		fmt.Fprintf(&b, "  %-18s %s\n", s.name, s.help)
	}
	b.WriteString("\nLists are separated by commas; none is an empty list, which is not inherited.")
	return b.String()
}

func ruleNames() string {
	words := make([]string, len(messages.Rules))
	for i, r := range messages.Rules {
		words[i] = string(r)
	}
	return strings.Join(words, ", ")
}

func setAll(r *messages.RuleSettings, pairs []string) error {
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		i := slices.IndexFunc(ruleSettings, func(s ruleSetting) bool { return s.name == name })
		if !ok || i < 0 {
			return fmt.Errorf("%q: want NAME=VALUE; see `felhom-hub rule set --help` for the names", pair)
		}
		if err := ruleSettings[i].set(r, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func percentage(name, help string, of func(*messages.RuleSettings) **float64) ruleSetting {
	return ruleSetting{name, help, func(r *messages.RuleSettings, value string) error {
		if value == "" {
			*of(r) = nil
			return nil
		}
		n, err := strconv.Atoi(strings.TrimSuffix(value, "%"))
		if err != nil {
			return fmt.Errorf("%q: want a whole percentage, such as 85%%", value)
		}
		ratio := float64(n) / 100
		*of(r) = &ratio
		return nil
	}, func(r *messages.RuleSettings) string {
		if v := *of(r); v != nil {
			return fmt.Sprintf("%.0f%%", *v*100)
		}
		return ""
	}}
}

func age(name, help string, of func(*messages.RuleSettings) **int64) ruleSetting {
	return ruleSetting{name, help, func(r *messages.RuleSettings, value string) error {
		if value == "" {
			*of(r) = nil
			return nil
		}
		d, err := spanOf(value)
		seconds := int64(d / time.Second)
		*of(r) = &seconds
		return err
	}, func(r *messages.RuleSettings) string {
		if v := *of(r); v != nil {
			return terminal.InWords(time.Duration(*v) * time.Second)
		}
		return ""
	}}
}

// spanOf reads a duration; 8d is eight days.
func spanOf(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q: want an age, such as 30h or 8d", text)
	}
	return d, nil
}

func names[T any](name, help string, of func(*messages.RuleSettings) *[]T, parse func(string) (T, error)) ruleSetting {
	return ruleSetting{name, help, func(r *messages.RuleSettings, value string) error {
		if value == "" {
			*of(r) = nil
			return nil
		}
		list := []T{}
		if value != "none" {
			for word := range strings.SplitSeq(value, ",") {
				v, err := parse(strings.TrimSpace(word))
				if err != nil {
					return err
				}
				list = append(list, v)
			}
		}
		*of(r) = list
		return nil
	}, func(r *messages.RuleSettings) string {
		list := *of(r)
		if list == nil {
			return ""
		}
		words := make([]string, len(list))
		for i, v := range list {
			words[i] = wordOf(v)
		}
		if len(words) == 0 {
			return "none"
		}
		return strings.Join(words, ", ")
	}}
}

func wordOf(v any) string {
	if s, ok := v.(messages.PBSSource); ok {
		return sourceInWords(s)
	}
	return fmt.Sprint(v)
}

func ruleNamed(s string) (messages.Rule, error) {
	r, ok := messages.ParseRule(s)
	if !ok {
		return r, fmt.Errorf("%q: want %s", s, ruleNames())
	}
	return r, nil
}

func vmidOf(s string) (messages.VMID, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n < messages.MinVMID || n > messages.MaxVMID {
		return 0, fmt.Errorf("%q: want vmids, %d to %d", s, messages.MinVMID, messages.MaxVMID)
	}
	return messages.VMID(n), nil
}

// sourceNamed reads [SERVER/]DATASTORE:NAMESPACE:OWNER.
func sourceNamed(s string) (p messages.PBSSource, err error) {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 {
		return p, fmt.Errorf("%q: want DATASTORE:NAMESPACE:OWNER", s)
	}
	server, store, ok := strings.Cut(parts[0], "/")
	if !ok {
		server, store = "", parts[0]
	}
	anything := func(s string) string {
		if s == "*" {
			return ""
		}
		return s
	}
	return messages.PBSSource{Server: anything(server), Datastore: anything(store), Namespace: parts[1], Owner: anything(parts[2])}, nil
}

// sourceInWords is what sourceNamed reads.
func sourceInWords(p messages.PBSSource) string {
	star := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	place := star(p.Datastore)
	if p.Server != "" {
		place = p.Server + "/" + place
	}
	return place + ":" + p.Namespace + ":" + star(p.Owner)
}

func (a *app) printRules(r Rules) error {
	columns := []terminal.Column[ruleSetting]{
		{Title: "rule", Cell: func(s ruleSetting) string { return s.name }},
		{Title: "holds", Cell: func(s ruleSetting) string { return terminal.OrDash(s.show(&r.Effective)) }},
		{Title: "set here", Cell: func(s ruleSetting) string { return terminal.OrDash(s.show(&r.Own)) }},
	}
	return terminal.Tabulate(a.out, columns, terminal.All(ruleSettings), "")
}

// protectionCommand shows how well guests could be brought back.
func (a *app) protectionCommand() *cobra.Command {
	var customer, host, state string
	cmd := &cobra.Command{
		Use: "protection", Short: "Show for each guest: backed up, verified, restore-tested",
		Args: func(cmd *cobra.Command, args []string) error {
			if _, ok := messages.ParseProtectionState(state); state != "" && !ok {
				return fmt.Errorf("--state %q: want protected, attention, unprotected or unknown", state)
			}
			if host != "" && (customer != "" || state != "") {
				return errors.New("--host shows all guests of one host; it goes with no other filter")
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			path, q := "protection", filter("customer_id", customer, "state", state)
			if host != "" {
				if _, err := messages.ParseHostID(host); err != nil {
					return err
				}
				path = "hosts/" + host + "/protection"
			}
			return show(a, list[messages.Protection](ctx, s.Client, path, q), list[json.RawMessage](ctx, s.Client, path, q),
				a.protectionColumns(), "no guest is known")
		}),
	}
	f := cmd.Flags()
	f.StringVar(&customer, "customer", "", "only guests of `CUSTOMER`")
	f.StringVar(&host, "host", "", "only guests of `HOST`")
	f.StringVar(&state, "state", "", "only guests that are `STATE`: protected, attention, unprotected or unknown")
	return a.asks(cmd)
}

func (a *app) protectionColumns() []terminal.Column[messages.Protection] {
	link := func(of func(messages.Protection) messages.ProtectionLink) func(messages.Protection) string {
		return func(p messages.Protection) string {
			l := of(p)
			if l.AgeSeconds == nil {
				return string(l.State)
			}
			return string(l.State) + ", " + terminal.InWords(time.Duration(*l.AgeSeconds)*time.Second)
		}
	}
	return []terminal.Column[messages.Protection]{
		{Title: "host", Cell: func(p messages.Protection) string { return string(p.HostID) }},
		{Title: "guest", Right: true, Cell: func(p messages.Protection) string { return fmt.Sprint(p.VMID) }},
		{Title: "name", Cell: func(p messages.Protection) string { return terminal.OrDash(p.Name) }},
		{Title: "protection", Cell: func(p messages.Protection) string { return string(p.State) }, Style: a.out.State},
		{Title: "backup", Cell: link(func(p messages.Protection) messages.ProtectionLink { return p.Backup })},
		{Title: "verified", Cell: link(func(p messages.Protection) messages.ProtectionLink { return p.Verify })},
		{Title: "restore test", Cell: link(func(p messages.Protection) messages.ProtectionLink { return p.RestoreTest })},
		{Title: "in", Cell: func(p messages.Protection) string {
			if p.Source == nil {
				return terminal.OrDash("")
			}
			return sourceInWords(*p.Source)
		}},
	}
}
