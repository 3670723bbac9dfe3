package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"
	"google.golang.org/protobuf/proto"
)

// checkTables verifies every block of the tables that a MANIFEST names, before
// Badger opens them without looking: its own check ends the process when a
// damaged table makes it panic or log.Fatal in a goroutine of its own, and
// leaves a table out when the sum of a block is wrong. It returns the newest
// version that is in them. Takes about a second for a gigabyte.
func checkTables(dir string, ids []uint64) (newest uint64, _ error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		slots = make(chan struct{}, runtime.GOMAXPROCS(0))
	)
	for _, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			v, err := checkTable(table.NewFilename(id, dir))
			mu.Lock()
			defer mu.Unlock()
			newest = max(newest, v)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return newest, errors.Join(errs...)
}

// checkTable verifies a table and returns the newest version in it.
func checkTable(path string) (newest uint64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("table %s: %w: its blocks make no sense", path, ErrCorrupt)
		}
	}()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("table %s: %w: the MANIFEST names it, the file is missing", path, ErrCorrupt)
	}
	if err != nil {
		return 0, fmt.Errorf("table %s: %w", path, err)
	}
	if info.Size() == 0 { // cannot be mapped
		return 0, fmt.Errorf("table %s: %w: it is empty", path, ErrCorrupt)
	}
	f, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return 0, fmt.Errorf("table %s: %w", path, err)
	}
	if err := checkFooter(f.Data); err != nil {
		return 0, errors.Join(fmt.Errorf("table %s: %w: %w", path, ErrCorrupt, err), f.Close(-1))
	}
	t, err := table.OpenTable(f, table.Options{ChkMode: options.OnTableRead})
	if err != nil { // closed by OpenTable
		return 0, fmt.Errorf("table %s: %w: %w", path, ErrCorrupt, err)
	}
	return t.MaxVersion(), t.Close(-1) // giving up the reference instead would delete the file
}

var errFooter = errors.New("the index of its blocks is damaged")

// checkFooter verifies the index of a table, where Badger would trust the
// lengths: … index | its length | its sum | the sum's length.
func checkFooter(b []byte) error {
	sum, b, ok := cutTail(b)
	if !ok {
		return errFooter
	}
	index, _, ok := cutTail(b)
	if !ok {
		return errFooter
	}
	var c pb.Checksum
	if err := proto.Unmarshal(sum, &c); err != nil {
		return errFooter
	}
	return y.VerifyChecksum(index, &c)
}

// cutTail takes what is followed by its own length off the end of b.
func cutTail(b []byte) (tail, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	end := len(b) - 4
	n := uint64(binary.BigEndian.Uint32(b[end:]))
	if n > uint64(end) {
		return nil, nil, false
	}
	return b[end-int(n) : end], b[:end-int(n)], true
}
