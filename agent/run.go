package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"felhom.eu/actors"
	"felhom.eu/agent/api2"
	"felhom.eu/agent/cloudflared"
	"felhom.eu/agent/config"
	"felhom.eu/agent/departure"
	"felhom.eu/agent/lastrun"
	"felhom.eu/agent/local"
	"felhom.eu/agent/pbs"
	"felhom.eu/agent/proxmox"
	"felhom.eu/agent/simulated"
	"felhom.eu/agent/uplink"
	"felhom.eu/messages"
)

// Exit statuses.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2 // bad usage or configuration
)

const (
	defaultConfig = "/etc/felhom/agent.json" // read when it exists and no other is named

	simulatedDown  = time.Hour         // what a hub's default calls down; a preset's unit of time
	collectTimeout = 100 * time.Second // all of a source's questions together: a dead storage takes 35 s of each report at most
	stopTimeout    = 2 * time.Second   // for an actor to stop, once it has nothing left to do
)

const usage = `felhom-agent reports this host to a felhom-hub.

Usage: felhom-agent [flags]
       felhom-agent enroll --hub URL --token TOKEN   (--help tells more)

  --config FILE            JSON file (default ` + defaultConfig + `, if it exists)
  --selftest=proxmox       read every source; print what was found and what was denied
  --selftest=hub           collect and report once; print the report and the hub's answer
  --log-level LEVEL        debug, info, warn or error (default info)
  --version                print the version

FELHOM_AGENT_HUB_{URL,HOST_ID,API_KEY,API_KEY_FILE,POLL_SECONDS,TIMEOUT_SECONDS,CA_FILE},
FELHOM_AGENT_PROXMOX_{URL,NODE,TOKEN_ID,TOKEN_SECRET,TOKEN_SECRET_FILE,CA_FILE,FINGERPRINT,SERVER_NAME},
FELHOM_AGENT_COLLECTIONS_{PERIOD_SECONDS,SCRATCH_VMIDS,RESTORE_RESULTS_DIR},
FELHOM_AGENT_PBS_{NAME,URL,TOKEN_ID,TOKEN_SECRET,TOKEN_SECRET_FILE,CA_FILE,FINGERPRINT,SERVER_NAME},
FELHOM_AGENT_SIMULATED_{SEED,PRESET}, FELHOM_AGENT_CLOUDFLARED_READY_URL FELHOM_AGENT_STATE_DIR
and FELHOM_AGENT_SOURCE lay over the file.
`

// usageError is what the caller can mend before starting again.
type usageError struct{ error }

// Unwrap is what it was made of, for errors.Is and errors.As.
func (u usageError) Unwrap() error { return u.error }

// hinted is an error with a way out.
type hinted struct {
	error
	hint string
}

// Unwrap is what it was made of, for errors.Is and errors.As.
func (h hinted) Unwrap() error { return h.error }

// options are what the command line says.
type options struct {
	config   string
	selftest string
	level    zerolog.Level
	version  bool
}

// run is the program: arguments to exit status.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, lookup, stdout, stderr)
	if err == nil {
		return exitOK
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(stderr, "felhom-agent: %s\n", line)
	}
	if h, ok := errors.AsType[hinted](err); ok {
		fmt.Fprintf(stderr, "hint: %s\n", h.hint)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFail
}

func dispatch(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "enroll" {
		return enroll(ctx, args[1:], lookup, stdout)
	}
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return nil
	case err != nil:
		return usageError{hinted{err, "felhom-agent --help lists the flags"}}
	case o.version:
		fmt.Fprintf(stdout, "felhom-agent %s\n", Version)
		return nil
	}
	cfg, err := configure(o, lookup, stderr)
	if err != nil {
		return err
	}
	switch o.mode() {
	case config.SelftestProxmox:
		return selftestSource(ctx, cfg, stdout)
	case config.SelftestHub:
		return selftestHub(ctx, cfg, stdout)
	}
	return serve(ctx, cfg, newLogger(stderr, o.level))
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("felhom-agent", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.config, "config", "", "")
	f.StringVar(&o.selftest, "selftest", "", "")
	f.BoolVar(&o.version, "version", false, "")
	level := f.String("log-level", "info", "")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.selftest != "" && o.selftest != "proxmox" && o.selftest != "hub" {
		return o, fmt.Errorf("--selftest=%s: want proxmox or hub", o.selftest)
	}
	switch *level {
	case "debug", "info", "warn", "error":
		o.level, _ = zerolog.ParseLevel(*level)
		return o, nil
	}
	return o, fmt.Errorf("--log-level=%s: want debug, info, warn or error", *level)
}

func (o options) mode() config.Mode {
	switch o.selftest {
	case "proxmox":
		return config.SelftestProxmox
	case "hub":
		return config.SelftestHub
	}
	return config.Daemon
}

// configure loads the configuration and checks it for the mode.
func configure(o options, lookup func(string) (string, bool), stderr io.Writer) (config.Config, error) {
	path := o.config
	if path == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			path = defaultConfig
		}
	}
	cfg, warnings, err := config.Load(path, lookup)
	for _, w := range warnings {
		fmt.Fprintf(stderr, "felhom-agent: warning: %s\n", w)
	}
	if err != nil {
		return cfg, usageError{hinted{err, "configs/agent.example.json shows every key"}}
	}
	if err := cfg.Validate(o.mode()); err != nil {
		return cfg, usageError{hinted{err, "put the keys into " + defaultConfig + ", another --config, or " + config.EnvPrefix + "… in the environment"}}
	}
	return cfg, nil
}

// newLogger writes for people on a terminal, JSON elsewhere. Hollywood's slog
// and the standard library's log come the same way.
func newLogger(w io.Writer, level zerolog.Level) zerolog.Logger {
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.DateTime}
	}
	log := zerolog.New(w).Level(level).With().Timestamp().Logger()
	slog.SetDefault(slog.New(zerolog.NewSlogHandler(log.With().Str("component", "hollywood").Logger())))
	return log
}

func newSource(cfg config.Config) (actors.Source, error) {
	switch cfg.Source {
	case config.SourceLocal:
		return local.New(newProber(cfg.Cloudflared)), nil
	case config.SourcePBS:
		return newBackupServer(cfg)
	case config.SourceSimulated:
		return newSimulated(cfg.Simulated)
	}
	return newProxmox(cfg)
}

func newSimulated(cfg config.Simulated) (*simulated.Source, error) {
	preset, err := simulated.ParsePreset(cfg.Preset)
	if err != nil {
		return nil, usageError{fmt.Errorf("simulated.preset: %w", err)}
	}
	return simulated.New(uint64(cfg.Seed), preset.Profile(simulatedDown)), nil
}

// part adds to the report of a host what is read elsewhere: a backup server, the
// tunnel. Add fills in its collections and says in Sections how it got them; what
// it cannot read never costs the report. It may block until ctx ends.
type part interface {
	Add(ctx context.Context, r *messages.Report)
	Describe(ctx context.Context) []api2.Finding
}

// composed is a host and what else goes into its report.
type composed struct {
	host interface {
		actors.Source
		describer
	}
	parts []part
}

// Collect reads the host, then the parts, one after another.
func (c *composed) Collect(ctx context.Context) (*messages.Report, error) {
	r, err := c.host.Collect(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range c.parts {
		p.Add(ctx, r)
	}
	return r, nil
}

// Describe asks all of them.
func (c *composed) Describe(ctx context.Context) []api2.Finding {
	found := c.host.Describe(ctx)
	for _, p := range c.parts {
		found = append(found, p.Describe(ctx)...)
	}
	return found
}

// tunnel is cloudflared on the host.
type tunnel struct{ local.Prober }

// Add fills in Cloudflared.
func (t tunnel) Add(ctx context.Context, r *messages.Report) { r.Cloudflared = t.Probe(ctx) }

// Describe tells its state: no state of it is wrong.
func (t tunnel) Describe(ctx context.Context) []api2.Finding {
	return []api2.Finding{{Question: "cloudflared", Status: messages.SectionOK, Found: t.Probe(ctx).Status}}
}

func newProxmox(cfg config.Config) (*composed, error) {
	p, c := cfg.Proxmox, cfg.Collections
	first, last, err := c.Scratch()
	if err != nil {
		return nil, usageError{fmt.Errorf("collections.scratch_vmids: %w", err)}
	}
	source, err := proxmox.New(proxmox.Config{URL: p.URL, TokenID: p.TokenID, Token: p.TokenSecret, Node: p.Node,
		CAFile: p.CAFile, Fingerprint: p.Fingerprint, ServerName: p.ServerName,
		Period: c.Period(), Scratch: proxmox.ScratchRange{First: first, Last: last}, ResultsDir: c.RestoreResultsDir})
	if err != nil {
		return nil, usageError{fmt.Errorf("proxmox: %w", err)}
	}
	servers, err := newPBS(cfg.PBS)
	if err != nil {
		return nil, err
	}
	return &composed{source, []part{tunnel{newProber(cfg.Cloudflared)}, servers}}, nil
}

// newBackupServer is a machine that runs no guests, with the datastores that it
// or another keeps.
func newBackupServer(cfg config.Config) (*composed, error) {
	servers, err := newPBS(cfg.PBS)
	if err != nil {
		return nil, err
	}
	return &composed{machine{local.New(newProber(cfg.Cloudflared))}, []part{servers}}, nil
}

func newPBS(list []config.PBS) (*pbs.Servers, error) {
	configs := make([]pbs.Config, len(list))
	for i, x := range list {
		configs[i] = pbs.Config{Name: x.Name, URL: x.URL, TokenID: x.TokenID, Token: x.TokenSecret,
			CAFile: x.CAFile, Fingerprint: x.Fingerprint, ServerName: x.ServerName,
			Datastores: x.Datastores, Namespaces: x.Namespaces}
	}
	servers, err := pbs.New(configs)
	if err != nil {
		return nil, usageError{fmt.Errorf("pbs: %w", err)}
	}
	return servers, nil
}

// machine is a Linux machine without Proxmox VE.
type machine struct{ *local.Source }

// Describe tells what the machine is.
func (m machine) Describe(ctx context.Context) []api2.Finding {
	r, err := m.Collect(ctx)
	if err != nil {
		return []api2.Finding{{Question: "machine", Status: messages.SectionFailed, Found: err.Error(), Hint: "is /proc mounted, and readable?"}}
	}
	return []api2.Finding{{Question: "machine", Status: messages.SectionOK, Found: fmt.Sprintf("%s, kernel %s, %d threads, cloudflared %s",
		r.Host.Node, r.Host.Kernel, r.Host.CPUCount, r.Cloudflared.Status)}}
}

func newProber(cfg config.Cloudflared) *cloudflared.Prober {
	return &cloudflared.Prober{ReadyURL: cfg.ReadyURL}
}

func newUplink(cfg config.Config) (*uplink.Client, error) {
	c, err := uplink.New(uplink.Config{
		URL:       cfg.Hub.URL,
		Key:       cfg.Hub.APIKey,
		CAFile:    cfg.Hub.CAFile,
		Timeout:   cfg.Hub.Timeout(),
		UserAgent: "felhom-agent/" + Version,
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("hub: %w", err)}
	}
	return c, nil
}

// serve is the daemon, from a valid configuration to its end.
func serve(ctx context.Context, cfg config.Config, log zerolog.Logger) error {
	source, err := newSource(cfg)
	if err != nil {
		return err
	}
	client, err := newUplink(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	log.Info().Str("version", Version).Str("host_id", cfg.Hub.HostID).Str("url", cfg.Hub.URL).
		Stringer("api_key", cfg.Hub.APIKey).Dur("interval_ms", cfg.Hub.Poll()).Str("source", cfg.Source).Msg("agent starts")
	log.Debug().Interface("configuration", cfg.Redacted()).Msg("as configured")
	d := daemon{hostID: messages.HostID(cfg.Hub.HostID), source: source, uplink: client,
		interval: cfg.Hub.Poll(), timeout: cfg.Hub.Timeout(), why: departure.Systemd{}.Why, log: log}
	if cfg.Source != config.SourceSimulated { // which has a life of its own
		d.stateDir = cfg.StateDir
	}
	return d.run(ctx)
}

// daemon is what the agent runs on.
type daemon struct {
	hostID   messages.HostID
	source   actors.Source
	uplink   actors.Uplink
	interval time.Duration
	timeout  time.Duration // of one attempt to deliver
	// why tells, at the end, why it comes: as departure.Systemd.Why.
	why      func(context.Context) (reason string, backIn time.Duration)
	stateDir string // of what is written down for the next run; "": nothing is
	log      zerolog.Logger
}

// run starts the actors and waits for the end of ctx, which is a clean stop, or
// for an actor's bug, which is an error. Then it winds up in reverse: no more
// reports, a goodbye, the reporter.
func (d *daemon) run(ctx context.Context) error {
	engine, err := actor.NewEngine(actor.NewEngineConfig())
	if err != nil {
		return fmt.Errorf("start actors: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	bug := func(err error) { fail(actorBug{err}) }
	run, lastEnd := d.begin()
	reporter := actors.SpawnReporter(engine, actors.ReporterConfig{HostID: d.hostID, Timeout: d.timeout, Uplink: d.uplink,
		Fatal: bug, Log: d.log.With().Str("component", "reporter").Logger()})
	collector := actors.SpawnCollector(engine, actors.CollectorConfig{HostID: d.hostID, AgentVersion: Version, BootID: local.BootID(), LastEnd: lastEnd,
		Interval: d.interval, Timeout: collectTimeout, Source: d.source, Reporter: reporter,
		Fatal: bug, Log: d.log.With().Str("component", "collector").Logger()})

	<-ctx.Done()
	cause := context.Cause(ctx)
	d.log.Info().AnErr("cause", cause).Msg("agent stops")
	stopActor(engine, collector)
	if bug, ok := errors.AsType[actorBug](cause); ok {
		return bug
	}
	last := d.farewell(cause)
	if err := run.End(last.Reason); err != nil {
		d.log.Warn().Err(err).Msg("the next run will not know that this one was stopped")
	}
	d.sayGoodbye(engine, reporter, last)
	stopActor(engine, reporter)
	return nil
}

// begin finds out how the run before ended, and writes down that this one runs.
func (d *daemon) begin() (*lastrun.Run, *messages.LastEnd) {
	run, end, err := lastrun.Begin(d.stateDir, d.hostID, local.BootID(), time.Now())
	if err != nil {
		d.log.Warn().Err(err).Msg("how the last run ended is not known, or will not be")
	}
	if end == (messages.LastEnd{}) {
		return run, nil
	}
	d.log.Info().Str("agent", string(end.Agent)).Str("machine", string(end.Machine)).Msg("how it ended before")
	return run, &end
}

// actorBug is a panic in an actor.
type actorBug struct{ error }

// farewell is what the hub is told at the end. A machine that reboots says when it
// is to be back, which holds the alarm until then.
func (d *daemon) farewell(cause error) actors.SayGoodbye {
	reason, backIn := d.why(context.Background())
	if reason == "" {
		return actors.SayGoodbye{Reason: "agent stops: " + cause.Error()}
	}
	said := actors.SayGoodbye{Reason: reason}
	if backIn > 0 {
		by := time.Now().UTC().Add(backIn)
		said.BackBy = &by
	}
	return said
}

func (d *daemon) sayGoodbye(engine *actor.Engine, reporter *actor.PID, last actors.SayGoodbye) {
	answer, err := engine.Request(reporter, last, actors.GoodbyeLimit).Result()
	if said, ok := answer.(actors.GoodbyeSaid); ok {
		err = said.Err
	}
	if err != nil {
		d.log.Warn().Err(err).Msg("goodbye not said")
		return
	}
	d.log.Info().Msg("goodbye said")
}

// stopActor waits for the actor's end, but not for ever: the process ends anyway.
func stopActor(engine *actor.Engine, pid *actor.PID) {
	select {
	case <-engine.Poison(pid).Done():
	case <-time.After(stopTimeout):
	}
}
