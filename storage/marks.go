package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// marks is hwm.json: what was durable, told outside Badger, so that a start
// notices a tail that Badger lost without a word.
type marks struct {
	Batch     uint64          `json:"batch"`
	Event     uint64          `json:"event"`
	Delivery  uint64          `json:"delivery"`
	Hosts     uint64          `json:"hosts"`
	At        time.Time       `json:"at"`
	Manifests json.RawMessage `json:"manifests"` // written once, for nothing now; null
	Sum       uint32          `json:"crc32c"`    // of this document with crc32c 0
}

func (m marks) encode() []byte {
	m.Sum = 0
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // plain fields only
	}
	m.Sum = crc32.Checksum(b, castagnoli)
	b, _ = json.Marshal(m)
	return b
}

// readMarks returns os.ErrNotExist or ErrCorrupt when there is nothing to
// compare with.
func readMarks(path string) (marks, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return marks{}, fmt.Errorf("read high-water marks: %w", err)
	}
	m, err := parseMarks(b)
	if err != nil {
		return marks{}, fmt.Errorf("high-water marks %s: %w", path, err)
	}
	return m, nil
}

// parseMarks takes what encode wrote, and nothing else.
func parseMarks(b []byte) (m marks, err error) {
	if err := json.Unmarshal(b, &m); err != nil || !bytes.Equal(m.encode(), b) {
		return marks{}, ErrCorrupt
	}
	return m, nil
}

// markKeeper writes hwm.json.
type markKeeper struct {
	path string
	mu   sync.Mutex
	last marks // as written
}

// save writes the marks when they say something new.
func (k *markKeeper) save(m meta) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.last
	next.Batch, next.Event, next.Delivery, next.Hosts = m.Batch, m.Event, m.Delivery, m.Hosts
	next.At, next.Manifests = m.BatchAt, nil
	if next.Sum != 0 && next.Batch == k.last.Batch {
		return nil
	}
	if err := writeFile(k.path, next.encode()); err != nil {
		return fmt.Errorf("write high-water marks: %w", err)
	}
	next.Sum = 1
	k.last = next
	return nil
}

// writeFile replaces a file: after a power cut it is the old one or the new
// one, whole.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
