package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// EnrollToken is an enrolment token as the admin API shows it. Token is set in the
// answer that made it only.
type EnrollToken struct {
	ID          messages.TokenID    `json:"token_id"`
	CustomerID  messages.CustomerID `json:"customer_id"`
	NodePattern string              `json:"node_pattern"`
	Uses        int                 `json:"uses"`
	ExpiresAt   time.Time           `json:"expires_at"`
	Enrolled    []struct {
		HostID messages.HostID `json:"host_id"`
		Node   string          `json:"node"`
	} `json:"enrolled"`
	Token string `json:"token"`
}

func parseTokenID(s string) (messages.TokenID, error) {
	return messages.ParseULID[messages.TokenID]("token_id", s)
}

func (a *app) enrollTokenCommand() *cobra.Command {
	return a.asks(a.group("enroll-token", "Let machines become hosts by themselves",
		a.enrollTokenAddCommand(),
		&cobra.Command{
			Use: "list", Short: "List enrolment tokens, and who came by them", Args: cobra.NoArgs,
			RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
				return show(a, list[EnrollToken](ctx, s.Client, "enroll-tokens", nil),
					list[json.RawMessage](ctx, s.Client, "enroll-tokens", nil), enrollTokenColumns(time.Now()),
					"no token; felhom-hub enroll-token add makes one")
			}),
		},
		&cobra.Command{
			Use: "remove TOKEN_ID", Short: "End an enrolment token; who came by it stays", Args: idArg(parseTokenID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodDelete, "enroll-tokens/"+args[0], nil, func(struct{}) error {
					return a.out.Line("enrolment token %s removed", args[0])
				})
			}),
		},
	))
}

func (a *app) enrollTokenAddCommand() *cobra.Command {
	var nodes, site string
	var uses int
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "add CUSTOMER",
		Short: "Make an enrolment token, and print what to run on the machine",
		Long: "Make a token by which machines become hosts of a customer, each with a key of its own.\n" +
			"It is worth one machine and an hour, unless you say otherwise.",
		Args: idArg(messages.ParseCustomerID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			body := map[string]any{"customer_id": args[0], "uses": uses, "valid_seconds": int(life.Seconds()), "node_pattern": nodes}
			if site != "" {
				body["site"] = site
			}
			return told(ctx, a, s, http.MethodPost, "enroll-tokens", body, func(t EnrollToken) error { return a.printEnrollToken(s, t) })
		}),
	}
	cmd.Flags().StringVar(&nodes, "nodes", "", "only machines whose name matches `PATTERN`, such as 'pve*'")
	cmd.Flags().StringVar(&site, "site", "", "where they stand (`NAME`)")
	cmd.Flags().IntVar(&uses, "uses", 1, "for so many `MACHINES`")
	cmd.Flags().DurationVar(&life, "valid-for", time.Hour, "`DURATION`, at most 24h")
	return cmd
}

func (a *app) printEnrollToken(s *session, t EnrollToken) error {
	if err := a.out.Facts(
		terminal.Fact{Name: "token_id", Value: string(t.ID)},
		terminal.Fact{Name: "token", Value: t.Token},
	); err != nil {
		return err
	}
	return a.out.Line("\nThe token is shown this once; the hub keeps only its hash. On the machine, as root:\n\n"+
		"  felhom-agent enroll --hub %s --token %s\n", strings.TrimSuffix(s.agents, "/"), t.Token)
}

func enrollTokenColumns(now time.Time) []terminal.Column[EnrollToken] {
	return []terminal.Column[EnrollToken]{
		{Title: "token", Cell: func(t EnrollToken) string { return string(t.ID) }},
		{Title: "customer", Cell: func(t EnrollToken) string { return string(t.CustomerID) }},
		{Title: "nodes", Cell: func(t EnrollToken) string { return terminal.OrDash(t.NodePattern) }},
		{Title: "used", Right: true, Cell: func(t EnrollToken) string { return fmt.Sprintf("%d/%d", len(t.Enrolled), t.Uses) }},
		{Title: "ends", Cell: func(t EnrollToken) string {
			if left := t.ExpiresAt.Sub(now); left > 0 {
				return "in " + terminal.InWords(left)
			}
			return "expired"
		}},
		{Title: "hosts", Cell: func(t EnrollToken) string {
			var hosts []messages.HostID
			for _, x := range t.Enrolled {
				hosts = append(hosts, x.HostID)
			}
			return terminal.OrDash(joined(hosts))
		}},
	}
}
