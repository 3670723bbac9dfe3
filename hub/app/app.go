// Package app is a running hub: it opens the store, starts the actors, and lets
// the world in; and takes all that down in reverse. It does the introducing;
// the work is done in the rooms it introduces to each other.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/hub/auth"
	"felhom.eu/hub/config"
	"felhom.eu/hub/dashboard"
	"felhom.eu/hub/notify"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

const (
	// stopTimeout is how long a stop may take; systemd waits longer.
	stopTimeout = 10 * time.Second
	// maxInside bounds the reports under way at once. Each holds a body and a
	// connection; above, agents are told to come again.
	maxInside = 4096
)

// App is a hub that runs. Make one with Start.
type App struct {
	cfg      config.Config
	version  string
	log      zerolog.Logger
	started  time.Time
	db       *storage.DB
	hub      *actors.Hub
	keys     *auth.Keys
	sessions *auth.Sessions
	server   *api.Server
	address  net.Addr
	store    storeSize
	fatal    chan error // room for one: the first
	failed   sync.Once
	serving  sync.WaitGroup
}

// Start brings a hub up; it returns when agents can report. The caller ends it
// with Stop, and should when Failed tells that it cannot go on.
func Start(cfg config.Config, version string, log zerolog.Logger) (*App, error) {
	a := &App{cfg: cfg, version: version, log: log, started: time.Now(), fatal: make(chan error, 1)}
	for _, w := range cfg.Warnings() {
		log.Warn().Str("setting", w).Msg("is this meant?")
	}
	key, created, err := cfg.EnsureGlobalKey()
	if err != nil {
		return nil, err
	}
	if created {
		log.Info().Str("file", cfg.GlobalKeyPath()).Msg("made a global key")
	}
	if a.db, err = storage.Open(cfg.DataDir, storage.Options{Logger: storeLog{log.With().Str("component", "store").Logger()}}); err != nil {
		return nil, err
	}
	if err := a.open(key); err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

// open is Start with a store.
func (a *App) open(global messages.Secret) error {
	loaded := load()
	keys := &auth.Keys{}
	a.keys = keys
	keys.SetGlobal(messages.HashKey([]byte(global.Reveal())))
	past, err := memory{a.db}.past()
	if err != nil {
		return fmt.Errorf("read the past: %w", err)
	}
	names, err := loadKeys(a.db, keys, past.Hosts, past.Customers)
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	send := a.sender()
	a.hub, err = actors.NewHub(actors.Config{
		Rules: rules(&a.cfg), Version: a.version, GroupWait: seconds(a.cfg.GroupWaitSeconds), RetentionDays: a.cfg.RetentionDays, MaxInside: maxInside,
		Read: readClocks(), Memory: memory{a.db}, Keys: index{keys}, Names: names, Sender: send, Pinger: pingerFor(&a.cfg, a.version),
		Past: past, Log: a.log, Up: loaded, Fatal: a.fail,
	})
	if err != nil {
		return err
	}
	var over auth.Changes
	if a.sessions, over, err = loadSessions(a.db, time.Now()); err != nil {
		return err
	}
	f := &fleet{hub: a.hub, db: a.db, app: a, send: send}
	keys.OnFirstUse(func(who auth.Principal, replaced messages.KeyHash) { go f.keyUsed(who, replaced) })
	board := dashboard.New(f, dashboard.Config{Version: a.version, ExternalURL: a.cfg.ExternalURL, Access: a.sessions}, a.log.With().Str("component", "dashboard").Logger())
	c := apiConfig(&a.cfg, a.version)
	c.StyleSheet, c.Icon = dashboard.StyleSheet, dashboard.Icon
	c.Pages, c.Closing, c.Sessions, c.Deaf = board.Pages(), board.Close, a.sessions, a.hub.Deaf
	a.server = api.New(c, keys, f, a.log.With().Str("component", "api").Logger())
	if err := a.listen(); err != nil {
		return err
	}
	a.serving.Go(board.Warm)
	go f.forget(over.Drop)
	return nil
}

func rules(c *config.Config) actors.Rules {
	return actors.Rules{
		PollInterval: seconds(c.PollIntervalSeconds), Stale: seconds(c.StaleSeconds), Down: seconds(c.DownSeconds),
		ResumeGrace: seconds(c.ResumeGrace()),
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func apiConfig(c *config.Config, version string) api.Config {
	return api.Config{
		Version: version, MaxBodyBytes: c.MaxBodyBytes, MaxConnsPerIP: c.ConnsPerIP(),
		AllowPrivateRoutes: c.AllowPrivateRoutes, ExternalURL: c.ExternalURL,
		BehindProxy: c.BehindProxy, TLSCertFile: c.TLSCertFile, TLSKeyFile: c.TLSKeyFile, IdleTimeout: idleTimeout(c),
	}
}

// idleTimeout keeps an agent's connection open until its next report when that
// comes within a minute or so, late by its jitter; 0, the server's default, when
// it does not.
func idleTimeout(c *config.Config) time.Duration {
	if next := seconds(c.PollIntervalSeconds) * 5 / 4; next <= maxIdle {
		return next
	}
	return 0
}

const maxIdle = 75 * time.Second

// listen lets the world in, and then says that silence counts.
func (a *App) listen() error {
	if a.cfg.TLS() { // the server would find out when the hub is up already
		if _, err := tls.LoadX509KeyPair(a.cfg.TLSCertFile, a.cfg.TLSKeyFile); err != nil {
			return fmt.Errorf("tls_cert_file, tls_key_file: %w", err)
		}
	}
	ln, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	a.address = ln.Addr()
	a.serve(ln, a.server.Serve)
	if a.cfg.AgentListen != "" {
		agents, err := net.Listen("tcp", a.cfg.AgentListen)
		if err != nil {
			return fmt.Errorf("listen for agents: %w", err)
		}
		a.serve(agents, a.server.ServeAgents)
	}
	a.hub.Open()
	a.log.Info().Stringer("listen", ln.Addr()).Str("agent_listen", a.cfg.AgentListen).Str("data_dir", a.cfg.DataDir).
		Str("version", a.version).Int("keys", a.keys.Len()).Int("hosts_starting", a.hub.Starting()).
		Dur("took_ms", time.Since(a.started)).Msg("hub is up")
	return nil
}

func (a *App) serve(ln net.Listener, serve func(net.Listener) error) {
	a.serving.Go(func() {
		if err := serve(ln); err != nil {
			a.fail(fmt.Errorf("serve %s: %w", ln.Addr(), err))
		}
	})
}

// fail takes note of why the hub cannot go on.
func (a *App) fail(err error) {
	a.failed.Do(func() {
		a.log.Error().Err(err).Msg("hub cannot go on")
		a.fatal <- err
	})
}

// Failed is told once, when the hub cannot go on.
func (a *App) Failed() <-chan error { return a.fatal }

// URL is where the hub's pages and API are, as this machine reaches them.
func (a *App) URL() string {
	scheme := "http"
	if a.cfg.TLS() {
		scheme = "https"
	}
	return scheme + "://" + a.address.String()
}

// LoginLink is a link that signs its first user in to the dashboard.
func (a *App) LoginLink() string { return a.server.LoginLink() }

// Stop ends the hub in the order that loses nothing: no new requests, those
// under way to their end, what they brought to the disk, the store.
func (a *App) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	if a.server != nil {
		errs = append(errs, a.server.Shutdown(ctx))
		a.serving.Wait()
	}
	if a.hub != nil {
		errs = append(errs, a.hub.Stop(ctx))
	}
	errs = append(errs, a.closeStore(ctx))
	a.log.Info().Dur("up_ms", time.Since(a.started)).Msg("hub stopped")
	return errors.Join(errs...)
}

// closeStore closes the store, or gives it up when that takes too long: Badger
// tries for ever to write to a disk that fails. What was acknowledged is on the
// disk already.
func (a *App) closeStore(ctx context.Context) error {
	closed := make(chan error, 1)
	go func() { closed <- a.db.Close() }()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
		return errors.New("close store: it takes too long; nothing is lost by that")
	}
}

// Health implements api.Fleet.
func (f *fleet) Health() api.Health {
	s := f.hub.Stats()
	h := api.Health{
		Ready: f.hub.Listening(), StartedAt: f.app.started, Listening: f.hub.Listening(), Listened: f.hub.Now().At.Duration(),
		Hosts: s.Hosts(), ReportsTotal: s.Reports.Load(), RepeatsTotal: s.Repeats.Load(), RefusedTotal: s.Refused.Load(),
		EventsTotal: s.Events.Load(), BatchesTotal: s.Batches.Load(), ActorPanics: f.hub.Panics(), DeadLetters: s.DeadLetters.Load(),
		InFlight: f.hub.Inside(), LastCommitTook: time.Duration(s.CommitNanos.Load()), Customers: int(s.Customers.Load()),
		PendingOut: int(s.Pending.Load()), DeadOut: int(s.Dead.Load()),
		HostsStarting: f.hub.Starting(), Controllers: s.Controllers(), DamagedTotal: s.Damaged.Load(),
		StoreBytes: f.app.store.bytes(f.db), DiskFreeBytes: freeBytes(f.app.cfg.DataDir),
	}
	if a, err := f.Attention(context.Background()); err == nil {
		h.Alarms, h.AlarmsAcknowledged, h.AlarmsSilenced = a.Alarms, a.Acknowledged, a.Silenced
	}
	if !h.Ready {
		h.Reason = "reports cannot be made durable or the listener is closed; see the log"
	}
	return h
}

// storeSize remembers how large the store is: finding out walks its files.
type storeSize struct {
	mu sync.Mutex
	at time.Time
	n  int64
}

const storeSizeFor = time.Minute

func (s *storeSize) bytes(db *storage.DB) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) > storeSizeFor {
		s.n, s.at = db.Bytes(), time.Now()
	}
	return s.n
}

func freeBytes(dir string) uint64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Clean(dir), &st); err != nil {
		return 0
	}
	return st.Bavail * uint64(st.Bsize)
}

// index is the key index as the actors see it.
type index struct{ *auth.Keys }

// Forget implements actors.KeyIndex.
func (i index) Forget(id messages.HostID) { i.RemoveHost(id) }

// pinger calls the watchdog's URL.
type pinger struct {
	url    messages.Secret
	agent  string
	client *http.Client
}

func pingerFor(c *config.Config, version string) actors.Pinger {
	if c.WatchdogURL == "" {
		return nil
	}
	return &pinger{c.WatchdogURL, "felhom-hub/" + version, &http.Client{Timeout: stopTimeout}}
}

// Ping implements actors.Pinger.
func (p *pinger) Ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.Reveal(), nil)
	if err != nil {
		return errors.New("malformed watchdog_url")
	}
	req.Header.Set("User-Agent", p.agent)
	resp, err := p.client.Do(req)
	if err != nil {
		return errors.New(notify.Reason(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("watchdog answered %s", resp.Status)
	}
	return nil
}

// storeLog is the store's way into the hub's log. What Badger calls info is our debug.
type storeLog struct{ log zerolog.Logger }

// Errorf implements storage.Logger.
func (l storeLog) Errorf(f string, args ...any) { l.log.Error().Msgf(f, args...) }

// Warningf implements storage.Logger.
func (l storeLog) Warningf(f string, args ...any) { l.log.Warn().Msgf(f, args...) }

// Infof implements storage.Logger.
func (l storeLog) Infof(f string, args ...any) { l.log.Debug().Msgf(f, args...) }

// Debugf implements storage.Logger.
func (l storeLog) Debugf(f string, args ...any) { l.log.Trace().Msgf(f, args...) }
