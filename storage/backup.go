package storage

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// A backup is a magic line, records, and the SHA-256 of all before it:
//
//	kind | be32 key bytes | be32 value bytes | key | value | crc32c of all these
//
// First a header, then the rows of state/ in order, then the blobs of the
// history by day and batch, the rows of the roll-ups by resolution, day and host,
// and a trailer that counts them.
const (
	backupMagic   = "felhom-backup 1\n"
	backupHeader  = 'H'
	backupRow     = 'R'
	backupBlob    = 'B'
	backupRoll    = 'U'
	backupTrailer = 'T'

	recordHead   = 1 + 4 + 4
	maxBackupKey = 1 << 10
)

// Manifest says what a backup holds.
type Manifest struct {
	Store     int       `json:"store"` // version of the store's format
	CreatedAt time.Time `json:"created_at"`
	Batch     uint64    `json:"batch"` // high-water marks
	Event     uint64    `json:"event"`
	Delivery  uint64    `json:"delivery"`
	Hosts     uint64    `json:"hosts"`
	Rows      uint64    `json:"rows"` // of state/; 0 in the header
	Blobs     uint64    `json:"blobs"`
	Rolls     uint64    `json:"rolls,omitempty"` // rows of roll-ups: a host's day at a resolution
	// Damaged counts blobs of the history and roll-ups that could not be read and
	// are not in the backup.
	Damaged uint64 `json:"damaged,omitempty"`
}

// Backup writes a copy of the store as of now, while it runs. Rows that cannot
// be read fail it; reports that cannot be read are left out and counted. While
// it runs no day can be dropped. Blocks until w took everything or ctx ends.
func (db *DB) Backup(ctx context.Context, w io.Writer) (Manifest, error) {
	if err := db.enter(); err != nil {
		return Manifest{}, err
	}
	defer db.leave()
	db.backups.RLock()
	defer db.backups.RUnlock()
	b := backup{ctx: ctx, db: db, sum: sha256.New()}
	buffered := bufio.NewWriterSize(w, 1<<20)
	b.w = io.MultiWriter(buffered, b.sum)
	if err := b.write(); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	if _, err := buffered.Write(b.sum.Sum(nil)); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	return b.Manifest, nil
}

type backup struct {
	Manifest
	ctx context.Context
	db  *DB
	sum hash.Hash
	w   io.Writer
}

func (b *backup) write() error {
	if _, err := io.WriteString(b.w, backupMagic); err != nil {
		return err
	}
	err := b.db.state.View(func(txn *badger.Txn) error {
		m, err := get(txn, &decoder{}, metaKey, (*decoder).meta)
		if err != nil && !errors.Is(err, ErrNotFound) { // a store before its first batch has none
			return err
		}
		b.Manifest = Manifest{Store: formatVersion, CreatedAt: time.Now().UTC(),
			Batch: m.Batch, Event: m.Event, Delivery: m.Delivery, Hosts: m.Hosts}
		if err := b.manifest(backupHeader); err != nil {
			return err
		}
		return walk(txn, query{}, b.row)
	})
	if err != nil {
		return err
	}
	if err := b.history(); err != nil {
		return err
	}
	if err := b.rollups(); err != nil {
		return err
	}
	return b.manifest(backupTrailer)
}

func (b *backup) row(key, value []byte) error {
	if _, err := unseal(key, value); err != nil {
		return err
	}
	b.Rows++
	return b.record(backupRow, key, value)
}

// history writes the blobs that the state may point to: bodies are durable
// before their state, so all of them are there.
func (b *backup) history() error {
	days, err := b.db.history.list()
	if err != nil {
		return err
	}
	for _, day := range days {
		s, err := b.db.history.acquire(day, false)
		if errors.Is(err, ErrCorrupt) {
			b.damaged(err)
			continue
		}
		if err != nil {
			return err
		}
		err = b.day(s)
		b.db.history.release(s)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) day(s *dayStore) error {
	return s.each(func(key, value []byte) error {
		if binary.BigEndian.Uint64(key) > b.Batch {
			return nil // not acknowledged as of the rows
		}
		bl, err := openBlob(key, value)
		if err == nil {
			err = bl.check()
		}
		if err != nil {
			b.damaged(fmt.Errorf("history of %s: %w", dayName(s.day), err))
			return nil
		}
		b.Blobs++
		return b.record(backupBlob, append(binary.BigEndian.AppendUint32(nil, s.day), key...), value)
	})
}

func (b *backup) damaged(err error) {
	b.Damaged++
	b.db.log.Errorf("backup leaves out: %v", err)
}

// each calls fn for every blob of a day in the order of batches.
func (s *dayStore) each(fn func(key, value []byte) error) error {
	return s.db.View(func(txn *badger.Txn) error {
		return walk(txn, query{}, func(key, value []byte) error {
			if len(key) != 8 {
				return corrupt(key, "a key of %d bytes in the history of %s", len(key), dayName(s.day))
			}
			return fn(key, value)
		})
	})
}

func (b *backup) manifest(kind byte) error {
	v, err := json.Marshal(b.Manifest)
	if err != nil {
		return err
	}
	return b.record(kind, nil, v)
}

func (b *backup) record(kind byte, key, value []byte) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(key)))
	head = append(binary.BigEndian.AppendUint32(head, uint32(len(value))), key...)
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, value)
	for _, part := range [][]byte{head, value, binary.BigEndian.AppendUint32(nil, sum)} {
		if _, err := b.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// backupReader reads what backup wrote, and believes nothing.
type backupReader struct {
	r   *bufio.Reader
	sum hash.Hash
}

var errBackup = fmt.Errorf("%w: the backup is cut or damaged", ErrCorrupt)

func newBackupReader(r io.Reader) (*backupReader, error) {
	b := &backupReader{bufio.NewReaderSize(r, 1<<20), sha256.New()}
	magic := make([]byte, len(backupMagic))
	if err := b.full(magic); err != nil {
		return nil, err
	}
	if string(magic) != backupMagic {
		return nil, fmt.Errorf("%w: it does not begin with %q", errBackup, backupMagic)
	}
	return b, nil
}

// next is one record; key and value are the caller's.
func (b *backupReader) next() (kind byte, key, value []byte, err error) {
	head := make([]byte, recordHead)
	if err := b.full(head); err != nil {
		return 0, nil, nil, err
	}
	keyBytes, valueBytes := binary.BigEndian.Uint32(head[1:]), binary.BigEndian.Uint32(head[5:])
	if keyBytes > maxBackupKey || valueBytes > maxBlob {
		return 0, nil, nil, fmt.Errorf("%w: a record of %d and %d bytes", errBackup, keyBytes, valueBytes)
	}
	key = make([]byte, keyBytes)
	if err := b.full(key); err != nil {
		return 0, nil, nil, err
	}
	var buf bytes.Buffer // grows with what comes: a length may lie
	if _, err := io.CopyN(io.MultiWriter(&buf, b.sum), b.r, int64(valueBytes)); err != nil {
		return 0, nil, nil, cutShort(err)
	}
	sum := make([]byte, 4)
	if err := b.full(sum); err != nil {
		return 0, nil, nil, err
	}
	want := crc32.Update(crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, key), castagnoli, buf.Bytes())
	if binary.BigEndian.Uint32(sum) != want {
		return 0, nil, nil, fmt.Errorf("%w: checksum mismatch in a record", errBackup)
	}
	return head[0], key, buf.Bytes(), nil
}

// end checks the sum of the whole, and that nothing follows.
func (b *backupReader) end() error {
	want := b.sum.Sum(nil)
	got := make([]byte, len(want))
	if err := b.full(got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: SHA-256 mismatch", errBackup)
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", errBackup)
	}
	return nil
}

func (b *backupReader) full(p []byte) error {
	if _, err := io.ReadFull(b.r, p); err != nil {
		return cutShort(err)
	}
	b.sum.Write(p)
	return nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", errBackup)
	}
	return fmt.Errorf("read backup: %w", err)
}
