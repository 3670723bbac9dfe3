package storage

import (
	"errors"
	"fmt"

	"felhom.eu/messages"
)

// The errors that callers tell apart; everything else is an unknown outcome.
var (
	// ErrNotFound is returned when a record was never written, or was deleted.
	// A record that is there and cannot be read is ErrCorrupt instead.
	ErrNotFound = errors.New("not found")
	// ErrCorrupt is wrapped when what the disk gave back is not what was
	// written. The error names the key or the file.
	ErrCorrupt = errors.New("corrupt")
	// ErrFull is returned before anything was written, when the file system has
	// less free space than a batch, or opening the store or one of its days, may
	// need. Badger would die of SIGBUS instead.
	ErrFull = messages.ErrFull
	// ErrLocked is returned by Open when another process holds the directory.
	ErrLocked = errors.New("another hub uses this directory; stop it first")
	// ErrTooBig is returned when a batch exceeds one transaction. The part that
	// was refused was not written.
	ErrTooBig = errors.New("batch too big")
	// ErrOrder is returned when a batch comes out of turn or contradicts itself:
	// a bug of the caller. Nothing was written.
	ErrOrder = errors.New("batch out of order")
	// ErrNewer is returned when the directory was written by a newer program.
	ErrNewer = errors.New("written by a newer version")
	// ErrBusy is returned when a day is to be dropped while a backup runs.
	ErrBusy = errors.New("a backup is running")
	// ErrNotEmpty is returned when a backup is to be restored over something.
	ErrNotEmpty = errors.New("directory is not empty")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("store is closed")
)

// corrupt is an ErrCorrupt that names the key.
func corrupt(key []byte, format string, args ...any) error {
	return fmt.Errorf("key %q: %w: %s", key, ErrCorrupt, fmt.Sprintf(format, args...))
}
