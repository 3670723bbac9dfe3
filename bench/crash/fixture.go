package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// fixture is a store that was killed at work, and what is in it: hosts that
// fell silent and returned, deliveries, keys that are revoked, tables and logs.
type fixture struct {
	scene        *scene
	dir          string // the store
	key          string // the global one
	hosts        []*load.Host
	revoked      *load.Host
	acknowledged int
	truth        *picture
}

const (
	fixtureHosts  = 5 // of each customer
	fixtureRounds = 12
)

// hasty makes hosts fall silent while one waits.
var hasty = rig.Settings{
	"GLOBAL_KEY": "", "STALE_SECONDS": "1", "DOWN_SECONDS": "2", "RESUME_GRACE_SECONDS": "1", "GROUP_WAIT_SECONDS": "0",
	"ALLOW_PRIVATE_ROUTES": "true", "LOG_LEVEL": "warn",
}

// calm lets nothing happen while one looks. The key is in the store's folder.
var calm = rig.Settings{"GLOBAL_KEY": "", "ALLOW_PRIVATE_ROUTES": "true", "LOG_LEVEL": "warn"}

// newFixture makes one, and holds it to what was acknowledged.
func (s *scene) newFixture(ctx context.Context) (*fixture, error) {
	f := &fixture{scene: s}
	hooks, err := rig.StartWebhooks()
	if err != nil {
		return nil, err
	}
	defer hooks.Close()
	h, err := rig.NewHub(s.hub, filepath.Join(s.dir, "fixture"), hasty)
	if err != nil {
		return nil, err
	}
	f.dir = h.Dir
	acks, err := f.live(ctx, h, hooks)
	if h.Process != nil {
		h.Kill()
	}
	if err != nil {
		return nil, fmt.Errorf("make a store: %w", err)
	}
	f.acknowledged = len(acks)
	sound, err := f.copyTo(filepath.Join(s.dir, "sound"))
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(filepath.Join(s.dir, "sound"))
	if _, err := sound.Start(ctx); err != nil {
		return nil, err
	}
	defer sound.Kill()
	if f.truth, err = takePicture(ctx, &sound.Admin); err != nil {
		return nil, err
	}
	s.Lost += checkReports(&s.Checks, acks, nil, f.truth.reports())
	return f, nil
}

// live is the store's past: two lives, the first ended in peace.
func (f *fixture) live(ctx context.Context, h *rig.Hub, hooks *rig.Webhooks) (acks []load.Ack, err error) {
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	if err := f.readKey(h); err != nil {
		return nil, err
	}
	if err := h.AddWebhook(ctx, hooks.URL(), hooks.Secret); err != nil {
		return nil, err
	}
	for _, customer := range []string{"acme", "globex"} {
		hosts, err := rig.Fleet(ctx, &h.Admin, customer, fixtureHosts)
		if err != nil {
			return nil, err
		}
		f.hosts = append(f.hosts, hosts...)
	}
	if acks, err = f.report(ctx, h, acks); err != nil {
		return nil, err
	}
	if err := within(ctx, turnTimeout, "every host is down", func() (bool, error) {
		events, err := h.Events(ctx)
		return strings.Count(fmt.Sprint(events), string(messages.HostDown)) >= len(f.hosts), err
	}); err != nil {
		return nil, err
	}
	if acks, err = f.report(ctx, h, acks); err != nil {
		return nil, err
	}
	f.revoked, f.hosts = f.hosts[0], f.hosts[1:]
	if err := h.Revoke(ctx, f.revoked.ID); err != nil {
		return nil, err
	}
	if err := delivered(ctx, h); err != nil {
		return nil, err
	}
	if err := h.Stop(); err != nil {
		return nil, err
	}
	h.Set("STALE_SECONDS", "1800")
	h.Set("DOWN_SECONDS", "3600")
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	if acks, err = f.report(ctx, h, acks); err != nil {
		return nil, err
	}
	wait(ctx, 1200*time.Millisecond) // the marks are written every second
	return acks, ctx.Err()
}

// report lets every host report so many times.
func (f *fixture) report(ctx context.Context, h *rig.Hub, acks []load.Ack) ([]load.Ack, error) {
	r, err := load.Run(ctx, load.Plan{Addr: h.Addr, Hosts: f.hosts, Connections: len(f.hosts), Rounds: fixtureRounds, For: turnTimeout, Remember: true})
	if err != nil {
		return nil, err
	}
	if len(r.Acks) != fixtureRounds*len(f.hosts) {
		return nil, fmt.Errorf("%d of %d reports were acknowledged: %v, %v", len(r.Acks), fixtureRounds*len(f.hosts), r.Statuses, r.LastErr)
	}
	return append(acks, r.Acks...), nil
}

// delivered waits until no delivery is pending.
func delivered(ctx context.Context, h *rig.Hub) error {
	return within(ctx, drainTimeout, "every delivery sent", func() (bool, error) {
		all, err := h.Deliveries(ctx)
		for _, d := range all {
			if d.State == messages.DeliveryPending {
				return false, nil
			}
		}
		return len(all) > 0, err
	})
}

// readKey takes the key that a hub made for itself.
func (f *fixture) readKey(h *rig.Hub) error {
	key, err := os.ReadFile(filepath.Join(h.Dir, "global.key"))
	f.key = strings.TrimSpace(string(key))
	h.Key = f.key
	return err
}

// copyTo is a hub on a copy of the store in dir.
func (f *fixture) copyTo(dir string) (*rig.Hub, error) {
	h, err := rig.NewHub(f.scene.hub, dir, calm)
	if err != nil {
		return nil, err
	}
	h.Key = f.key
	return h, copyTree(h.Dir, f.dir)
}

// complaints is what a hub said that it found wrong.
func (f *fixture) complaints(h *rig.Hub) string {
	var told []string
	for line := range strings.Lines(h.Log.Since(0)) {
		if strings.Contains(line, `"level":"error"`) {
			told = append(told, strings.TrimSpace(line))
		}
	}
	return strings.Join(told, "\n")
}

var errKey = errors.New("the global key is another")

// compare looks at everything, and lets every host report once more.
func (f *fixture) compare(ctx context.Context, h *rig.Hub) (d difference, err error) {
	status, _, err := h.Get(ctx, "/api/v1/admin/customers?limit=1")
	if err != nil {
		return d, err
	}
	if status == http.StatusUnauthorized { // who has the old key is told so
		if err := (&fixture{}).readKey(h); err != nil {
			return d, err
		}
		defer func() { d.refused = append(d.refused, errKey.Error()) }()
	}
	p, err := takePicture(ctx, &h.Admin)
	if err != nil {
		return d, err
	}
	d = p.differs(f.truth)
	for _, host := range f.hosts {
		if status, err := f.once(ctx, h, host); err != nil {
			return d, err
		} else if status != http.StatusOK {
			d.gone = append(d.gone, fmt.Sprintf("key of %s: status %d", host.ID, status))
		}
	}
	status, err = f.once(ctx, h, f.revoked)
	if err == nil && status != http.StatusUnauthorized {
		d.wrong = append(d.wrong, fmt.Sprintf("a revoked key is answered %d", status))
	}
	return d, err
}

// once sends one report that nobody keeps an account of.
func (f *fixture) once(ctx context.Context, h *rig.Hub, host *load.Host) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	twin := load.NewHost(0, host.ID, host.Key)
	return twin.Send(ctx, h.Addr)
}

// check asks the hub's own check about a copy with the same damage.
func (f *fixture) check(ctx context.Context, dir string, strike func(string) error) (told string, err error) {
	h, err := f.copyTo(dir)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := strike(h.Dir); err != nil {
		return "", err
	}
	status, said, err := h.Command(ctx, "check")
	switch {
	case err != nil:
		return "", err
	case crashed(said):
		return "", fmt.Errorf("check crashed: %s", said)
	case status != 0:
		return "check: " + said, nil
	}
	return "", nil
}

func digestOf(b []byte) digest { return sha256.Sum256(b) }
