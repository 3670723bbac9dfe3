package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"felhom.eu/bench/rig"
)

// volumeBytes is the size of the file system that power is cut from, a file with
// holes.
const volumeBytes = 4 << 30

// volume is an ext4 file system in a file, mounted through a loop device.
type volume struct{ image, mount string }

// newVolume makes one in dir and mounts it. Errors: not root, no loop device,
// no ext4.
func newVolume(ctx context.Context, dir string) (*volume, error) {
	v := &volume{filepath.Join(dir, "image"), filepath.Join(dir, "mount")}
	f, err := os.Create(v.image)
	if err == nil {
		err = errors.Join(f.Truncate(volumeBytes), f.Close(), os.Mkdir(v.mount, 0o700))
	}
	if err != nil {
		return nil, err
	}
	if err := command(ctx, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", v.image); err != nil {
		return nil, err
	}
	return v, v.attach(ctx)
}

func (v *volume) attach(ctx context.Context) error {
	return command(ctx, "mount", "-t", "ext4", "-o", "loop", v.image, v.mount)
}

// detach unmounts; the loop device goes with it. Nothing of it waits for a run
// that was broken off.
func (v *volume) detach() error {
	return command(context.Background(), "umount", v.mount)
}

// ext4Shutdown is EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32). With NOLOGFLUSH
// nothing reaches the device from then on, the journal's open transaction
// neither.
const (
	ext4Shutdown   = 0x8004587d
	shutNoLogFlush = 2
)

// cut takes the power away: what the kernel had not been asked to make durable
// is gone.
func (v *volume) cut() error {
	d, err := os.Open(v.mount)
	if err != nil {
		return err
	}
	defer d.Close()
	flags := uint32(shutNoLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("shut ext4 down: %w", errno)
	}
	return nil
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %.200s", name, err, out)
	}
	return nil
}

// powerCut takes the power from the hub's file system at random instants. It
// shows what a kernel loses that loses its memory; a drive that lies about what
// it has written it does not show.
func powerCut(ctx context.Context, s *scene) error {
	v, err := newVolume(ctx, s.dir)
	if err != nil {
		s.skip("no ext4 on a loop device: %v", err)
		return nil
	}
	defer v.detach()
	hub, err := rig.NewHub(s.hub, v.mount, shortThresholds)
	if err != nil {
		return err
	}
	k := &killer{scene: s, hub: hub}
	k.end = func() error {
		k.cutAt.Store(time.Now().UnixNano())
		if err := v.cut(); err != nil {
			return err
		}
		hub.Kill()
		if err := v.detach(); err != nil {
			return err
		}
		return v.attach(ctx)
	}
	return k.run(ctx)
}
