package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets of one microsecond below 1 ms and of
// less than 1 % above, up to two minutes. The zero value is empty. It is not
// safe for concurrent use.
type Histogram struct {
	buckets [bucketCount]uint32
	count   uint64
	max     time.Duration
}

const (
	linear    = 1024 // buckets of 1 µs
	perDouble = 128  // buckets from one power of two to the next

	bucketCount = linear + 17*perDouble
)

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	h.buckets[bucketOf(d)]++
	h.count++
	h.max = max(h.max, d)
}

// Merge adds what o counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
	h.max = max(h.max, o.max)
}

// Count is how many durations were added.
func (h *Histogram) Count() uint64 { return h.count }

// Max is the longest duration added.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that the share q (0 to 1) of all durations does not
// exceed, within the width of a bucket; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.count))
	var seen uint64
	for i, n := range h.buckets {
		if seen += uint64(n); seen > rank {
			return valueOf(i)
		}
	}
	return h.max
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < linear {
		return int(us)
	}
	double := bits.Len64(us) - bits.Len64(linear)
	i := linear + double*perDouble + int(us>>(double+3)) - perDouble
	return min(i, bucketCount-1)
}

// valueOf is the middle of a bucket.
func valueOf(i int) time.Duration {
	if i < linear {
		return time.Duration(i) * time.Microsecond
	}
	double, step := (i-linear)/perDouble, (i-linear)%perDouble
	return time.Duration(((perDouble+step)*8+4)<<double) * time.Microsecond
}
