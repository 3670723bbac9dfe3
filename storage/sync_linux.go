package storage

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// fdatasync makes a file's data durable, whichever way it was written, and of what
// is known about the file as much as reading it takes. Errors: *os.PathError.
func fdatasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}
