package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// adviseRandom tells the kernel that Badger's logs below dir are written in
// small pieces. Else it keeps them in large folios, and a sync of a few
// kilobytes writes a whole one to the device. Badger maps a new log now and
// then, so this is repeated. It is advice: when a mapping went away meanwhile,
// whatever took its place works as before.
func adviseRandom(dir string) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for line := range bytes.Lines(maps) {
		f := bytes.Fields(line) // from-to, permissions, offset, device, inode, path
		if len(f) != 6 || !bytes.HasPrefix(f[5], []byte(dir)) || !isLog(f[5]) {
			continue
		}
		from, to, _ := bytes.Cut(f[0], []byte("-"))
		start, err1 := strconv.ParseUint(string(from), 16, 64)
		end, err2 := strconv.ParseUint(string(to), 16, 64)
		if err1 == nil && err2 == nil {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_RANDOM)
		}
	}
}

func isLog(path []byte) bool {
	return bytes.HasSuffix(path, []byte(".mem")) || bytes.HasSuffix(path, []byte(".vlog"))
}
