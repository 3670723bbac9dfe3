package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/config"
	"felhom.eu/hub/terminal"
)

// The exit statuses of felhom-hub.
const (
	statusOK      = 0
	statusFailure = 1
	statusUsage   = 2 // bad usage or configuration
)

// Program is what the command tree cannot do by itself. Every func blocks until
// it is done or its context ends, and returns nil when it was ended on purpose.
// An error made by Usage exits with status 2, any other with 1.
type Program struct {
	Version string

	// Serve runs the hub until ctx ends.
	Serve func(ctx context.Context, c config.Config) error
	// Demo runs the hub with a made-up fleet until ctx ends or d.For is over.
	Demo func(ctx context.Context, d Demo) error
	// Restore puts the backup in r in the place of the configured store, which
	// must not be in use.
	Restore func(ctx context.Context, c config.Config, r io.Reader) error
	// Check reads the store through; findings are lines for people, told even
	// when err is not nil.
	Check func(ctx context.Context, c config.Config) (findings []string, err error)
}

// Demo is how the demo was asked to behave.
type Demo struct {
	For      time.Duration // 0: until interrupted
	Listen   string        // host:port on loopback; port 0 is a free one
	Out, Err io.Writer     // a live table on a terminal, else a line an event
}

// Streams are the standard streams of a run.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the command that args (without the program's name) ask for and
// returns the exit status. Errors are printed to s.Err in one line, with a
// second "hint:" line when there is a remedy to name.
func Main(ctx context.Context, p Program, args []string, s Streams) int {
	a := &app{program: p, streams: s}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return statusOK
	}
	if !a.parsed { // cobra itself refused the arguments
		err = usageOf(cmd, err)
	}
	return a.fail(err)
}

// app is one run of the command.
type app struct {
	program Program
	streams Streams
	out     terminal.Output
	json    bool
	parsed  bool // arguments and flags were accepted

	file   string            // --config
	flags  map[string]string // configuration keys given as flags
	access accessFlags
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "felhom-hub",
		Short: "Watch a fleet of Proxmox hosts",
		Long: "felhom-hub receives the reports of felhom-agents, and tells when a host falls silent.\n" +
			"Without a subcommand it serves.",
		Args:          noSuchCommand,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateRequiredFlags(); err != nil { // cobra looks only behind this
				return err
			}
			a.parsed = true
			a.out = terminal.New(a.streams.Out, a.streams.Err)
			return nil
		},
		RunE: a.serve,
	}
	a.configFlags(root)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print what the hub answered, as JSON")
	root.AddCommand(
		a.customerCommand(), a.hostCommand(), a.enrollTokenCommand(), a.eventCommand(), a.routeCommand(), a.deliveryCommand(), a.alarmCommand(), a.ackCommand(), a.silenceCommand(),
		a.userCommand(), a.loginCommand(), a.auditCommand(),
		a.replayCommand(), a.drillCommand(),
		a.ruleCommand(), a.protectionCommand(), a.controllerCommand(), a.deadlineCommand(),
		a.backupCommand(), a.restoreCommand(), a.checkCommand(), a.demoCommand(), a.versionCommand(), a.manCommand(),
	)
	return root
}

// noSuchCommand refuses arguments of the root: they are misspelt subcommands.
func noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(root, args[0])
}

func unknownCommand(parent *cobra.Command, name string) error {
	parent.SuggestionsMinimumDistance = 2 // letters to change
	err := fmt.Errorf("unknown command %q", name)
	if near := parent.SuggestionsFor(name); len(near) > 0 {
		return Hint(err, "did you mean `%s %s`?", parent.CommandPath(), near[0])
	}
	return err
}

// group is a command that only holds others.
func (a *app) group(name, short string, members ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   name,
		Short: short,
		Args: func(g *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s: which command?", g.Name())
			}
			return unknownCommand(g, args[0])
		},
		Run: func(*cobra.Command, []string) {},
	}
	group.AddCommand(members...)
	return group
}

// fail prints err and chooses the exit status.
func (a *app) fail(err error) int {
	fmt.Fprintf(a.streams.Err, "felhom-hub: %s\n", oneLine(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(a.streams.Err, "hint: %s\n", oneLine(hint))
	}
	if errors.As(err, new(*usageError)) {
		return statusUsage
	}
	return statusFailure
}

// oneLine keeps errors that have a line for each of several problems readable.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
}

// usageError is bad usage or configuration: exit status 2.
type usageError struct{ err error }

// Error implements error.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap is what it was made of, for errors.Is and errors.As.
func (e *usageError) Unwrap() error { return e.err }

// Usage marks err as bad usage or configuration; nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

// hintError is an error with a remedy.
type hintError struct {
	err  error
	hint string
}

// Error implements error.
func (e *hintError) Error() string { return e.err.Error() }

// Unwrap is what it was made of, for errors.Is and errors.As.
func (e *hintError) Unwrap() error { return e.err }

// Hint gives err a remedy, printed on a line of its own; nil stays nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintError{err, fmt.Sprintf(format, args...)}
}

func hintOf(err error) string {
	var h *hintError
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// usageOf is cobra's refusal with the way to the help of the command it meant.
func usageOf(cmd *cobra.Command, err error) error {
	if hintOf(err) == "" {
		err = Hint(err, "see `%s --help`", cmd.CommandPath())
	}
	return Usage(err)
}
