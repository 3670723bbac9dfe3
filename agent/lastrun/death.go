package lastrun

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"felhom.eu/messages"
)

// death looks for what a dying kernel leaves. A panic is kept by the firmware
// (pstore), and moved to disk at the next boot (systemd-pstore(8)); kdump writes to
// disk itself. Its paths are below root: "/" but in tests.
type death struct{ root string }

// dumps are where they end up: an entry each.
var dumps = []string{"sys/fs/pstore", "var/lib/systemd/pstore", "var/crash"}

// of is what the machine died of that was running at since, without having been
// shut down: a dump that is newer is of a crash. Where the firmware keeps dumps and
// there is none, power was lost, or someone pressed reset.
func (d death) of(since time.Time) messages.MachineEnd {
	for _, dir := range dumps {
		if newerIn(filepath.Join(d.root, dir), since) {
			return messages.MachinePanicked
		}
	}
	backend, err := os.ReadFile(filepath.Join(d.root, "sys/module/pstore/parameters/backend"))
	if name := strings.TrimSpace(string(backend)); err != nil || name == "" || name == "(null)" {
		return messages.MachineUnclean
	}
	return messages.MachineLostPower
}

// newerIn reports whether dir holds an entry that changed after since. Of
// var/crash only directories count: a file there may be any program's.
func newerIn(dir string, since time.Time) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.ModTime().After(since) && (e.IsDir() || filepath.Base(dir) == "pstore") {
			return true
		}
	}
	return false
}
