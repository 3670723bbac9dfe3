package storage

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/s2"

	"felhom.eu/messages"
)

// A roll-up is one file for a day and a resolution, written once in the order of the
// hosts' ids and never changed:
//
//	magic | blocks | index | tail
//
// A block is some hosts' rows (id, slots), packed (S2); the index has each block's
// first host, place and sum; the tail says where the index is. All sums cover the
// resolution and the day, so that a file under another's name is noticed.
const (
	rollDir    = "rollup"
	rollMagic  = "felhom-rollup 1\n"
	rollBlock  = 32 << 10 // of rows, unpacked
	rollTail   = 3*8 + 4  // place of the index, its bytes, hosts; sum of these and the index
	tmpSuffix  = ".tmp"
	maxRollRow = 64 << 10 // far above what slots can take
)

// rollups are the resolutions that are kept.
var rollups = [...]messages.Resolution{messages.ResolutionQuarter, messages.ResolutionTwoHours}

func rollPath(dir string, r messages.Resolution, day uint32) string {
	return filepath.Join(dir, rollDir, string(r), dayName(day))
}

// rollKey is what the sums of a roll-up begin with.
func rollKey(r messages.Resolution, day uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte(r), day)
}

func rollSum(key []byte, n uint64, b []byte) uint32 {
	sum := crc32.Checksum(key, castagnoli)
	sum = crc32.Update(sum, castagnoli, binary.BigEndian.AppendUint64(nil, n))
	return crc32.Update(sum, castagnoli, b)
}

// rollWriter makes a roll-up beside its place and puts it there at the end.
type rollWriter struct {
	path   string
	key    []byte
	f      *os.File
	w      *bufio.Writer
	at     uint64 // bytes written
	hosts  uint64
	blocks uint64
	first  messages.HostID // of the block
	last   messages.HostID
	block  encoder
	row    encoder
	packed []byte
	index  encoder
}

func createRoll(dir string, r messages.Resolution, day uint32) (*rollWriter, error) {
	path := rollPath(dir, r, day)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+tmpSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	w := &rollWriter{path: path, key: rollKey(r, day), f: f, w: bufio.NewWriterSize(f, 2*rollBlock)}
	return w, w.write([]byte(rollMagic))
}

func (w *rollWriter) write(b []byte) error {
	w.at += uint64(len(b))
	_, err := w.w.Write(b)
	return err
}

// add takes the rows of hosts in the order of their ids.
func (w *rollWriter) add(id messages.HostID, slots []slot) error {
	if id <= w.last {
		return fmt.Errorf("%w: a roll-up's host %q follows %q", ErrOrder, id, w.last)
	}
	if len(w.block.b) == 0 {
		w.first = id
	}
	w.last = id
	w.row.b = w.row.b[:0]
	w.row.slots(slots)
	w.block.text(string(id))
	w.block.bytes(w.row.b)
	w.hosts++
	if len(w.block.b) < rollBlock {
		return nil
	}
	return w.flush()
}

func (w *rollWriter) flush() error {
	if len(w.block.b) == 0 {
		return nil
	}
	w.packed = s2.Encode(w.packed[:cap(w.packed)], w.block.b)
	w.index.text(string(w.first))
	w.index.uint(w.at)
	w.index.uint(uint64(len(w.packed)))
	w.index.uint(uint64(rollSum(w.key, w.blocks, w.packed)))
	w.blocks++
	w.block.b = w.block.b[:0]
	return w.write(w.packed)
}

// finish makes the roll-up durable in its place.
func (w *rollWriter) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	tail := binary.BigEndian.AppendUint64(nil, w.at)
	tail = binary.BigEndian.AppendUint64(tail, uint64(len(w.index.b)))
	tail = binary.BigEndian.AppendUint64(tail, w.hosts)
	sum := crc32.Update(rollSum(w.key, w.hosts, w.index.b), castagnoli, tail)
	err := errors.Join(w.write(w.index.b), w.write(binary.BigEndian.AppendUint32(tail, sum)))
	if err == nil {
		err = w.w.Flush()
	}
	if err == nil {
		err = w.f.Sync()
	}
	if err = errors.Join(err, w.f.Close()); err != nil {
		return err
	}
	if err := os.Rename(w.path+tmpSuffix, w.path); err != nil {
		return err
	}
	dir := filepath.Dir(w.path) // and the directories, which may be new
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)), syncDir(filepath.Dir(filepath.Dir(dir))))
}

// abandon removes what was not finished; after finish it does nothing.
func (w *rollWriter) abandon() {
	_ = w.f.Close()
	_ = os.Remove(w.path + tmpSuffix)
}

// rollFile is a roll-up that is being read.
type rollFile struct {
	name       string
	f          io.ReaderAt
	size       uint64
	key        []byte
	resolution messages.Resolution
	hosts      uint64
	blocks     []rollEntry
}

// rollEntry is a block in the index.
type rollEntry struct {
	first     messages.HostID
	at, bytes uint64
	sum       uint32
}

// openRoll reads a roll-up's index. Errors: ErrNotFound, ErrCorrupt.
func openRoll(dir string, r messages.Resolution, day uint32) (*rollFile, error) {
	f, err := os.Open(rollPath(dir, r, day))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open roll-up: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open roll-up: %w", err), f.Close())
	}
	roll := &rollFile{name: f.Name(), f: f, size: uint64(info.Size()), key: rollKey(r, day), resolution: r}
	if err := roll.readIndex(); err != nil {
		return nil, errors.Join(fmt.Errorf("roll-up %s: %w", roll.name, err), f.Close())
	}
	return roll, nil
}

func (f *rollFile) readIndex() error {
	size := f.size
	if size < uint64(len(rollMagic)+rollTail) {
		return fmt.Errorf("%w: it has %d bytes", ErrCorrupt, size)
	}
	magic, err := f.read(0, uint64(len(rollMagic)))
	if err != nil {
		return err
	}
	if string(magic) != rollMagic {
		return fmt.Errorf("%w: it does not begin with %q", ErrCorrupt, rollMagic)
	}
	tail, err := f.read(size-rollTail, rollTail)
	if err != nil {
		return err
	}
	at, length := binary.BigEndian.Uint64(tail), binary.BigEndian.Uint64(tail[8:])
	f.hosts = binary.BigEndian.Uint64(tail[16:])
	if at > size || length > size || at+length+rollTail != size {
		return fmt.Errorf("%w: its index lies elsewhere", ErrCorrupt)
	}
	index, err := f.read(at, length)
	if err != nil {
		return err
	}
	if crc32.Update(rollSum(f.key, f.hosts, index), castagnoli, tail[:24]) != binary.BigEndian.Uint32(tail[24:]) {
		return fmt.Errorf("%w: checksum mismatch in its index", ErrCorrupt)
	}
	return f.entries(&decoder{b: index}, at)
}

func (f *rollFile) entries(d *decoder, end uint64) error {
	for len(d.b) > 0 {
		e := rollEntry{first: messages.HostID(d.text()), at: d.uint(), bytes: d.uint(), sum: uint32(d.upTo(1<<32 - 1))}
		if d.err != nil || e.bytes > end || e.at > end-e.bytes {
			return fmt.Errorf("%w: its index makes no sense", ErrCorrupt)
		}
		f.blocks = append(f.blocks, e)
	}
	return nil
}

// read reads exactly n bytes; fewer are damage.
func (f *rollFile) read(at, n uint64) ([]byte, error) {
	b := make([]byte, n)
	_, err := f.f.ReadAt(b, int64(at))
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it ends early", ErrCorrupt)
	}
	return b, err
}

// rows unpacks a block.
func (f *rollFile) rows(block int) (*decoder, error) {
	e := f.blocks[block]
	packed, err := f.read(e.at, e.bytes)
	if err != nil {
		return nil, err
	}
	if rollSum(f.key, uint64(block), packed) != e.sum {
		return nil, fmt.Errorf("%s: %w: checksum mismatch in block %d", f.name, ErrCorrupt, block)
	}
	n, err := s2.DecodedLen(packed)
	if err != nil || n > rollBlock+maxRollRow {
		return nil, fmt.Errorf("%s: %w: block %d does not unpack", f.name, ErrCorrupt, block)
	}
	b, err := s2.Decode(nil, packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: block %d does not unpack: %w", f.name, ErrCorrupt, block, err)
	}
	return &decoder{b: b}, nil
}

// slots decodes a row's payload.
func (f *rollFile) slots(payload []byte) ([]slot, error) {
	d := &decoder{b: payload}
	slots := d.slots(f.resolution.Slots())
	if err := d.done(); err != nil {
		return nil, fmt.Errorf("%s: %w: a row: %w", f.name, ErrCorrupt, err)
	}
	return slots, nil
}

// find is a host's slots; nil when it has none in this day.
func (f *rollFile) find(id messages.HostID) ([]slot, error) {
	i, found := slices.BinarySearchFunc(f.blocks, id, func(e rollEntry, id messages.HostID) int {
		return strings.Compare(string(e.first), string(id))
	})
	if !found {
		i--
	}
	if i < 0 {
		return nil, nil
	}
	d, err := f.rows(i)
	if err != nil {
		return nil, err
	}
	for len(d.b) > 0 {
		host, payload := d.take(d.uint()), d.take(d.uint())
		if d.err != nil {
			return nil, fmt.Errorf("%s: %w: a row: %w", f.name, ErrCorrupt, d.err)
		}
		if string(host) == string(id) {
			return f.slots(payload)
		}
	}
	return nil, nil
}

// each calls fn for every host in the order of ids, and checks all there is.
func (f *rollFile) each(fn func(messages.HostID, []slot) error) error {
	var n uint64
	last := messages.HostID("")
	for i := range f.blocks {
		d, err := f.rows(i)
		if err != nil {
			return err
		}
		for len(d.b) > 0 {
			id, payload := messages.HostID(d.text()), d.take(d.uint())
			if d.err != nil || id <= last {
				return fmt.Errorf("%s: %w: host %q follows %q", f.name, ErrCorrupt, id, last)
			}
			slots, err := f.slots(payload)
			if err != nil {
				return err
			}
			if err := fn(id, slots); err != nil {
				return err
			}
			n, last = n+1, id
		}
	}
	if n != f.hosts {
		return fmt.Errorf("%s: %w: %d hosts are in it, %d should be", f.name, ErrCorrupt, n, f.hosts)
	}
	return nil
}

func (f *rollFile) close() {
	if c, ok := f.f.(io.Closer); ok {
		_ = c.Close()
	}
}
