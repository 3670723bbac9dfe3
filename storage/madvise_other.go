//go:build !linux

package storage

// advise is for Linux.
func advise(string, bool) {}
