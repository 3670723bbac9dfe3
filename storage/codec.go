package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"felhom.eu/messages"
)

// The on-disk form of a value: version | crc32c | payload. The sum covers the
// key, the version and the payload, so a value under another's key is noticed.
const (
	codecVersion = 1
	sealSize     = 1 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sealSum(key []byte, version byte, payload []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, []byte{version})
	return crc32.Update(sum, castagnoli, payload)
}

// unseal checks a value and returns its payload, which shares v's memory.
func unseal(key, v []byte) ([]byte, error) {
	if len(v) < sealSize {
		return nil, corrupt(key, "value of %d bytes", len(v))
	}
	payload := v[sealSize:]
	if binary.BigEndian.Uint32(v[1:]) != sealSum(key, v[0], payload) {
		return nil, corrupt(key, "checksum mismatch")
	}
	if v[0] != codecVersion {
		return nil, corrupt(key, "value of version %d, this program knows %d", v[0], codecVersion)
	}
	return payload, nil
}

// encoder appends fields to b. Records are encoded one after another into one
// buffer: what was handed out stays valid when b moves to a larger array.
type encoder struct{ b []byte }

// seal returns the sealed value whose payload fill appends.
func (e *encoder) seal(key []byte, fill func(*encoder)) []byte {
	start := len(e.b)
	e.b = append(e.b, codecVersion, 0, 0, 0, 0)
	fill(e)
	v := e.b[start:len(e.b):len(e.b)]
	binary.BigEndian.PutUint32(v[1:], sealSum(key, codecVersion, v[sealSize:]))
	return v
}

func (e *encoder) uint(v uint64)    { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)      { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) fixed(v uint64)   { e.b = binary.BigEndian.AppendUint64(e.b, v) }
func (e *encoder) byte(v byte)      { e.b = append(e.b, v) }
func (e *encoder) ratio(v float32)  { e.b = binary.BigEndian.AppendUint32(e.b, math.Float32bits(v)) }
func (e *encoder) hash(v [32]byte)  { e.b = append(e.b, v[:]...) }
func (e *encoder) bytes(v []byte)   { e.uint(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) text(v string)    { e.uint(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) bool(v bool)      { e.byte(bitIf(v, 1)) }
func (e *encoder) time(t time.Time) { e.int(t.Unix() - zeroUnix); e.uint(uint64(t.Nanosecond())) }

// zeroUnix makes the zero time two bytes.
var zeroUnix = time.Time{}.Unix()

func bitIf(v bool, bit byte) byte {
	if v {
		return bit
	}
	return 0
}

var (
	errShort    = errors.New("payload ends early")
	errTrailing = errors.New("payload has bytes left")
	errRange    = errors.New("field out of range")
)

// decoder reads what encoder wrote. The first failure sticks, and everything
// after it reads as zero. Nothing it returns shares memory with b.
type decoder struct {
	b     []byte
	err   error
	words map[string]string // texts that repeat, when many records are read
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

// done reports the first failure, or bytes that nobody read.
func (d *decoder) done() error {
	if d.err == nil && len(d.b) > 0 {
		d.err = errTrailing
	}
	return d.err
}

// more reports whether something is left: a field that older values lack.
func (d *decoder) more() bool { return d.err == nil && len(d.b) > 0 }

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail(errShort)
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int32() int32 {
	v := d.int()
	if v != int64(int32(v)) {
		d.fail(errRange)
	}
	return int32(v)
}

// upTo reads a number that must not exceed limit.
func (d *decoder) upTo(limit uint64) uint64 {
	v := d.uint()
	if v > limit {
		d.fail(errRange)
		return 0
	}
	return v
}

func (d *decoder) fixed() uint64 {
	if v := d.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (d *decoder) byte() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail(errRange)
	}
	return v == 1
}

func (d *decoder) ratio() float32 {
	if v := d.take(4); v != nil {
		return math.Float32frombits(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (d *decoder) hash() (h messages.KeyHash) {
	copy(h[:], d.take(uint64(len(h))))
	return h
}

// bytes is nil when empty.
func (d *decoder) bytes() []byte { return append([]byte(nil), d.take(d.uint())...) }
func (d *decoder) text() string  { return string(d.take(d.uint())) }

// maxWords bounds the texts a decoder remembers: versions and states are few.
const maxWords = 256

// word is a text that many records share; with words it is one string for all.
func (d *decoder) word() string {
	v := d.take(d.uint())
	if d.words == nil || len(v) == 0 {
		return string(v)
	}
	if w, ok := d.words[string(v)]; ok {
		return w
	}
	w := string(v)
	if len(d.words) < maxWords {
		d.words[w] = w
	}
	return w
}

func (d *decoder) time() time.Time {
	sec, nsec := d.int(), d.upTo(999_999_999)
	return time.Unix(sec+zeroUnix, int64(nsec)).UTC()
}
