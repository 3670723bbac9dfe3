package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// SaveHub writes which hub this host reports to, and as whom, into the file at path;
// all else in it stays as it is. The key stands in the file itself. A new file is
// given to uid and gid (as of os.Chown), an existing one stays whose it is; nobody
// else may read it. The file is whole at every moment, the old or the new.
func SaveHub(path string, h Hub, uid, gid int) error {
	blocks := map[string]json.RawMessage{}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &blocks)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	hub := map[string]json.RawMessage{}
	if blocks["hub"] != nil {
		if err := json.Unmarshal(blocks["hub"], &hub); err != nil {
			return fmt.Errorf("read configuration %s: hub: %w", path, err)
		}
	}
	delete(hub, "api_key_file")
	for name, value := range map[string]string{"url": h.URL, "host_id": h.HostID, "api_key": h.APIKey.Reveal(), "ca_file": h.CAFile} {
		if hub[name], err = json.Marshal(value); err != nil {
			return err
		}
	}
	if blocks["hub"], err = json.Marshal(hub); err != nil {
		return err
	}
	if b, err = json.MarshalIndent(blocks, "", "  "); err != nil {
		return err
	}
	return WriteFile(path, append(b, '\n'), uid, gid)
}

// WriteFile replaces the file at path, for its owner alone: SaveHub says whose.
func WriteFile(path string, b []byte, uid, gid int) error {
	if info, err := os.Stat(path); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(s.Uid), int(s.Gid)
		}
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // when it was not renamed
	_, err = f.Write(b)
	if err == nil && (uid != os.Getuid() || gid != os.Getgid()) {
		err = f.Chown(uid, gid)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
