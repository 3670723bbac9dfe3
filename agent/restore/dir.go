package restore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// Bounds of what is read.
const (
	MaxFiles = 200
	MaxBytes = 64 << 10 // of a file

	maxEntries = 100_000 // of the directory, before it is nothing that a script filled
	maxAhead   = time.Hour
)

// ReadDir reads the results in dir, newest first. problems are the files that
// count for nothing, each with its reason. The error means that the directory
// itself could not be read. now is for results of the future, which prove nothing.
func ReadDir(dir string, now time.Time) (tests []messages.RestoreTest, problems []string, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read restore results: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("read restore results: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasSuffix(name, ".json") || strings.HasPrefix(name, ".")
	})
	slices.Sort(names)
	if n := len(names) - MaxFiles; n > 0 {
		problems = append(problems, fmt.Sprintf("%d older files are not read", n))
		names = names[n:]
	}
	for _, name := range names {
		t, err := readFile(filepath.Join(dir, name), now)
		if err != nil {
			problems = append(problems, api2.OneLine(fmt.Sprintf("%.80q: %v", name, err)))
			continue
		}
		tests = append(tests, t)
	}
	slices.SortStableFunc(tests, func(a, b messages.RestoreTest) int { return b.StartedAt.Compare(a.StartedAt) })
	return tests, problems, nil
}

// readFile reads one result. A link or a pipe that somebody put there is not
// followed and not waited for.
func readFile(name string, now time.Time) (messages.RestoreTest, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			err = pe.Err // the rest repeats the name
		}
		return messages.RestoreTest{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return messages.RestoreTest{}, errors.New("is no plain file")
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return messages.RestoreTest{}, err
	}
	if len(b) > MaxBytes {
		return messages.RestoreTest{}, fmt.Errorf("is over %d KiB", MaxBytes>>10)
	}
	return parse(b, now)
}

// result is a file's content.
type result struct {
	VMID        text
	ScratchVMID text `json:"scratch_vmid"`
	Source      text
	Level       text
	OK          text
	StartedAt   text `json:"started_at"`
	Duration    text `json:"duration_seconds"`
	Detail      text
	CheckedBy   text `json:"checked_by"`
}

// text is a JSON scalar without its quotes: scripts write both. Absent and null
// are "".
type text string

// UnmarshalJSON reads a string, a number or a truth.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case json.Unmarshal(b, &s) == nil:
		*t = text(strings.TrimSpace(s))
	case len(b) > 0 && strings.IndexByte("{[", b[0]) >= 0:
		return errors.New("want a plain value")
	default:
		*t = text(b)
	}
	return nil
}

// parse reads one result. The error names what is to be mended.
func parse(b []byte, now time.Time) (t messages.RestoreTest, err error) {
	var r result
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\ufeff")), &r); err != nil {
		return t, fmt.Errorf("is not one JSON object: %w", err)
	}
	if t.VMID, err = r.VMID.vmid(); err != nil || t.VMID == 0 {
		return t, fmt.Errorf("vmid: %.20q is none", r.VMID)
	}
	if t.ScratchVMID, err = r.ScratchVMID.vmid(); err != nil {
		return t, fmt.Errorf("scratch_vmid: %.20q is none", r.ScratchVMID)
	}
	t.Level = messages.RestoreLevel(r.Level)
	switch t.Level {
	case messages.RestoreRestored, messages.RestoreBooted, messages.RestoreChecked:
	default:
		return t, fmt.Errorf("level: %.20q; want restored, booted or checked", r.Level)
	}
	if t.OK, err = strconv.ParseBool(string(r.OK)); err != nil {
		return t, fmt.Errorf("ok: %.20q; want true or false", r.OK)
	}
	if t.StartedAt, err = r.StartedAt.instant(); err != nil {
		return t, err
	}
	if t.StartedAt.After(now.Add(maxAhead)) {
		return t, fmt.Errorf("started_at: %s is still to come", r.StartedAt)
	}
	if seconds, err := strconv.ParseFloat(string(r.Duration), 64); err == nil && seconds >= 0 && seconds < 1e9 {
		t.Seconds = uint64(seconds)
	}
	t.Source, t.Detail, t.CheckedBy = api2.OneLine(string(r.Source)), api2.OneLine(string(r.Detail)), api2.OneLine(string(r.CheckedBy))
	return t, nil
}

// vmid is a guest's number; 0 when there is none.
func (t text) vmid() (messages.VMID, error) {
	if t == "" || t == "null" {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(t), 10, 32)
	if err != nil || n < messages.MinVMID || n > messages.MaxVMID {
		return 0, fmt.Errorf("vmid %.20q", t)
	}
	return messages.VMID(n), nil
}

// instant is RFC 3339 with a zone, or seconds since 1970.
func (t text) instant() (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, string(t)); err == nil && at.Year() >= 1970 && at.Year() < 10_000 {
		return at.UTC(), nil
	}
	if n, err := strconv.ParseInt(string(t), 10, 64); err == nil && n > 0 && n < 1<<40 {
		return time.Unix(n, 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("started_at: %.40q; want 2026-03-14T05:00:00Z or seconds since 1970", t)
}
