//go:build !linux

package storage

import "os"

// fdatasync is for Linux; elsewhere all of the file is synced.
func fdatasync(f *os.File) error { return f.Sync() }
