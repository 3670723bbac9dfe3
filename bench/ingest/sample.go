package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// bench runs contenders, one after the other.
type bench struct {
	o options
	*servers
	device   *rig.Device // nil: the scratch folder has none
	progress io.Writer
}

// sample is what one run of a contender came to.
type sample struct {
	PerSecond float64 `json:"reports_per_second"`
	P50       float64 `json:"p50_ms"` // of an answer, in open loop from when the report was due; of a store's commit
	P99       float64 `json:"p99_ms"`
	RSS       float64 `json:"rss_mib"` // at the end
	Anon      float64 `json:"rss_anon_mib"`
	CPU       float64 `json:"cpu_us_per_report"`   // of the server
	Device    float64 `json:"device_bytes_ratio"`  // written to the device ÷ bytes of the bodies; 0 when unknown
	Dirtied   float64 `json:"dirtied_bytes_ratio"` // made dirty by the process ÷ bytes of the bodies
	OtherCPU  float64 `json:"other_cpu_ratio"`     // of the machine: neither server nor generator
	Refused   int     `json:"not_200"`
	Lost      int     `json:"connections_lost"`
}

// row is a contender's samples, one a round.
type row struct {
	Name        string   `json:"name"`
	Connections int      `json:"connections,omitempty"`
	Rate        int      `json:"rate_per_second,omitempty"`
	Samples     []sample `json:"samples"`
}

// of picks one figure of every sample.
func (r *row) of(figure func(sample) float64) (xs []float64) {
	for _, s := range r.Samples {
		xs = append(xs, figure(s))
	}
	return xs
}

func perSecond(s sample) float64 { return s.PerSecond }
func p50(s sample) float64       { return s.P50 }
func p99(s sample) float64       { return s.P99 }

// measureRounds runs all contenders in turn, round after round.
func (b *bench) measureRounds(ctx context.Context) ([]*row, error) {
	cs := b.contenders(b.o)
	var rows []*row
	for round := range b.o.rounds {
		for i, c := range cs {
			if round == 0 {
				rows = append(rows, &row{Name: c.name, Connections: c.connections, Rate: c.rate})
			}
			s, err := b.measure(ctx, c, b.o.length)
			if err != nil {
				return nil, fmt.Errorf("round %d, %s: %w", round+1, c.name, err)
			}
			fmt.Fprintf(b.progress, "round %d of %d: %s: %.0f reports/s, p99 %.1f ms\n", round+1, b.o.rounds, c.name, s.PerSecond, s.P99)
			rows[i].Samples = append(rows[i].Samples, s)
		}
	}
	return rows, nil
}

// sustained is a long run and the short ones before and behind it.
type sustained struct {
	Seconds float64  `json:"seconds"`
	Long    sample   `json:"long"`
	Short   []sample `json:"short"`
}

// measureSustained loads the hub for long. What it is compared with is measured
// within the same minutes.
func (b *bench) measureSustained(ctx context.Context) (*sustained, error) {
	c := contender{name: hub256, server: b.hub, connections: 256}
	all := make([]sample, 3)
	for i, length := range []time.Duration{b.o.length, b.o.sustain, b.o.length} {
		var err error
		if all[i], err = b.measure(ctx, c, length); err != nil {
			return nil, fmt.Errorf("sustained: %w", err)
		}
		fmt.Fprintf(b.progress, "sustained, %v: %.0f reports/s, p99 %.1f ms\n", length, all[i].PerSecond, all[i].P99)
	}
	return &sustained{b.o.sustain.Seconds(), all[1], []sample{all[0], all[2]}}, nil
}

// measure runs c once.
func (b *bench) measure(ctx context.Context, c contender, length time.Duration) (s sample, err error) {
	if c.store != "" {
		s, err = b.measureStore(ctx, c, length)
	} else {
		s, err = b.measureServer(ctx, c, length)
	}
	if err == nil {
		err = ctx.Err()
	}
	return s, err
}

func (b *bench) measureServer(ctx context.Context, c contender, length time.Duration) (s sample, err error) {
	before, err := b.readCosts(c.server.Process)
	if err != nil {
		return s, err
	}
	res, err := load.Run(ctx, load.Plan{Addr: c.server.addr, TLS: c.server.trust, Hosts: c.server.hosts,
		Connections: min(c.connections, len(c.server.hosts)), Rate: float64(c.rate), Warm: b.o.warm, For: length})
	if err != nil {
		return s, err
	}
	s.PerSecond, s.Refused, s.Lost = res.PerSecond(), res.Refused(), res.Errors
	s.P50, s.P99 = milliseconds(res.Latency.Quantile(0.5)), milliseconds(res.Latency.Quantile(0.99))
	return s, b.account(&s, c.server.Process, before, res.Statuses[200])
}

// storeRun is what a reference store prints.
type storeRun struct {
	Reports    int     `json:"reports"`
	Seconds    float64 `json:"seconds"`
	P50Seconds float64 `json:"p50_seconds"`
	P99Seconds float64 `json:"p99_seconds"`
}

// measureStore runs a reference store as a process of its own, in a new folder.
func (b *bench) measureStore(ctx context.Context, c contender, length time.Duration) (s sample, err error) {
	dir := filepath.Join(b.dir, "store")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	log := new(rig.Log)
	p, err := rig.Start(b.store, []string{"-kind", c.store, "-dir", dir, "-for", length.String()}, nil, log)
	if err != nil {
		return s, err
	}
	defer p.Kill()
	before, err := b.readCosts(p)
	if err != nil {
		return s, err
	}
	r, err := waitForRun(ctx, p, log, length+time.Minute)
	if err != nil {
		return s, err
	}
	s.PerSecond, s.P50, s.P99 = float64(r.Reports)/r.Seconds, r.P50Seconds*1e3, r.P99Seconds*1e3
	return s, b.account(&s, p, before, r.Reports)
}

func waitForRun(ctx context.Context, p *rig.Process, log *rig.Log, limit time.Duration) (r storeRun, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = rig.Poll(ctx, 5*time.Millisecond, func() (bool, error) {
		select {
		case <-p.Done():
			return false, fmt.Errorf("reference store ended: %s", log.Tail(2000))
		default:
			return strings.HasSuffix(log.Tail(1), "\n"), nil
		}
	})
	if err != nil {
		return r, err
	}
	line := log.Tail(2000)
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return r, fmt.Errorf("reference store wrote %q: %w", line, err)
	}
	return r, nil
}

// costs are counters before or after a run.
type costs struct {
	at                    time.Time
	memory                rig.Memory
	server, self, machine time.Duration
	device, dirtied       int64 // bytes
}

func (b *bench) readCosts(p *rig.Process) (c costs, err error) {
	// All of it is of the process alone, but for the device: what is still to be
	// written then, by anyone, is written now and charged to nobody.
	if b.device != nil {
		if c.device, err = b.device.Written(); err != nil {
			return c, err
		}
	}
	if c.memory, err = p.Memory(); err != nil {
		return c, err
	}
	if c.dirtied, err = p.Written(); err != nil {
		return c, err
	}
	if c.server, err = p.CPU(); err != nil {
		return c, err
	}
	if c.self, err = rig.SelfCPU(); err != nil {
		return c, err
	}
	c.at = time.Now()
	c.machine, err = rig.MachineCPU()
	return c, err
}

// account fills in what the run cost since before.
func (b *bench) account(s *sample, p *rig.Process, before costs, reports int) error {
	after, err := b.readCosts(p)
	if err != nil {
		return err
	}
	server := after.server - before.server
	other := after.machine - before.machine - server - (after.self - before.self)
	wall := after.at.Sub(before.at) * time.Duration(runtime.NumCPU())
	n := float64(max(reports, 1))
	payload := n * float64(bodyBytes(b.hub.hosts))
	s.RSS, s.Anon = mib(after.memory.RSS), mib(after.memory.Anon)
	s.CPU = float64(server.Microseconds()) / n
	s.Device = float64(after.device-before.device) / payload
	s.Dirtied = float64(after.dirtied-before.dirtied) / payload
	s.OtherCPU = max(0, other.Seconds()/wall.Seconds())
	return nil
}

// bodyBytes is the length of a report's body.
func bodyBytes(hosts []*load.Host) int { return len(load.Ack{Host: hosts[0], Sequence: 1000}.Body()) }

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
