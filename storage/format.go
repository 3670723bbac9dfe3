package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// formatVersion is the layout that this program writes. A change that an older
// program cannot read raises it and adds the step to migrations.
const formatVersion = 1

const formatName = "felhom-store"

// migrations lead from a version to the next one, while nothing is open. Each
// must be safe to run again when it was cut short.
var migrations = map[int]func(dir string) error{}

// format is format.json.
type format struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

// prepare makes dir a store of this version: a new one, or an older one
// brought forward.
func prepare(dir string) error {
	path := filepath.Join(dir, "format.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, stateDir)); err == nil {
			return fmt.Errorf("%s: %w: there is a store but no format.json; put the file back or restore a backup", dir, ErrCorrupt)
		}
		return writeFormat(path, formatVersion)
	}
	if err != nil {
		return fmt.Errorf("read the format: %w", err)
	}
	f, err := parseFormat(b)
	if err != nil {
		return fmt.Errorf("%s: %w: not a felhom store's format", path, err)
	}
	if f.Version > formatVersion {
		return fmt.Errorf("%s: %w: store of version %d, this program knows %d", dir, ErrNewer, f.Version, formatVersion)
	}
	return migrate(dir, path, f.Version)
}

func parseFormat(b []byte) (f format, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || f.Format != formatName || f.Version < 1 {
		return format{}, ErrCorrupt
	}
	return f, nil
}

func migrate(dir, path string, from int) error {
	for v := from; v < formatVersion; v++ {
		step := migrations[v]
		if step == nil {
			return fmt.Errorf("%s: no way from version %d", dir, v)
		}
		if err := step(dir); err != nil {
			return fmt.Errorf("migrate %s from version %d: %w", dir, v, err)
		}
		if err := writeFormat(path, v+1); err != nil {
			return err
		}
	}
	return nil
}

func writeFormat(path string, version int) error {
	b, err := json.Marshal(format{formatName, version})
	if err != nil {
		return err
	}
	if err := writeFile(path, b); err != nil {
		return fmt.Errorf("write the format: %w", err)
	}
	return nil
}
