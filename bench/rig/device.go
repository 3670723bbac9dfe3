package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Device is the block device that a folder is on.
type Device struct {
	Name string // such as vda1
	stat string // its counters
}

// DeviceOf finds the device of dir. A file system without one of its own, in
// memory or over several, is an error.
func DeviceOf(dir string) (Device, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return Device{}, fmt.Errorf("find device of %s: %w", dir, err)
	}
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	target, err := os.Readlink(link)
	if err != nil {
		return Device{}, fmt.Errorf("find device of %s: no block device: %w", dir, err)
	}
	return Device{Name: filepath.Base(target), stat: link + "/stat"}, nil
}

// Written is how many bytes were ever written to the device, by everyone, after
// what is still in memory was written, too.
func (d Device) Written() (int64, error) {
	unix.Sync()
	b, err := os.ReadFile(d.stat)
	if err != nil {
		return 0, fmt.Errorf("read what was written to %s: %w", d.Name, err)
	}
	f := strings.Fields(string(b))
	if len(f) < 7 {
		return 0, fmt.Errorf("read what was written to %s: %q", d.Name, b)
	}
	sectors, err := strconv.ParseInt(f[6], 10, 64) // the 7th, always of 512 bytes (kernel: block/stat)
	return sectors * 512, err
}

// Written is how many bytes the process made dirty in files (write_bytes of
// /proc/<pid>/io).
func (p *Process) Written() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read what process %d wrote: %w", p.PID(), err)
	}
	return procFields(b)["write_bytes"], nil
}
