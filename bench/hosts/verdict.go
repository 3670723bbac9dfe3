package main

import (
	"fmt"
	"os"

	"felhom.eu/bench/rig"
)

func (f *figures) judge(c *rig.Checks) {
	name := func(what string) string { return fmt.Sprintf("%d hosts: %s", f.Hosts, what) }
	c.Add(f.FillSeconds <= floorFill, name("fill"), "%.1f s; at most %.0f", f.FillSeconds, floorFill)
	c.Add(f.Hosts < judgedFrom || f.RSSPerHost <= floorBytes, name("RSS a host"), "%.0f bytes, %.0f of them anonymous; at most %d", f.RSSPerHost, f.AnonPerHost, floorBytes)
	c.Add(f.AcceptingSeconds <= floorAccepting, name("start until accepting"), "%.2f s; at most %.0f", f.AcceptingSeconds, floorAccepting)
	c.Add(f.AllUpSeconds <= floorAllUp, name("start until every actor is up"), "%.2f s (%.1f s of CPU); at most %.0f", f.AllUpSeconds, f.StartCPUSeconds, floorAllUp)
	for _, q := range f.Questions {
		c.Add(q.PageSeconds <= floorPage, name("list "+q.Name), "%d hosts, %s a page at most; at most %.0f s", q.Hosts, quick(q.PageSeconds), floorPage)
	}
	if q := f.Questions; len(q) > 0 {
		c.Add(q[len(q)-1].Hosts == f.Hosts, name("every host is listed"), "%d", q[len(q)-1].Hosts)
	}
	if b := f.Busy; b != nil {
		c.Add(b.Refused == 0 && b.Reports > 0, name("reports while starting"), "%d, %.0f a second, p99 %s, %d not answered 200; all up after %.2f s",
			b.Reports, b.ReportsPerSecond, quick(b.P99Seconds), b.Refused, b.AllUpSeconds)
	}
	if w := f.Wave; w != nil {
		c.Add(w.Events >= w.Hosts && w.DurableSeconds <= floorWave, name("silence of many is durable"), "%d hosts, %d events, %.1f s; at most %.0f", w.Hosts, w.Events, w.DurableSeconds, floorWave)
		c.Add((w.Told == w.Hosts || w.Mass > 0) && w.Twice == 0 && w.ToldSeconds <= floorWave, name("and told"), "%d hosts by name and %d by an incident, %d of them twice, in %d messages of at most %d bytes, %.1f s; at most %.0f",
			w.Told, w.Mass, w.Twice, w.Messages, w.LargestBytes, w.ToldSeconds, floorWave)
		c.Add(w.GrowthBytes <= floorGrowth, name("memory in the wave"), "%s more at the peak; at most %s. With the mapped files of the store %s", rig.MiB(w.GrowthBytes), rig.MiB(floorGrowth), rig.MiB(w.RSSGrowthBytes))
	}
}

func (f *figures) print() {
	fmt.Printf("%d hosts: filled in %.1f s, store %s; accepting after %.2f s, all up after %.2f s (CPU %.1f s); RSS %s = %.0f bytes a host (anonymous %.0f, peak %.0f)\n",
		f.Hosts, f.FillSeconds, rig.MiB(f.StoreBytes), f.AcceptingSeconds, f.AllUpSeconds, f.StartCPUSeconds, rig.MiB(f.Memory.RSS), f.RSSPerHost, f.AnonPerHost, f.PeakPerHost)
	if f.Questions == nil {
		return
	}
	t := rig.NewTable(os.Stdout, "question", "hosts", "answered in", "slowest page")
	for _, q := range f.Questions {
		t.Row(q.Name, fmt.Sprint(q.Hosts), quick(q.Seconds), quick(q.PageSeconds))
	}
	t.Flush()
}
