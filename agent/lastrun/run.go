package lastrun

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"felhom.eu/agent/config"
	"felhom.eu/messages"
)

// Run is this run of the agent, and the file that says so. A nil Run writes nothing.
type Run struct {
	path   string
	marker marker
}

// maxMarker bounds what is read of a file that an agent wrote in some 200 bytes.
const maxMarker = 4096

// Begin tells how the run of host's agent before this one ended, and writes down
// that this one runs. boot is the running kernel's boot id; without one, and without
// the directory, nothing is known and nothing is written. The end is good, and so is
// the Run, when there is an error too: of a file that could not be read or written.
func Begin(dir string, host messages.HostID, boot string, now time.Time) (*Run, messages.LastEnd, error) {
	return begin(dir, host, boot, now, death{"/"})
}

func begin(dir string, host messages.HostID, boot string, now time.Time, d death) (*Run, messages.LastEnd, error) {
	if _, err := os.Stat(dir); dir == "" || boot == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, messages.LastEnd{}, nil
	}
	r := &Run{path: filepath.Join(dir, "run-"+string(host)+".json")}
	before, err := read(r.path)
	end := before.ends(boot, d.of)
	r.marker = marker{BootID: boot, PID: os.Getpid(), StartedAt: now.UTC(), Machine: end.Machine}
	return r, end, errors.Join(err, r.write())
}

// End writes down that the run was asked to end, and why: the reason of its goodbye.
func (r *Run) End(reason string) error {
	if r == nil {
		return nil
	}
	r.marker.Stopped, r.marker.Reason = true, reason
	return r.write()
}

// read is the marker at path; a zero one when there is none.
func read(path string) (m marker, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return m, fmt.Errorf("read how the last run ended: %w", err)
	case info.Size() > maxMarker || !info.Mode().IsRegular():
		return m, fmt.Errorf("read how the last run ended: %s: no file of an agent", path)
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return marker{}, fmt.Errorf("read how the last run ended: %s: %w", path, err)
	}
	return m, nil
}

// write puts the marker onto stable storage: it is there for a loss of power.
func (r *Run) write() error {
	b, err := json.Marshal(r.marker)
	if err != nil {
		return fmt.Errorf("write down the run: %w", err)
	}
	if err := config.WriteFile(r.path, append(b, '\n'), os.Getuid(), os.Getgid()); err != nil {
		return fmt.Errorf("write down the run: %w", err)
	}
	return nil
}
