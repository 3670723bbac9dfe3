package storage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"felhom.eu/messages"
)

// BenchmarkCommit256 writes batches of 256 reports of 2 KiB, the bodies of one
// beside the state of the one before, and says what that is in reports a second
// and in bytes written to the device for one of payload.
func BenchmarkCommit256(b *testing.B) {
	db, err := Open(b.TempDir(), Options{MinFreeBytes: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	f := newFleet(256)
	write(b, db, f.mint())
	template := f.report(2048)
	write(b, db, template)
	queue, done := make(chan *messages.Batch), make(chan error, 1)
	go func() {
		for batch := range queue {
			if err := db.WriteState(batch); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	device := deviceBytes()
	b.ResetTimer()
	var slowest time.Duration
	for i := range b.N {
		batch := next(template, uint64(i+1))
		began := time.Now()
		if err := db.WriteBodies(batch); err != nil {
			b.Fatal(err)
		}
		queue <- batch
		slowest = max(slowest, time.Since(began))
	}
	close(queue)
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N*256)/b.Elapsed().Seconds(), "reports/s")
	b.ReportMetric(float64(slowest.Milliseconds()), "slowest-ms")
	if device > 0 {
		b.ReportMetric(float64(deviceBytes()-device)/float64(b.N*256*2048), "device-bytes/byte")
	}
}

// next is a batch like t, n batches later.
func next(t *messages.Batch, n uint64) *messages.Batch {
	b := *t
	b.Sequence += n
	b.Events, b.Deliveries = nil, nil
	b.Reports = append([]messages.StoredReport(nil), t.Reports...)
	b.Hosts = append([]messages.HostState(nil), t.Hosts...)
	for i := range b.Hosts {
		b.Reports[i].Previous = messages.ReportRef{Day: b.Day(), Batch: b.Sequence - 1, Entry: uint32(i)}
		b.Hosts[i].Last = messages.ReportRef{Day: b.Day(), Batch: b.Sequence, Entry: uint32(i)}
	}
	return &b
}

// deviceBytes is what this process caused to be written; 0 where the system
// does not tell.
func deviceBytes() uint64 {
	b, _ := os.ReadFile("/proc/self/io")
	for line := range bytes.Lines(b) {
		if v, ok := bytes.CutPrefix(line, []byte("write_bytes: ")); ok {
			n, _ := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 64)
			return n
		}
	}
	return 0
}

// BenchmarkEachHost reads hosts with their states, as a start does.
func BenchmarkEachHost(b *testing.B) {
	const hosts = 100_000
	db, err := Open(b.TempDir(), Options{MinFreeBytes: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	f := newFleet(0)
	for i := 0; i < hosts; {
		batch := f.empty()
		for range 10_000 {
			i++
			id := messages.HostID(fmt.Sprintf("customer-%03d-%08x", i%997, i))
			batch.PutHosts = append(batch.PutHosts, messages.Host{ID: id, CustomerID: id.Customer()})
			s := sampleState
			s.ID, s.Last, s.Incident = id, messages.ReportRef{}, "" // most have none
			batch.Hosts = append(batch.Hosts, s)
		}
		write(b, db, batch)
	}
	for b.Loop() {
		n := 0
		err := db.EachHost("", "", func(messages.Host, messages.HostState) error { n++; return nil })
		if err != nil || n != hosts {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(hosts*float64(b.N)/b.Elapsed().Seconds(), "hosts/s")
}
