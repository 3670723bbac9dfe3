package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// One flipped bit in the lengths of a value, which Badger trusts, is answered by
// a check, a start, reading and closing, at once.
func TestFlippedLengthIsAnswered(t *testing.T) {
	dir, f := crashed(t)
	logs, err := filepath.Glob(filepath.Join(dir, "history", "*", "000001.vlog"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no value log: %v", err)
	}
	path := logs[0] // not its day's newest, which Badger looks through at a start
	file, _ := filepath.Rel(dir, path)
	first := used(t, path)[logHeader:]
	for at := 2; at < headBytes(first); at++ {
		for bit := range 8 {
			t.Run(fmt.Sprintf("byte %d bit %d", at, bit), func(t *testing.T) {
				t.Parallel()
				dir := crash(t, dir)
				if err := overwriteAt(filepath.Join(dir, file), []byte{first[at] ^ 1<<bit}, int64(logHeader+at)); err != nil {
					t.Fatal(err)
				}
				answered(t, dir, f)
			})
		}
	}
}

// Lengths of gigabytes in a log that Badger looks through at its start take no
// such memory, and lengths whose sum overflows end nothing.
func TestAbsurdLengthTakesNoMemory(t *testing.T) {
	dir, f := crashed(t)
	for _, pattern := range []string{"state/*.mem", "history/*/*.mem", "history/*/000002.vlog"} {
		logs, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(logs) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		file, _ := filepath.Rel(dir, logs[len(logs)-1])
		end := logHeader + readSpan(used(t, logs[len(logs)-1])[logHeader:]).end
		for _, bytes := range []uint64{1<<32 - 100, 1<<32 - 10} {
			t.Run(fmt.Sprintf("%s: %d", file, bytes), func(t *testing.T) {
				dir := crash(t, dir)
				lengths := binary.AppendUvarint([]byte{0, 0, 16}, bytes) // of key and value
				if err := overwriteAt(filepath.Join(dir, file), lengths, end); err != nil {
					t.Fatal(err)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				answered(t, dir, f)
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; took > 1<<30 {
					t.Errorf("took %d MiB", took>>20)
				}
			})
		}
	}
}

// headBytes is how long the head of an entry is.
func headBytes(entry []byte) int {
	n := 2
	for range 3 {
		for entry[n]&0x80 != 0 {
			n++
		}
		n++
	}
	return n
}

func overwriteAt(path string, b []byte, at int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close())
}

// answered lets a damaged store be checked, opened, read and closed.
func answered(t *testing.T, dir string, f *fleet) {
	twin := crash(t, dir)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := Check(twin); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("check: %v", err)
		}
		db, err := Open(dir, smallOptions(t))
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("open: %v", err)
		}
		if err == nil {
			audit(t, db, f)
			if err := db.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("no answer")
	}
}
