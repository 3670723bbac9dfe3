package messages

import (
	"encoding/json"
	"testing"
)

func benchmark(b *testing.B, read func(body []byte) error) {
	body := goldens(b)["testdata/v1/full.json"]
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := read(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	var s Summary
	benchmark(b, func(body []byte) error { return Scan(body, &s) })
}

func BenchmarkDecode(b *testing.B) {
	benchmark(b, func(body []byte) error { _, err := Decode(body); return err })
}

func BenchmarkDecodeGuests(b *testing.B) {
	benchmark(b, func(body []byte) error { _, err := DecodeGuests(body); return err })
}

// BenchmarkEncodingJSON is the measure: it checks far less than Scan.
func BenchmarkEncodingJSON(b *testing.B) {
	benchmark(b, func(body []byte) error { return json.Unmarshal(body, new(Report)) })
}
