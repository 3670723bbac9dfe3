package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// routeFlags are the settings of a route as flags: only those that are given are asked for.
type routeFlags struct {
	flags      *pflag.FlagSet
	url        string
	secret     bool
	events     []string
	severity   string
	name       string
	quiet      string
	zone       string
	perHour    int
	escalateTo string
	after      time.Duration
	onCall     bool
}

// add makes the flags that a new route has, too.
func (r *routeFlags) add(f *pflag.FlagSet) {
	r.flags = f
	f.StringSliceVar(&r.events, "events", nil, "only these `TYPES`, such as host_down,host_recovered")
	f.StringVar(&r.severity, "min-severity", "", "only events of this `SEVERITY` and above: info, warning or critical")
	f.StringVar(&r.name, "name", "", "the route's `NAME` for people")
	f.StringVar(&r.quiet, "quiet", "", "`HOURS` such as 22:00-07:00, at whose end what is not critical is told; none")
	f.StringVar(&r.zone, "tz", "UTC", "time zone of --quiet (`NAME`), such as Europe/Budapest")
	f.IntVar(&r.perHour, "max-per-hour", 0, "at most so many `MESSAGES` an hour; what is over waits. 0: no limit")
	f.StringVar(&r.escalateTo, "escalate-to", "", "`ROUTE` that hears what is critical and nobody acknowledged; none")
	f.DurationVar(&r.after, "escalate-after", 0, "`DURATION` until then, such as 15m (the default)")
	f.BoolVar(&r.onCall, "on-call", false, "hears escalations only")
}

// values are the settings that were given, as the admin API takes them.
func (r *routeFlags) values() (map[string]any, error) {
	v := map[string]any{}
	for flag, value := range map[string]struct {
		name  string
		value any
	}{
		"url": {"url", r.url}, "events": {"events", without(r.events, "all")}, "min-severity": {"min_severity", r.severity}, "name": {"name", r.name},
		"max-per-hour": {"max_per_hour", r.perHour}, "on-call": {"on_call", r.onCall},
		"escalate-to": {"escalate_to", strings.TrimPrefix(r.escalateTo, "none")}, "escalate-after": {"escalate_after_seconds", int64(r.after.Seconds())},
	} {
		if r.flags.Changed(flag) {
			v[value.name] = value.value
		}
	}
	if r.secret {
		v["secret"] = "" // have one made
	}
	switch from, to, two := strings.Cut(r.quiet, "-"); {
	case r.flags.Changed("quiet") && (r.quiet == "none" || r.quiet == ""):
		v["quiet_hours"] = nil
	case two:
		v["quiet_hours"] = messages.QuietHours{From: from, To: to, TimeZone: r.zone}
	case r.flags.Changed("quiet"):
		return nil, Usage(fmt.Errorf("--quiet %q: want 22:00-07:00, or none", r.quiet))
	case r.flags.Changed("tz"):
		return nil, Usage(errors.New("--tz: goes with --quiet"))
	}
	return v, nil
}

// without is a list that is not nil, and empty when it is but the word.
func without(list []string, word string) []string {
	if len(list) == 1 && list[0] == word {
		return []string{}
	}
	return append([]string{}, list...)
}

func (a *app) routeSetCommand() *cobra.Command {
	var r routeFlags
	cmd := &cobra.Command{
		Use: "set ROUTE", Short: "Change a route's settings; those that are not given stay",
		Example: "  felhom-hub route set 01JZ0000000000000000000002 --quiet 22:00-07:00 --tz Europe/Budapest --max-per-hour 30\n" +
			"  felhom-hub route set 01JZ0000000000000000000002 --escalate-to 01JZ0000000000000000000003 --escalate-after 15m\n" +
			"  felhom-hub route set 01JZ0000000000000000000002 --quiet none --escalate-to none --events all",
		Args: idArg(parseRouteID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			body, err := r.values()
			if err != nil {
				return err
			}
			if len(body) == 0 {
				return Usage(errors.New("nothing to change: name a setting, such as --quiet"))
			}
			return told(ctx, a, s, http.MethodPut, "routes/"+args[0], body, func(r Route) error {
				if err := a.out.Line("route %s changed: %s", r.ID, routeInWords(r)); err != nil || r.Secret == "" {
					return err
				}
				return a.out.Line("secret  %s\nThe secret is shown this once.", r.Secret)
			})
		}),
	}
	r.add(cmd.Flags())
	cmd.Flags().StringVar(&r.url, "url", "", "the far end's new `URL`, of the same kind")
	cmd.Flags().BoolVar(&r.secret, "new-secret", false, "have a new secret made for a webhook, and print it")
	return cmd
}

// routeInWords is what of a route is out of the ordinary.
func routeInWords(r Route) string {
	var words []string
	add := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(r.Failing, "failing")
	add(r.OnCall, "on call")
	add(len(r.Events) > 0, "only %s", joined(r.Events))
	add(r.MinSeverity != "" && r.MinSeverity != "info", "%s and above", r.MinSeverity)
	if q := r.QuietHours; q != nil {
		add(true, "quiet %s-%s %s", q.From, q.To, q.TimeZone)
	}
	add(r.MaxPerHour > 0, "at most %d an hour", r.MaxPerHour)
	add(r.EscalateTo != "", "escalates to %s after %s", r.EscalateTo, terminal.InWords(time.Duration(r.EscalateAfterSeconds)*time.Second))
	if len(words) == 0 {
		return "hears everything at once"
	}
	return strings.Join(words, ", ")
}
