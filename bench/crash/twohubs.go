package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"felhom.eu/bench/rig"
)

// locked is what everyone is told who comes second.
const locked = "another hub uses this directory"

// twoHubs starts a second hub, and the commands that want a store for
// themselves, on the directory of one that runs.
func twoHubs(ctx context.Context, s *scene) error {
	h, err := rig.NewHub(s.hub, s.dir, shortThresholds)
	if err != nil {
		return err
	}
	w, err := s.watch(ctx, h)
	if err != nil {
		return err
	}
	defer w.close()
	backup := filepath.Join(s.dir, "backup")
	if err := saveBackup(ctx, &h.Admin, backup); err != nil {
		return err
	}
	for range s.Rounds {
		for _, args := range [][]string{nil, {"check"}, {"restore", backup}} {
			second, err := rig.NewHub(s.hub, s.dir, shortThresholds)
			if err != nil {
				return err
			}
			status, said, err := second.Command(ctx, args...)
			s.Checks.Add(err == nil && status == 1 && strings.Contains(said, locked),
				fmt.Sprintf("the second is refused: felhom-hub %s", strings.Join(args, " ")), "status %d, %v: %.300s", status, err, said)
		}
	}
	return w.judge(ctx)
}

// saveBackup takes a backup of a running hub.
func saveBackup(ctx context.Context, a *rig.Admin, file string) error {
	status, body, err := a.Get(ctx, "/api/v1/admin/backup")
	if err == nil && status != 200 {
		err = fmt.Errorf("backup: status %d: %.200s", status, body)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o600)
}
