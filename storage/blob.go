package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"

	"felhom.eu/messages"
)

// A blob is all reports of a batch in one value of a day's store:
//
//	version | crc32c of key and index | reports | chunks | a row each, a row each | heads | chunks
//
// Each report is a head (what a list shows) and a body. The bodies are packed
// (S2) in chunks: reports are much alike, and what is not written is not waited
// for. Heads, chunks and bodies have sums of their own in the index, so that one
// report is read and checked with nothing but its chunk.
//
// Version 1 had no chunks: its bodies lie plain behind their heads.
const (
	blobVersion = 2
	blobHead    = 1 + 4 + 4 + 4
	blobRow     = 7 * 4     // head: offset, bytes, sum; body: chunk, offset in it, bytes, sum
	chunkRow    = 4 * 4     // offset, bytes, bytes of bodies, sum
	chunkBytes  = 128 << 10 // of bodies, or one larger body: what reading one of them unpacks

	blobHeadV1 = 1 + 4 + 4
	blobRowV1  = 5 * 4 // offset, head bytes, body bytes, sum of the head, sum of the body
	plain      = -1    // in place of a chunk

	maxBlob = math.MaxInt32
)

// packer makes blobs; it keeps its memory from one to the next.
type packer struct{ blob, bodies []byte }

// pack encodes the reports of a batch. The blob lives until the next call.
func (p *packer) pack(key []byte, reports []messages.StoredReport) ([]byte, error) {
	chunks := chunksOf(reports)
	size := blobHead + len(reports)*blobRow + len(chunks)*chunkRow
	first := size
	for i := range reports {
		size += s2.MaxEncodedLen(len(reports[i].Body)) + 160
	}
	if size > maxBlob {
		return nil, fmt.Errorf("%w: %d bytes of reports", ErrTooBig, size)
	}
	e := encoder{slices.Grow(p.blob[:0], size)[:first]}
	e.b[0] = blobVersion
	putWords(e.b[5:], len(reports), len(chunks))
	for i := range reports {
		start := len(e.b)
		e.report(&reports[i])
		putWords(e.b[blobHead+i*blobRow:], start, len(e.b)-start, int(entrySum(key, i, e.b[start:])))
	}
	i, chunkRows := 0, blobHead+len(reports)*blobRow
	for c, end := range chunks {
		p.bodies = p.bodies[:0]
		for ; i < end; i++ {
			body := reports[i].Body
			putWords(e.b[blobHead+i*blobRow+12:], c, len(p.bodies), len(body), int(entrySum(key, i, body)))
			p.bodies = append(p.bodies, body...)
		}
		start := len(e.b)
		packed := s2.Encode(e.b[start:cap(e.b)], p.bodies)
		e.b = append(e.b, packed...) // where it is already, unless it found too little room
		putWords(e.b[chunkRows+c*chunkRow:], start, len(packed), len(p.bodies), int(entrySum(key, c, packed)))
	}
	binary.BigEndian.PutUint32(e.b[1:], indexSum(key, e.b[:first]))
	p.keep(e.b)
	return e.b, nil
}

// keep holds on to the memory of a usual batch.
func (p *packer) keep(blob []byte) {
	p.blob = blob
	if cap(p.blob)+cap(p.bodies) > maxScratch {
		*p = packer{}
	}
}

// chunksOf cuts reports into chunks, and is where each ends.
func chunksOf(reports []messages.StoredReport) (ends []int) {
	size := 0
	for i := range reports {
		n := len(reports[i].Body)
		if size > 0 && size+n > chunkBytes {
			ends, size = append(ends, i), 0
		}
		size += n
	}
	if len(reports) > 0 {
		ends = append(ends, len(reports))
	}
	return ends
}

func putWords(b []byte, words ...int) {
	for i, w := range words {
		binary.BigEndian.PutUint32(b[4*i:], uint32(w))
	}
}

// indexSum is of everything in the index but the sum itself.
func indexSum(key, index []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, index[:1])
	return crc32.Update(sum, castagnoli, index[5:])
}

func entrySum(key []byte, i int, b []byte) uint32 {
	var place [blobKeySize + 4]byte // key | index
	binary.BigEndian.PutUint32(place[copy(place[:blobKeySize], key):], uint32(i))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, b)
}

// blob is a value whose index was checked.
type blob struct {
	key, b       []byte
	count        int // reports
	row          int // bytes of a row
	rows, chunks []byte

	unpacked int    // the chunk in bodies
	bodies   []byte // nil before the first
}

func openBlob(key, v []byte) (*blob, error) {
	if len(v) < blobHead {
		return nil, corrupt(key, "blob of %d bytes", len(v))
	}
	b := &blob{key: key, b: v, count: int(word(v, 5)), row: blobRow}
	head, chunks := blobHead, 0
	switch v[0] {
	case 1:
		head, b.row = blobHeadV1, blobRowV1
	case blobVersion:
		chunks = int(word(v, 9))
	}
	rows := uint64(head) + uint64(b.count)*uint64(b.row)
	first := rows + uint64(chunks)*chunkRow
	if uint64(len(v)) < first || word(v, 1) != indexSum(key, v[:first]) {
		return nil, corrupt(key, "checksum mismatch in the index of a blob")
	}
	if v[0] == 0 || v[0] > blobVersion {
		return nil, corrupt(key, "blob of version %d, this program knows up to %d", v[0], blobVersion)
	}
	b.rows, b.chunks = v[head:rows], v[rows:first]
	return b, nil
}

func word(b []byte, at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }

// entry is where the head and the body of a report lie, and their sums.
type entry struct {
	head, headBytes  uint64
	chunk            int
	body, bodyBytes  uint64 // in the chunk, or in the blob
	headSum, bodySum uint32
}

func (b *blob) entry(i int) (e entry, err error) {
	if i < 0 || i >= b.count {
		return e, corrupt(b.key, "no entry %d among %d", i, b.count)
	}
	at := func(n int) uint64 { return uint64(word(b.rows, i*b.row+4*n)) }
	if b.row == blobRowV1 {
		e = entry{at(0), at(1), plain, at(0) + at(1), at(2), uint32(at(3)), uint32(at(4))}
	} else {
		e = entry{at(0), at(1), int(at(3)), at(4), at(5), uint32(at(2)), uint32(at(6))}
	}
	if e.head+e.headBytes > uint64(len(b.b)) {
		return e, corrupt(b.key, "entry %d lies behind the end", i)
	}
	return e, nil
}

// head reads what a list shows of report i, and the length of its body.
func (b *blob) head(i int) (messages.StoredReport, int, error) {
	head, size, err := b.rawHead(i)
	if err != nil {
		return messages.StoredReport{}, 0, err
	}
	d := decoder{b: head}
	r := d.report()
	if err := d.done(); err != nil {
		return messages.StoredReport{}, 0, corrupt(b.key, "head of entry %d: %v", i, err)
	}
	return r, size, nil
}

// rawHead is the checked head of report i as it is stored, and the length of its body.
func (b *blob) rawHead(i int) ([]byte, int, error) {
	e, err := b.entry(i)
	if err != nil {
		return nil, 0, err
	}
	head := b.b[e.head : e.head+e.headBytes]
	if entrySum(b.key, i, head) != e.headSum {
		return nil, 0, corrupt(b.key, "checksum mismatch in the head of entry %d", i)
	}
	return head, int(e.bodyBytes), nil
}

// body is the checked body of report i. It lives until the next body, or as long
// as the blob.
func (b *blob) body(i int) ([]byte, error) {
	e, err := b.entry(i)
	if err != nil {
		return nil, err
	}
	bodies, err := b.chunk(e.chunk)
	switch {
	case err != nil:
		return nil, err
	case e.body+e.bodyBytes > uint64(len(bodies)):
		return nil, corrupt(b.key, "the body of entry %d lies behind the end", i)
	}
	body := bodies[e.body : e.body+e.bodyBytes]
	if entrySum(b.key, i, body) != e.bodySum {
		return nil, corrupt(b.key, "checksum mismatch in the body of entry %d", i)
	}
	return body, nil
}

// chunk unpacks chunk c, unless it was the last one.
func (b *blob) chunk(c int) ([]byte, error) {
	switch {
	case c == plain:
		return b.b, nil
	case b.bodies != nil && c == b.unpacked:
		return b.bodies, nil
	case c >= len(b.chunks)/chunkRow:
		return nil, corrupt(b.key, "no chunk %d", c)
	}
	start, size := uint64(word(b.chunks, c*chunkRow)), uint64(word(b.chunks, c*chunkRow+4))
	if start+size > uint64(len(b.b)) {
		return nil, corrupt(b.key, "chunk %d lies behind the end", c)
	}
	packed := b.b[start : start+size]
	if entrySum(b.key, c, packed) != word(b.chunks, c*chunkRow+12) {
		return nil, corrupt(b.key, "checksum mismatch in chunk %d", c)
	}
	n, err := s2.DecodedLen(packed)
	if err != nil || n != int(word(b.chunks, c*chunkRow+8)) {
		return nil, corrupt(b.key, "chunk %d does not unpack", c)
	}
	bodies, err := s2.Decode(b.bodies[:cap(b.bodies)], packed)
	if err != nil {
		return nil, corrupt(b.key, "chunk %d does not unpack: %v", c, err)
	}
	b.unpacked, b.bodies = c, bodies
	return bodies, nil
}

// check verifies every entry.
func (b *blob) check() error {
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
	e.text(r.Subject())
	e.time(r.ReceivedAt)
	e.time(r.ReportedAt)
	e.ref(r.Previous)
	e.bool(r.Older)
	e.figures(&r.Figures)
	if !r.SentAt.IsZero() { // a Date header has whole seconds: two bytes
		e.int(r.SentAt.Unix() - r.ReceivedAt.Unix())
		e.uint(uint64(r.SentAt.Nanosecond()))
	}
}

func (d *decoder) report() messages.StoredReport {
	r := messages.StoredReport{ID: messages.ReportID(d.text())}
	subject := d.text()
	if name, ok := messages.CutControllerName(subject); ok {
		r.Controller = name
	} else {
		r.HostID = messages.HostID(subject)
	}
	r.ReceivedAt = d.time()
	r.ReportedAt = d.time()
	r.Previous = d.ref()
	r.Older = d.bool()
	r.Figures = d.figures()
	if d.more() {
		r.SentAt = time.Unix(r.ReceivedAt.Unix()+d.int(), int64(d.upTo(uint64(time.Second-1)))).UTC()
	}
	return r
}
