package rig

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// Hub is a hub on loopback with a store of its own. It may be started again
// after it ended: same address, same store.
type Hub struct {
	*Process
	Admin
	Dir string // its data_dir
	Log *Log   // of all its lives

	program string
	through []string // a program and its arguments that run program
	env     []string
}

// Settings are hub settings by their FELHOM_HUB_ names without the prefix, such
// as "STALE_SECONDS": "3".
type Settings map[string]string

// NewHub prepares a hub that runs program with its store under dir. It is not
// started yet.
func NewHub(program, dir string, s Settings) (*Hub, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	h := &Hub{Dir: filepath.Join(dir, "hub-data"), Log: new(Log), program: program}
	h.Admin = NewAdmin(addr, NewKey())
	h.env = []string{"STANDIN_FAULT=" + os.Getenv("STANDIN_FAULT")} // a hub knows nothing of it; see ../standin
	all := Settings{"LISTEN": addr, "DATA_DIR": h.Dir, "GLOBAL_KEY": h.Key}
	maps.Copy(all, s)
	for name, value := range all {
		h.env = append(h.env, "FELHOM_HUB_"+name+"="+value)
	}
	sort.Strings(h.env)
	return h, nil
}

// Set changes a setting for the lives to come.
func (h *Hub) Set(name, value string) {
	h.env = append(h.env, "FELHOM_HUB_"+name+"="+value) // of two the last counts
}

// Through lets another program, given with its arguments, run the hub: one that
// lays a limit on itself and then becomes what its last arguments say.
func (h *Hub) Through(command ...string) { h.through = command }

// Program changes what is run: another build of the hub.
func (h *Hub) Program(path string) { h.program = path }

// Command runs one of the hub's commands, such as "check", with the hub's
// settings, and returns its exit status and what it printed. Errors: it could
// not be run, or did not end in three minutes; then the error says where it hung.
func (h *Hub) Command(ctx context.Context, args ...string) (status int, printed string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.program, args...)
	cmd.Env = environment(h.env)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = quitTimeout
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("%v did not end: %s", args, stacks(string(out)))
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) && ctx.Err() == nil {
		return exit.ExitCode(), string(out), nil
	}
	return 0, string(out), errors.Join(err, ctx.Err())
}

// NewKey makes a key of the form that hubs know: 64 hex digits.
func NewKey() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// readyTimeout is what a hub has to become ready in, on a slow machine.
const readyTimeout = 3 * time.Minute

// Start runs the hub and waits until /readyz answers 200; took is how long
// that was from the start of the process.
func (h *Hub) Start(ctx context.Context) (took time.Duration, err error) {
	begin := time.Now()
	if err := h.Launch(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := h.waitReady(ctx); err != nil {
		said := h.Log.Tail(2000)
		return 0, fmt.Errorf("start hub: %w; it said:\n%s\n%s", err, said, h.Quit())
	}
	return time.Since(begin), nil
}

// Launch runs the hub and waits for nothing.
func (h *Hub) Launch() (err error) {
	command := append(append([]string(nil), h.through...), h.program)
	h.Process, err = Start(command[0], command[1:], h.env, h.Log)
	return err
}

func (h *Hub) waitReady(ctx context.Context) error {
	return Poll(ctx, 2*time.Millisecond, func() (bool, error) {
		select {
		case <-h.Done():
			return false, fmt.Errorf("it ended: %v", h.err)
		default:
			status, _, _ := h.do(ctx, http.MethodGet, "/readyz", nil)
			return status == http.StatusOK, nil
		}
	})
}

// Poll asks done every so often until it says yes, fails, or ctx ends.
func Poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// FindHub is the path of a hub to test: given, when it is not empty, or one
// built from the product's folder into dir.
func FindHub(ctx context.Context, given, dir string) (string, error) {
	return findProgram(ctx, given, dir, "hub")
}

// FindAgent is the same for the agent.
func FindAgent(ctx context.Context, given, dir string) (string, error) {
	return findProgram(ctx, given, dir, "agent")
}

func findProgram(ctx context.Context, given, dir, room string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	product, err := ProductDir()
	if err != nil {
		return "", err
	}
	return Build(ctx, product, "./"+room, dir, "felhom-"+room)
}

// Scratch makes a folder for one run under parent ("" is the system's place for
// temporary files) and returns what removes it. Stores go there, so parent must
// not be a memory file system when durability is measured.
func Scratch(parent string) (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp(parent, "felhom-bench-"); err != nil {
		return "", nil, err
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}

// ErrFailed is returned by a rig that ran to its end and found a promise broken.
var ErrFailed = errors.New("promise broken")
