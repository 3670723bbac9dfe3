package rig

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Bytes that were written must be counted, once.
func TestDeviceCountsWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	d, err := DeviceOf(dir)
	if err != nil {
		t.Skip(err) // a memory file system
	}
	before, err := d.Written()
	if err != nil {
		t.Fatal(err)
	}
	const size = 8 << 20
	if err := os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("x"), size), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := d.Written()
	if err != nil || after-before < size { // others may write meanwhile
		t.Errorf("%s: %d bytes written, %v; want at least %d", d.Name, after-before, err, size)
	}
}

// What has no device must not be taken for one that writes nothing.
func TestMemoryHasNoDevice(t *testing.T) {
	if d, err := DeviceOf("/proc"); err == nil {
		t.Errorf("got %+v", d)
	}
}

func TestProcessCountsWhatItWrites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	p, err := Start("/bin/sh", []string{"-c", "head -c 1048576 /dev/zero >" + file + "; echo done; while :; do sleep 1; done"}, nil, new(Log))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if err := Poll(t.Context(), 1e6, func() (bool, error) { return p.log.Contains("done"), nil }); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Written(); err != nil || n < 1<<20 {
		t.Errorf("got %d, %v", n, err)
	}
}
