//go:build !linux

package storage

// adviseRandom is for Linux.
func adviseRandom(string) {}
