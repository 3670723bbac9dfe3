package config

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"felhom.eu/messages"
)

// GlobalKeyName is the file in data_dir that holds a global key made by the hub.
const GlobalKeyName = "global.key"

// GlobalKeyPath is the file that EnsureGlobalKey reads or makes; empty when the
// key itself is configured.
func (c *Config) GlobalKeyPath() string {
	switch {
	case c.GlobalKey != "":
		return ""
	case c.GlobalKeyFile != "":
		return c.GlobalKeyFile
	}
	return filepath.Join(c.DataDir, GlobalKeyName)
}

// EnsureGlobalKey finds the global key: global_key, else global_key_file, else
// <data_dir>/global.key, which it makes, readable by its owner alone, when it
// is not there yet (created is then true). It makes data_dir as well.
func (c *Config) EnsureGlobalKey() (key messages.Secret, created bool, err error) {
	if c.GlobalKey != "" {
		return c.GlobalKey, false, nil
	}
	path := c.GlobalKeyPath()
	key, err = ReadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) || c.GlobalKeyFile != "" {
		return key, false, err
	}
	if err := makeKeyFile(c.DataDir, path); err != nil {
		return "", false, fmt.Errorf("make global key: %w", err)
	}
	key, err = ReadKeyFile(path)
	return key, true, err
}

// ReadKeyFile reads an API key from a file that strangers cannot read.
func ReadKeyFile(path string) (messages.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read global key: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read global key: %w", err)
	}
	// Group may read: that is how systemd hands a credential to a service's user.
	if mode := st.Mode().Perm(); mode&0o007 != 0 {
		return "", fmt.Errorf("read global key: %s has mode %04o and everyone may use it; chmod 600 it", path, mode)
	}
	var b [128]byte
	n, err := f.Read(b[:])
	if err != nil && n == 0 {
		return "", fmt.Errorf("read global key %s: %w; want 64 lower-case hex digits", path, err)
	}
	key := bytes.TrimSpace(b[:n])
	if !messages.ValidKey(key) {
		return "", fmt.Errorf("read global key: %s holds no key; want 64 lower-case hex digits", path)
	}
	return messages.Secret(key), nil
}

// makeKeyFile puts a new key at path. The name appears with its content, so a
// hub killed in between leaves no half a key, and of two hubs that start at
// once both read the one key.
func makeKeyFile(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, GlobalKeyName+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	var raw [32]byte
	rand.Read(raw[:])
	_, err = f.WriteString(hex.EncodeToString(raw[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
