package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

func parseIncidentID(s string) (messages.IncidentID, error) {
	return messages.ParseULID[messages.IncidentID]("incident_id", s)
}

func (a *app) alarmCommand() *cobra.Command {
	return a.asks(a.group("alarm", "See what is wrong now",
		a.alarmListCommand(),
		&cobra.Command{
			Use: "show INCIDENT", Short: "Show one alarm, and the members of an incident", Args: idArg(parseIncidentID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodGet, "alarms/"+args[0], nil, a.showAlarm)
			}),
		},
	))
}

func (a *app) alarmListCommand() *cobra.Command {
	var customer, host, state, severity string
	cmd := &cobra.Command{
		Use: "list", Short: "List what is wrong, newest first",
		Long: "List what is wrong, newest first. Hosts that fell silent together are one incident.",
		Args: func(cmd *cobra.Command, args []string) error {
			if state != "" && !slices.Contains([]string{"open", "acknowledged", "silenced", "all"}, state) {
				return fmt.Errorf("--state %q: want open, acknowledged, silenced or all", state)
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			q := filter("customer_id", customer, "host_id", host, "state", state, "severity", severity)
			return show(a, list[messages.AlarmView](ctx, s.Client, "alarms", q), list[json.RawMessage](ctx, s.Client, "alarms", q),
				a.alarmColumns(time.Now()), "nothing is wrong")
		}),
	}
	f := cmd.Flags()
	f.StringVar(&customer, "customer", "", "only what concerns `CUSTOMER`")
	f.StringVar(&host, "host", "", "only what concerns `HOST`, members of incidents too")
	f.StringVar(&state, "state", "", "only what is `STATE`: open, acknowledged or silenced; all: what ended and is still to be told, too")
	f.StringVar(&severity, "severity", "", "only what is `SEVERITY`: info, warning or critical")
	return cmd
}

func (a *app) alarmColumns(now time.Time) []terminal.Column[messages.AlarmView] {
	return []terminal.Column[messages.AlarmView]{
		{Title: "incident", Cell: func(v messages.AlarmView) string { return string(v.ID) }},
		{Title: "severity", Cell: func(v messages.AlarmView) string { return v.Severity.String() }, Style: a.out.State},
		{Title: "type", Cell: func(v messages.AlarmView) string { return string(v.Type) }, Style: a.out.Event},
		{Title: "of", Cell: ownerOfAlarm},
		{Title: "since", Cell: func(v messages.AlarmView) string { return terminal.Ago(&v.OpenedAt, now) }},
		{Title: "state", Cell: func(v messages.AlarmView) string { return string(v.State) }},
		{Title: "what", Cell: func(v messages.AlarmView) string { return v.Summary }},
	}
}

func ownerOfAlarm(v messages.AlarmView) string {
	switch {
	case v.Scope != nil:
		return fmt.Sprintf("%s (%d hosts)", scopeInWords(*v.Scope), v.Members)
	case v.HostID != "":
		return string(v.HostID)
	case v.RouteID != "":
		return string(v.RouteID)
	}
	return terminal.OrDash(v.CustomerID)
}

// alarmDetail is one alarm as the admin API shows it.
type alarmDetail struct {
	messages.AlarmView
	MemberAlarms struct {
		Items []messages.AlarmView `json:"items"`
		Next  string               `json:"next_cursor"`
	} `json:"member_alarms"`
}

func (a *app) showAlarm(d alarmDetail) error {
	now := time.Now()
	facts := []terminal.Fact{
		{Name: "incident", Value: string(d.ID)},
		{Name: "what", Value: d.Summary},
		{Name: "type", Value: string(d.Type), Style: a.out.Event},
		{Name: "severity", Value: d.Severity.String(), Style: a.out.State},
		{Name: "of", Value: ownerOfAlarm(d.AlarmView)},
		{Name: "site", Value: d.Site},
		{Name: "since", Value: terminal.Ago(&d.OpenedAt, now)},
		{Name: "state", Value: string(d.State)},
		{Name: "told", Value: terminal.Ago(&d.ToldAt, now)},
		{Name: "silenced by", Value: string(d.SilencedBy)},
		{Name: "member of", Value: string(d.MemberOf)},
	}
	if d.Ack != nil {
		facts = append(facts, terminal.Fact{Name: "acknowledged",
			Value: fmt.Sprintf("%s by %s: %s", terminal.Ago(&d.Ack.At, now), d.Ack.By, d.Ack.Reason)})
	}
	if err := a.out.Facts(facts...); err != nil || len(d.MemberAlarms.Items) == 0 {
		return err
	}
	err := errors.Join(a.out.Line(""), terminal.Tabulate(a.out, a.alarmColumns(now), terminal.All(d.MemberAlarms.Items), ""))
	if d.MemberAlarms.Next != "" {
		a.out.Remark("there are more; the API pages through them")
	}
	return err
}

func (a *app) ackCommand() *cobra.Command {
	var reason string
	var undo bool
	cmd := &cobra.Command{
		Use: "ack INCIDENT|HOST", Short: "Say that what is wrong is known: nobody is reminded of it",
		Long: "Acknowledge an alarm, an incident with all its members, or all that is open of a host.\n" +
			"Nobody is reminded of it, and it does not escalate, until it ends.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one argument, got %d", len(args))
			}
			if undo == (reason != "") {
				return errors.New("--reason: say why, or take it back with --undo")
			}
			_, err := parseIncidentID(args[0])
			if _, notHost := messages.ParseHostID(args[0]); err != nil && notHost != nil {
				return fmt.Errorf("%q: want an incident_id or a host_id", args[0])
			}
			return nil
		},
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			ids, err := alarmsOf(ctx, s, args[0], undo)
			if err != nil {
				return err
			}
			var answers []json.RawMessage
			for _, id := range ids {
				answer, err := acknowledge(ctx, s, id, reason)
				if err != nil {
					return err
				}
				answers = append(answers, answer)
			}
			return a.printAcknowledged(args[0], answers, undo)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what is being done about it (`TEXT`)")
	cmd.Flags().BoolVar(&undo, "undo", false, "take an acknowledgement back")
	return a.asks(cmd)
}

// alarmsOf is an incident, or those alarms of a host that are to be acknowledged, or whose
// acknowledgement is to be taken back.
func alarmsOf(ctx context.Context, s *session, name string, undo bool) (ids []messages.IncidentID, err error) {
	if id, err := parseIncidentID(name); err == nil {
		return []messages.IncidentID{id}, nil
	}
	state := messages.AlarmOpen
	if undo {
		state = messages.AlarmAcknowledged
	}
	for v, err := range list[messages.AlarmView](ctx, s.Client, "alarms", filter("host_id", name, "state", string(state))) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, v.ID)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("nothing of %s is %s", name, state)
	}
	return ids, nil
}

// acknowledge says that an alarm is known, or without a reason that it is not.
func acknowledge(ctx context.Context, s *session, id messages.IncidentID, reason string) (json.RawMessage, error) {
	path := "alarms/" + string(id) + "/acknowledge"
	if reason == "" {
		answer, err := call[json.RawMessage](ctx, s.Client, http.MethodDelete, path, nil)
		if len(answer) == 0 {
			answer = json.RawMessage("{}")
		}
		return answer, err
	}
	return call[json.RawMessage](ctx, s.Client, http.MethodPost, path, map[string]string{"reason": reason})
}

func (a *app) printAcknowledged(name string, answers []json.RawMessage, undo bool) error {
	if a.json {
		return a.out.Array(terminal.All(answers))
	}
	if undo {
		return a.out.Line("%s: not acknowledged any more", name)
	}
	for _, raw := range answers {
		var v messages.AlarmView
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("decode an alarm: %w", err)
		}
		if err := a.out.Line("acknowledged: %s", terminal.Clean(v.Summary)); err != nil {
			return err
		}
	}
	return nil
}
