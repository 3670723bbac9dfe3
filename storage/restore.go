package storage

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// restoreChunk is how much a restore writes in one transaction.
const restoreChunk = 4 << 20

// Restore makes a store of a backup in dir, which must be empty or not be
// there. All of it is verified and synced in a directory beside dir, which
// takes dir's place at the very end: after an error dir is as it was. Errors:
// ErrNotEmpty, ErrCorrupt, ErrNewer.
func Restore(ctx context.Context, r io.Reader, dir string) (Manifest, error) {
	m, err := restore(ctx, r, filepath.Clean(dir))
	if err != nil {
		return Manifest{}, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}

func restore(ctx context.Context, r io.Reader, dir string) (Manifest, error) {
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return Manifest{}, err
	case len(entries) > 0:
		return Manifest{}, fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Manifest{}, err
	}
	tmp, err := os.MkdirTemp(parent, filepath.Base(dir)+".restoring-*")
	if err != nil {
		return Manifest{}, err
	}
	defer os.RemoveAll(tmp) // gone already when all went well
	m, err := fill(ctx, r, tmp)
	if err != nil {
		return Manifest{}, err
	}
	if err := syncTree(tmp); err != nil {
		return Manifest{}, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Manifest{}, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return Manifest{}, err
	}
	return m, syncDir(parent)
}

// fill writes a backup into a new store and closes it.
func fill(ctx context.Context, r io.Reader, dir string) (_ Manifest, err error) {
	in, err := newBackupReader(r)
	if err != nil {
		return Manifest{}, err
	}
	db, err := open(dir, Options{})
	if err != nil {
		return Manifest{}, err
	}
	defer func() { err = errors.Join(err, db.shut()) }()
	re := restorer{db: db, in: in}
	defer re.close()
	defer re.leaveRoll()
	db.marksErr = nil // there are none to compare with, rightly
	if err := re.records(ctx); err != nil {
		return Manifest{}, err
	}
	if err := db.load(); err != nil {
		return Manifest{}, err
	}
	m := re.got
	if db.meta.Batch != m.Batch || db.meta.Event != m.Event || db.meta.Delivery != m.Delivery || db.meta.Hosts != m.Hosts {
		return Manifest{}, fmt.Errorf("%w: its rows say %+v, its header %+v", errBackup, db.meta, m)
	}
	return m, db.saveMarks()
}

type restorer struct {
	db    *DB
	in    *backupReader
	got   Manifest // the header, and what was counted since
	state bulk
	blobs bulk
	day   *dayStore
	roll  *rollWriter
}

// records reads every record up to the trailer, which must agree.
func (re *restorer) records(ctx context.Context) error {
	kind, _, v, err := re.in.next()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(v, &re.got); err != nil || kind != backupHeader {
		return fmt.Errorf("%w: no header", errBackup)
	}
	if re.got.Store > formatVersion {
		return fmt.Errorf("%w: a backup of version %d, this program knows %d", ErrNewer, re.got.Store, formatVersion)
	}
	re.state.db = re.db.state
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		kind, key, v, err := re.in.next()
		if err != nil {
			return err
		}
		if kind == backupTrailer {
			return re.trailer(v)
		}
		if err := re.record(kind, key, v); err != nil {
			return err
		}
	}
}

func (re *restorer) record(kind byte, key, v []byte) error {
	switch {
	case kind == backupRow:
		if _, err := unseal(key, v); err != nil {
			return err
		}
		re.got.Rows++
		return re.state.put(key, v)
	case kind == backupBlob && len(key) == 12:
		return re.blob(binary.BigEndian.Uint32(key), key[4:], v)
	case kind == backupRoll:
		return re.rollRow(key, v)
	}
	return fmt.Errorf("%w: a record of kind %q", errBackup, kind)
}

func (re *restorer) blob(day uint32, key, v []byte) error {
	b, err := openBlob(key, v)
	if err == nil {
		err = b.check()
	}
	if err != nil {
		return err
	}
	if re.day == nil || re.day.day != day {
		if err := re.close(); err != nil {
			return err
		}
		if re.day, err = re.db.history.acquire(day, true); err != nil {
			return err
		}
		re.blobs.db = re.day.db
	}
	re.got.Blobs++
	return re.blobs.put(key, v)
}

// close ends the day at hand.
func (re *restorer) close() error {
	if re.day == nil {
		return nil
	}
	err := re.blobs.flush()
	re.db.history.release(re.day)
	re.day = nil
	return err
}

func (re *restorer) trailer(v []byte) error {
	var m Manifest
	if err := json.Unmarshal(v, &m); err != nil {
		return fmt.Errorf("%w: no trailer", errBackup)
	}
	re.got.Damaged = m.Damaged
	if m != re.got {
		return fmt.Errorf("%w: the trailer says %+v, there is %+v", errBackup, m, re.got)
	}
	if err := re.in.end(); err != nil {
		return err
	}
	return errors.Join(re.state.flush(), re.close(), re.endRoll())
}

// bulk writes rows in transactions of about restoreChunk.
type bulk struct {
	db    *synced
	txn   *badger.Txn
	bytes int
}

func (b *bulk) put(key, v []byte) error {
	if b.txn == nil {
		b.txn = b.db.NewTransaction(true)
	}
	err := b.txn.Set(key, v)
	if errors.Is(err, badger.ErrTxnTooBig) {
		if err := b.flush(); err != nil {
			return err
		}
		b.txn = b.db.NewTransaction(true)
		err = b.txn.Set(key, v)
	}
	if err != nil {
		return fmt.Errorf("write key %q: %w", key, err)
	}
	if b.bytes += len(key) + len(v); b.bytes >= restoreChunk {
		return b.flush()
	}
	return nil
}

func (b *bulk) flush() error {
	if b.txn == nil {
		return nil
	}
	err := b.txn.Commit()
	b.txn, b.bytes = nil, 0
	return err
}

// syncTree makes every file and name below dir durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path) // a file is synced the same way
	})
}
