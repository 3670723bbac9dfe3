package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"felhom.eu/messages"
)

// Bodies come back byte for byte, whatever their number, size and content.
func TestBlobGivesBackEveryBody(t *testing.T) {
	noise := make([]byte, 3*chunkBytes)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	alike := bytes.Repeat([]byte(`{"host_id":"acme-00000001","guests":[]},`), 50)
	var p packer
	for name, bodies := range map[string][][]byte{
		"one":               {alike},
		"none empty":        {nil, alike, {}, alike},
		"a full chunk":      {alike[:7], make([]byte, chunkBytes-7), alike},
		"one byte over":     {alike[:8], make([]byte, chunkBytes-7), alike},
		"large among small": {alike, noise, alike, noise[:chunkBytes], alike},
		"many":              repeat(alike, 500),
	} {
		var reports []messages.StoredReport
		size := 0
		for i, b := range bodies {
			r := sampleReport
			r.ID, r.Body = messages.ReportID(fmt.Sprint(i)), b
			reports = append(reports, r)
			size += len(b)
		}
		v, err := p.pack(blobKey(7), reports)
		if err != nil {
			t.Fatal(name, err)
		}
		b, err := openBlob(blobKey(7), v)
		if err != nil {
			t.Fatal(name, err)
		}
		for i := range reports {
			r, n, err := b.head(i)
			if err != nil || r.ID != reports[i].ID || n != len(bodies[i]) {
				t.Errorf("%s: head %d is %+v of %d bytes, %v", name, i, r, n, err)
			}
		}
		for _, i := range random.Perm(len(bodies)) { // chunks in any order
			if got, err := b.body(i); err != nil || !bytes.Equal(got, bodies[i]) {
				t.Errorf("%s: body %d: %d bytes, %v; want %d", name, i, len(got), err, len(bodies[i]))
			}
		}
		if want := (size + chunkBytes - 1) / chunkBytes; len(b.chunks)/chunkRow < want {
			t.Errorf("%s: %d chunks of %d bytes", name, len(b.chunks)/chunkRow, size)
		}
	}
}

func repeat(b []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, b)
	}
	return all
}

// Reports are much alike: a batch takes a fraction of what its bodies have.
func TestBlobOfReportsAlikeIsSmall(t *testing.T) {
	body := []byte(`{"host_id":"acme-%08x","reported_at":"2026-06-08T14:20:09Z","host":{"node":"pve1","uptime_seconds":%d}}`)
	var reports []messages.StoredReport
	size := 0
	for i := range 100 {
		r := sampleReport
		r.Body = fmt.Appendf(nil, string(body), i, i*997)
		size += len(r.Body)
		reports = append(reports, r)
	}
	with, err := new(packer).pack(blobKey(7), reports)
	if err != nil {
		t.Fatal(err)
	}
	packed := len(with)
	for i := range reports {
		reports[i].Body = nil
	}
	without, err := new(packer).pack(blobKey(7), reports)
	if err != nil {
		t.Fatal(err)
	}
	if packed -= len(without); packed > size/3 {
		t.Errorf("%d bytes of bodies take %d", size, packed)
	}
}

// BenchmarkPack is what a batch of 100 reports costs before it is written.
func BenchmarkPack(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var reports []messages.StoredReport
	for range 100 {
		r := sampleReport
		for i := range 24 { // figures differ in every report, their names do not
			r.Body = fmt.Appendf(r.Body, `"some_metric_of_a_guest_%d":{"used_bytes":%d,"ratio":%.4f},`, i, random.Uint32(), random.Float64())
		}
		reports = append(reports, r)
	}
	var p packer
	b.SetBytes(int64(100 * len(reports[0].Body)))
	for b.Loop() {
		if v, err := p.pack(blobKey(7), reports); err != nil {
			b.Fatal(err)
		} else {
			b.ReportMetric(float64(100*len(reports[0].Body))/float64(len(v)), "ratio")
		}
	}
}
