package app

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"felhom.eu/hub/config"
	"felhom.eu/messages"
)

// BenchmarkRecord is a report's way without HTTP: from the door through host and
// writer to the disk and back, 256 at a time over 2,000 hosts. It needs a disk
// to mean something: set TMPDIR.
func BenchmarkRecord(b *testing.B) {
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", filepath.Join(b.TempDir(), "data")
	a, err := Start(cfg, "bench", zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	defer a.Stop()
	f := &fleet{hub: a.hub, db: a.db, app: a}
	if _, err := f.AddCustomer(b.Context(), "acme", ""); err != nil {
		b.Fatal(err)
	}
	const hosts = 2000
	ids := make([]messages.HostID, hosts)
	for i := range ids {
		if ids[i], _, err = f.MintHost(b.Context(), messages.Host{CustomerID: "acme"}); err != nil {
			b.Fatal(err)
		}
	}
	body := fmt.Appendf(nil, `{"host_id":%q,"padding":%0*d}`, ids[0], 2000, 7)
	var n atomic.Int64
	b.SetParallelism(128)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			s := messages.Summary{HostID: ids[i%hosts], StreamHash: 7, Sequence: uint64(i/hosts) + 1, Figures: messages.Figures{GuestsUnknown: true}}
			if _, err := f.Record(&s, body); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}
