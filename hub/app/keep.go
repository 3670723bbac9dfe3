package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"felhom.eu/hub/config"
	"felhom.eu/storage"
)

// Restore puts a backup in the place of the configured store. It verifies all of
// it before it touches anything; what was there is kept beside it, and a global
// key that the hub made stays the hub's. Errors: storage.ErrLocked while a hub
// runs, storage.ErrCorrupt.
func Restore(ctx context.Context, cfg config.Config, r io.Reader) error {
	dir := filepath.Clean(cfg.DataDir)
	fresh := dir + ".restored"
	if _, err := storage.Restore(ctx, r, fresh); err != nil {
		return err
	}
	if err := replace(dir, fresh); err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), os.RemoveAll(fresh))
	}
	return nil
}

// replace moves fresh to dir, and what was at dir aside.
func replace(dir, fresh string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(fresh, dir)
	}
	lock, err := storage.Lock(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := copyKey(dir, fresh); err != nil {
		return err
	}
	aside := dir + ".before-" + time.Now().UTC().Format("20060102T150405Z")
	if err := os.Rename(dir, aside); err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

// copyKey keeps the key by which operators and the command know the hub.
func copyKey(from, to string) error {
	key, err := os.ReadFile(filepath.Join(from, config.GlobalKeyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, config.GlobalKeyName), key, 0o600)
}

// Check reads the configured store through; findings are lines for people.
func Check(_ context.Context, cfg config.Config) (findings []string, err error) {
	stats, err := storage.Check(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	findings = append([]string{stats.String()}, stats.Problems...)
	if n := uint64(len(stats.Problems)) + stats.More; n > 0 {
		return findings, fmt.Errorf("the store has %d problems", n)
	}
	return findings, nil
}
