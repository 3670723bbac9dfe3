package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// User is a user as the admin API shows it.
type User struct {
	Name        messages.UserName   `json:"name"`
	Role        messages.Role       `json:"role"`
	CustomerID  messages.CustomerID `json:"customer_id"`
	HasPassword bool                `json:"has_password"`
	CreatedAt   time.Time           `json:"created_at"`
	Sessions    int                 `json:"sessions"`
}

// SignedIn is a browser that is signed in, as the admin API shows it.
type SignedIn struct {
	ID        string            `json:"session_id"`
	User      messages.UserName `json:"user"`
	CreatedAt time.Time         `json:"created_at"`
	SeenAt    time.Time         `json:"seen_at"`
	Address   string            `json:"address"`
	Agent     string            `json:"agent"`
}

// roleInput is what the API wants to hear of a role.
func roleInput(role, customer string) map[string]string {
	body := map[string]string{"role": role}
	if customer != "" {
		body["customer_id"] = customer
	}
	return body
}

func (a *app) userCommand() *cobra.Command {
	return a.asks(a.group("user", "Say who may sign in, and with which role",
		a.userAddCommand(),
		&cobra.Command{
			Use: "list", Short: "List users", Args: cobra.NoArgs,
			RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
				return show(a, list[User](ctx, s.Client, "users", nil), list[json.RawMessage](ctx, s.Client, "users", nil),
					userColumns(), "no user yet; felhom-hub user add makes one, felhom-hub login signs in without")
			}),
		},
		&cobra.Command{
			Use: "passwd USER", Short: "Give a user another password, and sign the user out everywhere", Args: idArg(messages.ParseUserName),
			Long: "Give a user another password, asked for on the terminal or read from a line of the standard input,\n" +
				"and sign the user out everywhere.",
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				password, err := a.askPassword(args[0])
				if err != nil {
					return err
				}
				return told(ctx, a, s, http.MethodPost, "users/"+args[0]+"/password", map[string]string{"password": password}, func(struct{}) error {
					return a.out.Line("user %s has another password and is signed out everywhere", args[0])
				})
			}),
		},
		a.userRoleCommand(),
		&cobra.Command{
			Use: "sessions", Short: "List the browsers that are signed in", Args: cobra.NoArgs,
			RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
				return show(a, list[SignedIn](ctx, s.Client, "sessions", nil), list[json.RawMessage](ctx, s.Client, "sessions", nil),
					signedInColumns(), "nobody is signed in")
			}),
		},
		a.userVerb("sign-out", "Sign a user out everywhere", "/sessions", "signed out everywhere"),
		a.userVerb("remove", "Remove a user, and sign the user out everywhere", "", "removed"),
	))
}

func (a *app) userAddCommand() *cobra.Command {
	var role, customer string
	var none bool
	cmd := &cobra.Command{
		Use: "add USER", Short: "Make a user", Args: idArg(messages.ParseUserName),
		Long: "Make a user. The password is asked for on the terminal, or read from a line of the standard input.\n" +
			"An operator may do everything, a viewer reads everything, and a customer reads what is of one customer.",
		Example: "  felhom-hub user add anna --role operator\n" +
			"  felhom-hub user add bert@acme --role customer --customer acme --no-password",
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			body := roleInput(role, customer)
			body["name"] = args[0]
			if !none {
				password, err := a.askPassword(args[0])
				if err != nil {
					return err
				}
				body["password"] = password
			}
			return told(ctx, a, s, http.MethodPost, "users", body, func(u User) error {
				if none {
					return a.out.Line("user %s added; felhom-hub login --user %s prints a link to sign in with", u.Name, u.Name)
				}
				return a.out.Line("user %s added", u.Name)
			})
		}),
	}
	cmd.Flags().StringVar(&role, "role", string(messages.RoleViewer), "`ROLE`: operator, viewer or customer")
	cmd.Flags().StringVar(&customer, "customer", "", "the `CUSTOMER` that a user of role customer sees")
	cmd.Flags().BoolVar(&none, "no-password", false, "the user signs in by links only")
	return cmd
}

func (a *app) userRoleCommand() *cobra.Command {
	var customer string
	cmd := &cobra.Command{
		Use: "role USER operator|viewer|customer", Short: "Give a user another role; it holds at once", Args: cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			return told(ctx, a, s, http.MethodPost, "users/"+url.PathEscape(args[0])+"/role", roleInput(args[1], customer), func(u User) error {
				return a.out.Line("user %s is %s now", u.Name, u.Role)
			})
		}),
	}
	cmd.Flags().StringVar(&customer, "customer", "", "the `CUSTOMER` that a user of role customer sees")
	return cmd
}

func (a *app) userVerb(verb, short, suffix, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " USER", Short: short, Args: idArg(messages.ParseUserName),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			return told(ctx, a, s, http.MethodDelete, "users/"+args[0]+suffix, nil, func(struct{}) error {
				return a.out.Line("user %s %s", args[0], done)
			})
		}),
	}
}

var errNoPassword = errors.New("no password was given")

// askPassword asks on a terminal, without showing what is typed, twice; elsewhere
// it reads one line.
func (a *app) askPassword(user string) (string, error) {
	in, ok := a.streams.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(a.streams.In).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read password: %w", err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", Hint(errNoPassword, "type it on a terminal, or write it to the standard input")
		}
		return line, nil
	}
	first, err := a.typed(in, "Password of "+user+": ")
	if err != nil {
		return "", err
	}
	second, err := a.typed(in, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

func (a *app) typed(in *os.File, prompt string) (string, error) {
	fmt.Fprint(a.streams.Err, prompt)
	b, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.streams.Err)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return string(b), nil
}

func userColumns() []terminal.Column[User] {
	now := time.Now()
	return []terminal.Column[User]{
		{Title: "user", Cell: func(u User) string { return string(u.Name) }},
		{Title: "role", Cell: func(u User) string { return string(u.Role) }},
		{Title: "customer", Cell: func(u User) string { return terminal.OrDash(string(u.CustomerID)) }},
		{Title: "password", Cell: func(u User) string {
			if u.HasPassword {
				return "yes"
			}
			return "links only"
		}},
		{Title: "sessions", Cell: func(u User) string { return strconv.Itoa(u.Sessions) }},
		{Title: "created", Cell: func(u User) string { return terminal.Ago(&u.CreatedAt, now) }},
	}
}

func signedInColumns() []terminal.Column[SignedIn] {
	now := time.Now()
	return []terminal.Column[SignedIn]{
		{Title: "session", Cell: func(v SignedIn) string { return v.ID }},
		{Title: "user", Cell: func(v SignedIn) string {
			if v.User == "" {
				return "(link)"
			}
			return string(v.User)
		}},
		{Title: "signed in", Cell: func(v SignedIn) string { return terminal.Ago(&v.CreatedAt, now) }},
		{Title: "seen", Cell: func(v SignedIn) string { return terminal.Ago(&v.SeenAt, now) }},
		{Title: "from", Cell: func(v SignedIn) string { return v.Address }},
		{Title: "browser", Cell: func(v SignedIn) string { return terminal.Cut(v.Agent, 40) }},
	}
}

func (a *app) loginCommand() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "login", Short: "Print a link that signs a browser in, once, within ten minutes", Args: cobra.NoArgs,
		Long: "Print a link that signs a browser in, once, within ten minutes: as a user, or without --user as who\n" +
			"holds the global key, which works on a hub that has no users yet.",
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			body := map[string]string{}
			if user != "" {
				body["user"] = user
			}
			return told(ctx, a, s, http.MethodPost, "login-links", body, func(l struct {
				URL string `json:"url"`
			}) error {
				return a.out.Line("%s", l.URL)
			})
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "sign in as `USER`")
	return a.asks(cmd)
}

func (a *app) auditCommand() *cobra.Command {
	var after uint64
	ls := &cobra.Command{
		Use: "list", Short: "List what was done, oldest first", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			q := filter("after", strconv.FormatUint(after, 10))
			return show(a, list[messages.AuditRecord](ctx, s.Client, "audit", q), list[json.RawMessage](ctx, s.Client, "audit", q),
				auditColumns(), "nothing was done yet")
		}),
	}
	ls.Flags().Uint64Var(&after, "after", 0, "only what follows the record `NUMBER`")
	return a.asks(a.group("audit", "See who changed what", ls))
}

func auditColumns() []terminal.Column[messages.AuditRecord] {
	return []terminal.Column[messages.AuditRecord]{
		{Title: "number", Cell: func(r messages.AuditRecord) string { return strconv.FormatUint(r.Sequence, 10) }},
		{Title: "at", Cell: func(r messages.AuditRecord) string { return r.At.Format(time.RFC3339) }},
		{Title: "who", Cell: func(r messages.AuditRecord) string { return r.Who }},
		{Title: "did", Cell: func(r messages.AuditRecord) string { return r.Action }},
		{Title: "to", Cell: func(r messages.AuditRecord) string { return terminal.OrDash(r.Subject) }},
		{Title: "from", Cell: func(r messages.AuditRecord) string { return r.Address }},
		{Title: "outcome", Cell: func(r messages.AuditRecord) string { return r.Outcome }},
	}
}
