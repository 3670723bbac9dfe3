package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"felhom.eu/bench/rig"
)

// cutEvery backup is cut short, the others have a bit flipped.
const cutEvery = 4

// backupFlip damages a backup and restores it: that is refused, and leaves
// nothing behind, or everything is there.
func backupFlip(ctx context.Context, s *scene) error {
	f, err := s.newFixture(ctx)
	if err != nil {
		return err
	}
	s.Acknowledged = f.acknowledged
	h, err := f.copyTo(filepath.Join(s.dir, "origin"))
	if err != nil {
		return err
	}
	if _, err := h.Start(ctx); err != nil {
		return err
	}
	sound := filepath.Join(s.dir, "backup")
	err = saveBackup(ctx, &h.Admin, sound)
	h.Kill()
	if err != nil {
		return err
	}
	if refused, err := f.restore(ctx, sound, filepath.Join(s.dir, "sound")); err != nil || refused {
		return fmt.Errorf("a sound backup is restored: refused %v, %w", refused, err)
	}
	seen := map[string]int{}
	for n := 0; n < s.Rounds && ctx.Err() == nil; n++ {
		file := filepath.Join(s.dir, fmt.Sprintf("backup-%d", n))
		if err := copyFile(file, sound); err != nil {
			return err
		}
		d := bitFlip
		if n%cutEvery == 0 {
			d = cutOff
		}
		seed := s.random.Uint64()
		if err := d.strike(file, rand.New(rand.NewPCG(seed, 0))); err != nil {
			return err
		}
		refused, err := f.restore(ctx, file, filepath.Join(s.dir, fmt.Sprint(n)))
		if err != nil {
			s.Silent++
			s.Checks.Add(false, fmt.Sprintf("a backup with a %s is refused or right (%d)", d.name, n), "%v", err)
			continue
		}
		seen[map[bool]string{true: "refused", false: "right"}[refused]]++
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	s.Seen = count(seen)
	return nil
}

// restore restores a backup into dir. An error is anything but a refusal that
// leaves nothing, and a store with everything in it.
func (f *fixture) restore(ctx context.Context, backup, dir string) (refused bool, err error) {
	h, err := rig.NewHub(f.scene.hub, dir, calm)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	h.Set("GLOBAL_KEY", f.key) // a backup has none
	h.Key = f.key
	status, said, err := h.Command(ctx, "restore", backup)
	switch {
	case err != nil:
		return false, err
	case crashed(said):
		return false, fmt.Errorf("restore crashed: %s", said)
	case status != 0:
		return true, nothingIn(dir)
	}
	if _, err := h.Start(ctx); err != nil {
		return false, err
	}
	defer h.Kill()
	if told := f.complaints(h); told != "" {
		return false, fmt.Errorf("restored without a word, and then: %s", told)
	}
	d, err := f.compare(ctx, h)
	if err == nil && !d.none() {
		err = fmt.Errorf("restored without a word: %.1000v", d)
	}
	return false, err
}

// nothingIn wants no file below dir.
func nothingIn(dir string) error {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = fmt.Errorf("a refused restore left %s", path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
