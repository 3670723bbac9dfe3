package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// report is everything that was measured.
type report struct {
	At          time.Time   `json:"at"`
	CPUs        int         `json:"cpus"`    // shared by server and generator
	Load1m      string      `json:"load_1m"` // of the machine before the bench
	Device      string      `json:"device,omitempty"`
	ReportBytes int         `json:"report_bytes"`
	Hosts       int         `json:"hosts"`
	Rounds      int         `json:"rounds"`
	Seconds     float64     `json:"seconds_per_run"`
	Rows        []*row      `json:"rows"`
	Sustained   *sustained  `json:"sustained,omitempty"`
	Idle        *idle       `json:"idle,omitempty"`
	Fleets      []fleet     `json:"fleets,omitempty"` // the first is of one host
	Figures     rig.Figures `json:"figures"`

	device *rig.Device
}

func newReport(o options, dir string) (*report, error) {
	average, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	load1m, _, _ := strings.Cut(string(average), " ")
	rep := &report{At: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(), Load1m: load1m,
		ReportBytes: bodyBytes([]*load.Host{load.NewHost(0, "bench-00000000", "")}),
		Hosts:       o.hosts, Rounds: o.rounds, Seconds: o.length.Seconds()}
	if d, err := rig.DeviceOf(dir); err == nil {
		rep.device, rep.Device = &d, d.Name
	}
	return rep, nil
}

func (rep *report) row(name string) *row {
	for _, r := range rep.Rows {
		if r.Name == name {
			return r
		}
	}
	return new(row)
}

// disturbed is the share of the machine's CPU time above which others make
// figures worthless.
const disturbed = 0.05

func (rep *report) print(w io.Writer) {
	fmt.Fprintf(w, "%d hosts, reports of %d bytes, %d interleaved rounds of %gs; %d CPUs shared with the generator, load %s before; medians (min–max)\n\n",
		rep.Hosts, rep.ReportBytes, rep.Rounds, rep.Seconds, rep.CPUs, rep.Load1m)
	t := rig.NewTable(w, "load", "reports/s", "p50 ms", "p99 ms", "CPU µs/report", "RSS MiB", "of it anonymous", "device bytes ÷ payload", "by the process", "other CPU")
	for _, r := range rep.Rows {
		r.print(t)
	}
	if s := rep.Sustained; s != nil {
		(&row{Name: "sustained: hub, 256 connections", Samples: []sample{s.Long}}).print(t)
		(&row{Name: "before and behind it", Samples: s.Short}).print(t)
	}
	t.Flush()
	fmt.Fprintln(w)
	rep.Figures.Print(w)
	if rep.device == nil {
		fmt.Fprintln(w, "\nThe stores were on no block device: nothing was durable, and no figure means what it says. Name a folder on a disk with -scratch.")
	}
	if other := rep.otherCPU(); other.Median > disturbed {
		fmt.Fprintf(w, "\nOthers used %.0f %% of the machine (up to %.0f %% in a run): run it again when it is quiet.\n", 100*other.Median, 100*other.Max)
	}
}

// print adds the row to the table.
func (r *row) print(t *rig.Table) {
	column := func(figure func(sample) float64) string {
		if len(r.Samples) == 1 {
			return rig.Spell(figure(r.Samples[0]))
		}
		return rig.SpreadOf(r.of(figure)).String()
	}
	middle := func(figure func(sample) float64) string { return rig.Spell(rig.SpreadOf(r.of(figure)).Median) }
	t.Row(r.Name, column(perSecond), column(p50), column(p99),
		middle(func(s sample) float64 { return s.CPU }), middle(func(s sample) float64 { return s.RSS }), middle(func(s sample) float64 { return s.Anon }),
		middle(func(s sample) float64 { return s.Device }), middle(func(s sample) float64 { return s.Dirtied }),
		fmt.Sprintf("%.0f %%", 100*rig.SpreadOf(r.of(otherCPU)).Median))
}

func otherCPU(s sample) float64 { return s.OtherCPU }

func (rep *report) otherCPU() rig.Spread {
	var all []float64
	for _, r := range rep.Rows {
		all = append(all, r.of(otherCPU)...)
	}
	return rig.SpreadOf(all)
}
