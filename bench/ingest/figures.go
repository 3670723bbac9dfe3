package main

import (
	"fmt"

	"felhom.eu/bench/rig"
)

// bounds are what the figures are held to.
type bounds struct {
	echo, sqlite, sustained, device, p99, host rig.Bound
	rate                                       int // of the open loop that p99 is of
}

const (
	checkedRate = 10_000
	saneRate    = 2000
)

// promised are the hub's floors and targets, on two cores that it shares with
// the generator.
var promised = bounds{
	echo:      rig.AtLeast(0.33, 0.45),
	sqlite:    rig.AtLeast(7, 10),
	sustained: rig.AtLeast(0.85, 0.95),
	device:    rig.AtMost(2.0, 1.3),
	p99:       rig.AtMost(25, 10),
	host:      rig.AtMost(1536, 1126),
	rate:      checkedRate,
}

// sane is what no hub misses that works, on a machine where others work, too,
// in runs of a second.
var sane = bounds{
	echo:   rig.AtLeast(0.08, 0.33),
	sqlite: rig.AtLeast(1.5, 7),
	p99:    rig.AtMost(1000, 25),
	rate:   saneRate,
}

// judge makes figures of what was measured.
func (rep *report) judge(o options) {
	b := promised
	if o.short {
		b = sane
	}
	fs := &rep.Figures
	fs.Add("hub ÷ echo, 256 connections", "", b.echo, rep.speeds(hub256, echo256))
	fs.Add("hub ÷ SQLite FULL, 256 connections", "", b.sqlite, rep.speeds(hub256, full256))
	if !o.short {
		fs.Add("hub ÷ SQLite NORMAL (not durable), 256 connections", "", rig.Bound{}, rep.speeds(hub256, normal256))
		fs.Add("hub ÷ echo, 64 connections", "", rig.Bound{}, rep.speeds(hub64, echo64))
		fs.Add("hub ÷ SQLite FULL, 64 connections", "", rig.Bound{}, rep.speeds(hub64, full64))
		fs.Add("hub ÷ SQLite NORMAL (not durable), 64 connections", "", rig.Bound{}, rep.speeds(hub64, normal64))
	}
	fs.Add("hub ÷ Badger alone", "", rig.Bound{}, rep.speeds(hub256, badgerRow))
	fs.Add("hub ÷ append + fdatasync", "", rig.Bound{}, rep.speeds(hub256, appendRow))
	fs.Add("hub with TLS ÷ plain, 256 connections", "", rig.Bound{}, rep.speeds(secure256, hub256))
	if s := rep.Sustained; s != nil {
		fs.Add(fmt.Sprintf("sustained %gs ÷ %gs", s.Seconds, rep.Seconds), "", b.sustained, s.ratios())
		rep.addDevice(b.device)
	}
	fs.Add(fmt.Sprintf("p99 at %d/s, open loop", b.rate), "ms", b.p99, rep.row(openLoop("hub", b.rate)).of(p99))
	if i := rep.Idle; i != nil {
		fs.Add("RSS of an idle connection", "KB", rig.Bound{}, []float64{i.Plain.RSS / 1e3})
		fs.Add("RSS of an idle connection with TLS", "KB", rig.Bound{}, []float64{i.TLS.RSS / 1e3})
	}
	if n := len(rep.Fleets); n > 1 {
		last := rep.Fleets[n-1]
		fs.Add(fmt.Sprintf("RSS a host, %d hosts", last.Hosts), "bytes", b.host, []float64{perHost(rep.Fleets[0], last)})
	}
	refused, lost := rep.unanswered()
	fs.Add("answers other than 200", "", rig.AtMost(0, 0), []float64{refused})
	fs.Add("connections lost", "", rig.AtMost(0, 0), []float64{lost})
}

// speeds divides the reports a second of two contenders, round by round.
func (rep *report) speeds(over, under string) []float64 {
	return rig.Ratios(rep.row(over).of(perSecond), rep.row(under).of(perSecond))
}

// ratios divides the long run by each of the short ones.
func (s *sustained) ratios() []float64 {
	return rig.Ratios([]float64{s.Long.PerSecond, s.Long.PerSecond}, []float64{s.Short[0].PerSecond, s.Short[1].PerSecond})
}

// addDevice takes what the device wrote, which is what wears it: the file
// system's journal and pages that are written more than once are in it. What
// the process made dirty is less, but its own.
func (rep *report) addDevice(b rig.Bound) {
	const name = "written ÷ payload, sustained: "
	if rep.device != nil {
		rep.Figures.Add(name+"by the device", "", b, []float64{rep.Sustained.Long.Device})
		b = rig.Bound{}
	}
	rep.Figures.Add(name+"by the process", "", b, []float64{rep.Sustained.Long.Dirtied})
}

// unanswered counts over all runs.
func (rep *report) unanswered() (refused, lost float64) {
	count := func(samples ...sample) {
		for _, s := range samples {
			refused += float64(s.Refused)
			lost += float64(s.Lost)
		}
	}
	for _, r := range rep.Rows {
		count(r.Samples...)
	}
	if s := rep.Sustained; s != nil {
		count(s.Long)
		count(s.Short...)
	}
	return refused, lost
}
