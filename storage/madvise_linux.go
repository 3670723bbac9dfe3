package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// advise tells the kernel how Badger's files below dir are used. It is advice,
// and no data depends on it: when a mapping went away meanwhile, whatever took
// its place works as before. Badger maps new files now and then, so it is
// repeated.
//
// Logs are written in small pieces. Untold, the kernel keeps them in large
// folios, and a sync of a few kilobytes writes a whole one to the device.
//
// With forget, pages that were looked at once leave this process: they stay in
// the kernel's cache, but an operator who looks at the hub's memory sees the hub.
func advise(dir string, forget bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for line := range bytes.Lines(maps) {
		f := bytes.Fields(line) // from-to, permissions, offset, device, inode, path
		if len(f) != 6 || !bytes.HasPrefix(f[5], []byte(dir)) {
			continue
		}
		isLog := bytes.HasSuffix(f[5], []byte(".mem")) || bytes.HasSuffix(f[5], []byte(".vlog"))
		if isLog {
			madvise(f[0], unix.MADV_RANDOM)
		}
		if forget && (isLog || bytes.HasSuffix(f[5], []byte(".sst"))) {
			madvise(f[0], unix.MADV_DONTNEED) // of a shared mapping of a file: what is dirty stays dirty
		}
	}
}

// madvise advises on a range as /proc/self/maps writes it.
func madvise(span []byte, advice int) {
	from, to, _ := bytes.Cut(span, []byte("-"))
	start, err1 := strconv.ParseUint(string(from), 16, 64)
	end, err2 := strconv.ParseUint(string(to), 16, 64)
	if err1 == nil && err2 == nil {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), uintptr(advice))
	}
}
