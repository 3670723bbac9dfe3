package messages

import "math"

// FNV-1a, 64 bit (RFC 9923).
const (
	fnvBasis = 14695981039346656037
	fnvPrime = 1099511628211
)

// HashText is the 64-bit FNV-1a hash of s, or 0 when s is empty. It is never 0
// for other texts. Hashes are stored: the function does not change.
func HashText[T ~string | ~[]byte](s T) uint64 {
	if len(s) == 0 {
		return 0
	}
	h := uint64(fnvBasis)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return max(h, 1)
}

// hash folds values into one, in order.
type hash uint64

func (h *hash) add(v uint64) {
	x := (uint64(*h) ^ v) * 0x9E3779B97F4A7C15 // 2^64 ÷ golden ratio
	*h = hash(x ^ x>>29)
}

// guestReality is what of a guest counts as a change: the figures do not.
// Texts are their HashText.
type guestReality struct {
	vmid, kind, name, status, controller uint64

	hasSpec      bool
	cores        float64
	memory, disk uint64 // bytes
}

func (h *hash) addGuest(g *guestReality) {
	h.add(g.vmid)
	h.add(g.kind)
	h.add(g.name)
	h.add(g.status)
	h.add(g.controller)
	if !g.hasSpec {
		h.add(0)
		return
	}
	h.add(1)
	h.add(math.Float64bits(g.cores))
	h.add(g.memory)
	h.add(g.disk)
}
