package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"felhom.eu/messages"
)

// A blob is all reports of a batch in one value of a day's store:
//
//	version | crc32c of key, version, count, index | count | index | entries
//
// Each entry is a head (what a list shows) and a body, with a sum of their own
// in the index, so that one report is read and checked without the others.
const (
	blobVersion = 1
	blobHead    = 1 + 4 + 4
	blobRow     = 5 * 4 // offset, head bytes, body bytes, sum of the head, sum of the body
	maxBlob     = math.MaxInt32
)

// blobOf encodes the reports of a batch into buf's memory, or into more.
func blobOf(buf, key []byte, reports []messages.StoredReport) ([]byte, error) {
	size := blobHead + len(reports)*blobRow
	for i := range reports {
		size += len(reports[i].Body) + 160
	}
	if size > maxBlob {
		return nil, fmt.Errorf("%w: %d bytes of reports", ErrTooBig, size)
	}
	first := blobHead + len(reports)*blobRow
	e := encoder{slices.Grow(buf[:0], size)[:first]}
	e.b[0] = blobVersion
	binary.BigEndian.PutUint32(e.b[5:], uint32(len(reports)))
	for i := range reports {
		start := len(e.b)
		e.report(&reports[i])
		middle := len(e.b)
		e.b = append(e.b, reports[i].Body...)
		row := e.b[blobHead+i*blobRow:]
		binary.BigEndian.PutUint32(row, uint32(start))
		binary.BigEndian.PutUint32(row[4:], uint32(middle-start))
		binary.BigEndian.PutUint32(row[8:], uint32(len(e.b)-middle))
		binary.BigEndian.PutUint32(row[12:], entrySum(key, i, e.b[start:middle]))
		binary.BigEndian.PutUint32(row[16:], entrySum(key, i, e.b[middle:]))
	}
	binary.BigEndian.PutUint32(e.b[1:], indexSum(key, e.b[:first]))
	return e.b, nil
}

func indexSum(key, head []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, head[:1])
	return crc32.Update(sum, castagnoli, head[5:])
}

func entrySum(key []byte, i int, b []byte) uint32 {
	var place [blobKeySize + 4]byte // key | index
	binary.BigEndian.PutUint32(place[copy(place[:blobKeySize], key):], uint32(i))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, b)
}

// blob is a value whose index was checked.
type blob struct {
	key, b []byte
	count  int
}

func openBlob(key, v []byte) (blob, error) {
	if len(v) < blobHead {
		return blob{}, corrupt(key, "blob of %d bytes", len(v))
	}
	count := uint64(binary.BigEndian.Uint32(v[5:]))
	first := blobHead + count*blobRow
	if uint64(len(v)) < first || binary.BigEndian.Uint32(v[1:]) != indexSum(key, v[:first]) {
		return blob{}, corrupt(key, "checksum mismatch in the index of a blob")
	}
	if v[0] != blobVersion {
		return blob{}, corrupt(key, "blob of version %d, this program knows %d", v[0], blobVersion)
	}
	return blob{key, v, int(count)}, nil
}

// entry is the head and body of report i, still to be checked.
func (b blob) entry(i int) (head, body []byte, sums [2]uint32, err error) {
	if i < 0 || i >= b.count {
		return nil, nil, sums, corrupt(b.key, "no entry %d among %d", i, b.count)
	}
	row := b.b[blobHead+i*blobRow:]
	start := uint64(binary.BigEndian.Uint32(row))
	middle := start + uint64(binary.BigEndian.Uint32(row[4:]))
	end := middle + uint64(binary.BigEndian.Uint32(row[8:]))
	if end > uint64(len(b.b)) {
		return nil, nil, sums, corrupt(b.key, "entry %d lies behind the end", i)
	}
	sums = [2]uint32{binary.BigEndian.Uint32(row[12:]), binary.BigEndian.Uint32(row[16:])}
	return b.b[start:middle], b.b[middle:end], sums, nil
}

// head reads what a list shows of report i, without its body.
func (b blob) head(i int) (messages.StoredReport, int, error) {
	head, body, sums, err := b.entry(i)
	if err != nil {
		return messages.StoredReport{}, 0, err
	}
	if entrySum(b.key, i, head) != sums[0] {
		return messages.StoredReport{}, 0, corrupt(b.key, "checksum mismatch in the head of entry %d", i)
	}
	d := decoder{b: head}
	r := d.report()
	if err := d.done(); err != nil {
		return messages.StoredReport{}, 0, corrupt(b.key, "head of entry %d: %v", i, err)
	}
	return r, len(body), nil
}

// body is the checked body of report i; it shares the blob's memory.
func (b blob) body(i int) ([]byte, error) {
	_, body, sums, err := b.entry(i)
	if err == nil && entrySum(b.key, i, body) != sums[1] {
		err = corrupt(b.key, "checksum mismatch in the body of entry %d", i)
	}
	return body, err
}

// check verifies every entry.
func (b blob) check() error {
	for i := range b.count {
		if _, _, err := b.head(i); err != nil {
			return err
		}
		if _, err := b.body(i); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) report(r *messages.StoredReport) {
	e.text(string(r.ID))
	e.text(string(r.HostID))
	e.time(r.ReceivedAt)
	e.time(r.ReportedAt)
	e.ref(r.Previous)
	e.bool(r.Older)
	e.figures(&r.Figures)
}

func (d *decoder) report() messages.StoredReport {
	return messages.StoredReport{
		ID:         messages.ReportID(d.text()),
		HostID:     messages.HostID(d.text()),
		ReceivedAt: d.time(),
		ReportedAt: d.time(),
		Previous:   d.ref(),
		Older:      d.bool(),
		Figures:    d.figures(),
	}
}
