package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"felhom.eu/agent/local"
	"felhom.eu/agent/simulated"
	"felhom.eu/agent/uplink"
	"felhom.eu/hub/command"
	"felhom.eu/messages"
)

const (
	hostsEach     = 8
	requestWithin = 5 * time.Second
	mine          = messages.CustomerID("this-machine")
)

// customers own the made-up hosts.
var customers = []struct {
	id   messages.CustomerID
	name string
}{
	{"acme", "Acme Ltd"}, {"bluebird", "Bluebird Dental"}, {"harbour", "Harbour Freight"},
	{"lindgren", "Lindgren & Söner"}, {"orchard", "Orchard School"}, {"tannery", "The Old Tannery"},
}

// source is where an agent's reports come from.
type source interface {
	Collect(context.Context) (*messages.Report, error)
}

// agent is one host's: it reports every two seconds what its source says, and
// nothing while the source is silent.
type agent struct {
	id     messages.HostID
	source source
	hub    *uplink.Client
	stream string
}

// fleet is every host of the demo.
type fleet struct {
	agents   []*agent
	mine     messages.HostID // this machine
	accepted atomic.Uint64   // reports
	refused  atomic.Uint64
	lastErr  atomic.Pointer[string]
}

// mint makes the customers and their hosts at the hub.
func mint(ctx context.Context, c *command.Client, url string) (*fleet, error) {
	f := &fleet{}
	for i, customer := range customers {
		if _, err := c.AddCustomer(ctx, customer.id, customer.name); err != nil {
			return nil, fmt.Errorf("add customer %s: %w", customer.id, err)
		}
		for j := range hostsEach {
			n := i*hostsEach + j
			profile := preset(n).Profile(downSeconds * time.Second)
			if _, err := f.add(ctx, c, url, customer.id, simulated.New(uint64(n), profile), profile.Skew); err != nil {
				return nil, err
			}
		}
	}
	name, _ := os.Hostname()
	if _, err := c.AddCustomer(ctx, mine, name); err != nil {
		return nil, fmt.Errorf("add customer %s: %w", mine, err)
	}
	var err error
	f.mine, err = f.add(ctx, c, url, mine, local.New(nil), 0)
	return f, err
}

// preset makes every second host well, and shares what can go wrong among the rest.
func preset(n int) simulated.Preset {
	if n%2 == 0 {
		return simulated.Healthy
	}
	wrong := simulated.Presets()[1:] // the first is Healthy
	return wrong[n/2%len(wrong)]
}

// add mints a host whose clock is ahead by lead.
func (f *fleet) add(ctx context.Context, c *command.Client, url string, customer messages.CustomerID, s source, lead time.Duration) (messages.HostID, error) {
	minted, err := c.MintHost(ctx, customer)
	if err != nil {
		return "", fmt.Errorf("mint a host of %s: %w", customer, err)
	}
	hub, err := uplink.New(uplink.Config{
		URL: url, Key: messages.Secret(minted.APIKey), Timeout: requestWithin, UserAgent: "felhom-demo", ClockLead: lead,
	})
	if err != nil {
		return "", err
	}
	f.agents = append(f.agents, &agent{id: minted.HostID, source: s, hub: hub, stream: fmt.Sprintf("%x", random(8))})
	return minted.HostID, nil
}

// start lets every agent report until ctx ends. The func it returns waits for that.
func (f *fleet) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, a := range f.agents {
		running.Go(func() { f.report(ctx, a) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// report spreads the first reports over one interval, as a fleet that has been
// running is, and goes on with 5 % of jitter.
func (f *fleet) report(ctx context.Context, a *agent) {
	defer a.hub.Close()
	wait := time.NewTimer(rand.N(reportEvery))
	defer wait.Stop()
	for sequence := uint64(1); ; {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		if r, err := a.source.Collect(ctx); err == nil {
			r.HostID, r.AgentVersion, r.Stream, r.Sequence = a.id, "demo", a.stream, sequence
			sequence++
			f.count(ctx, a.hub, r)
		}
		wait.Reset(reportEvery*95/100 + rand.N(reportEvery/10))
	}
}

func (f *fleet) count(ctx context.Context, hub *uplink.Client, r *messages.Report) {
	switch _, err := hub.Report(ctx, r); {
	case err == nil:
		f.accepted.Add(1)
	case ctx.Err() == nil:
		f.refused.Add(1)
		text := err.Error()
		f.lastErr.Store(&text)
	}
}
