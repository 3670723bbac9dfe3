package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"
)

// What Badger's logs look like: a header of key id and initialization vector,
// then entries of
//
//	meta | user meta | varints: key's length, value's length, expiry | key | value | crc32c
//
// The last eight bytes of a key are the version of its transaction, which ends
// with an entry of its own. Zeros follow.
const (
	logHeader  = 20
	metaTxn    = 1 << 6
	metaFinTxn = 1 << 7
)

// span is the versions that a log holds, from the first to the last; none when
// last is zero.
type span struct {
	path        string
	first, last uint64
	end         int64 // of the last whole transaction, in bytes
	size        int64
}

// goOn follows the logs from where the tables end, and returns how far tables
// and logs reach without a gap, and whether that is all.
func goOn(logs []span, reach uint64) (_ uint64, whole bool) {
	for _, s := range logs {
		if s.last == 0 {
			continue
		}
		if s.first > reach+1 {
			return reach, false
		}
		reach = max(reach, s.last)
	}
	return reach, true
}

func readLogs(paths []string) (logs []span, err error) {
	for _, path := range paths {
		s, err := spanOf(path)
		if err != nil {
			return nil, err
		}
		logs = append(logs, s)
	}
	return logs, nil
}

func spanOf(path string) (span, error) {
	info, err := os.Stat(path)
	if err != nil {
		return span{}, fmt.Errorf("look at a log: %w", err)
	}
	if info.Size() <= logHeader {
		return span{path: path, size: info.Size(), end: info.Size()}, nil
	}
	f, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return span{}, fmt.Errorf("read log %s: %w", path, err)
	}
	s := readSpan(f.Data[logHeader:])
	s.path, s.size = path, info.Size()
	s.end += logHeader
	return s, f.Close(-1)
}

// readSpan reads whole transactions up to the first that is not, as Badger
// does. Paths, sizes and the log's header are not its business.
func readSpan(b []byte) (s span) {
	all := len(b)
	for {
		e, rest, err := cutEntry(b)
		if err != nil {
			return s
		}
		version := e.version
		for e.meta&metaTxn != 0 && err == nil && e.version == version {
			e, rest, err = cutEntry(rest)
		}
		if err != nil || e.version != version {
			return s
		}
		if s.last == 0 {
			s.first = version
		}
		s.last, b = version, rest
		s.end = int64(all - len(rest))
	}
}

// cut ends a log behind its last whole transaction.
func (s span) cut() error {
	if s.end == s.size {
		return nil
	}
	if err := os.Truncate(s.path, s.end); err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	return nil
}

// logEntry is what there is to know of an entry.
type logEntry struct {
	meta    byte
	version uint64
}

var errEntry = errors.New("no whole entry")

// cutEntry takes the first entry off a log.
func cutEntry(b []byte) (e logEntry, rest []byte, err error) {
	if len(b) < 2 {
		return e, nil, errEntry
	}
	at := uint64(2)
	var lengths [3]uint64 // of the key, of the value, and the expiry
	for i := range lengths {
		v, n := binary.Uvarint(b[at:])
		if n <= 0 {
			return e, nil, errEntry
		}
		lengths[i], at = v, at+uint64(n)
	}
	key, value, left := lengths[0], lengths[1], uint64(len(b))-at
	if key < 8 || key > left || value > left-key || left-key-value < crc32.Size {
		return e, nil, errEntry
	}
	end := at + key + value
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return e, nil, errEntry
	}
	return logEntry{b[0], y.ParseTs(b[at : at+key])}, b[end+crc32.Size:], nil
}
