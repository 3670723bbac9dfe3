package rig

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build compiles the main package pkg, as seen from the module's folder dir,
// into the folder into, with flags of go build, and returns the program's path.
func Build(ctx context.Context, dir, pkg, into, name string, flags ...string) (string, error) {
	program := filepath.Join(into, name)
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", program}, flags...), pkg)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}

// ProductDir is the folder of the product's module: the one above the benches.
func ProductDir() (string, error) { return moduleDir("felhom.eu") }

// BenchDir is the folder of the benches' module.
func BenchDir() (string, error) { return moduleDir("felhom.eu/bench") }

func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Process is a running program. Its methods may be called from any goroutine.
type Process struct {
	cmd  *exec.Cmd
	log  *Log
	done chan struct{}
	err  error // of Wait; valid after done
}

// Start runs program with args; env is added to a minimal environment. What it
// writes to stdout and stderr goes to log.
func Start(program string, args, env []string, log *Log) (*Process, error) {
	p := &Process{cmd: exec.Command(program, args...), log: log, done: make(chan struct{})}
	p.cmd.Env = environment(env)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// The program dies with the rig, whatever kills the rig.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// environment is a minimal one and env.
func environment(env []string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

const (
	stopTimeout = time.Minute      // what a program has to stop in; the hub promises 10 s, on a machine that is its own
	quitTimeout = 20 * time.Second // to say where it hangs
)

// Quit ends the process (SIGQUIT), waits until it is gone, and returns where it
// was: what its goroutines did in the program's own code. Empty when it had ended.
func (p *Process) Quit() string {
	begin := p.log.Len()
	p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.done:
	case <-time.After(quitTimeout):
		p.Kill()
	}
	return stacks(p.log.Since(begin))
}

// stacks is the gist of what a Go program prints when SIGQUIT ends it: of each
// goroutine what it waits for, and the functions above and in the program's own.
func stacks(dump string) string {
	var gist []string
	for _, routine := range strings.Split(dump, "\n\n") {
		head, calls, ok := strings.Cut(routine, "\n")
		if !ok || !strings.HasPrefix(head, "goroutine ") || !strings.Contains(calls, "felhom.eu/") {
			continue
		}
		var names []string
		for line := range strings.Lines(calls) {
			if args := strings.LastIndexByte(line, '('); args > 0 && line[0] != '\t' && len(names) < maxCalls {
				names = append(names, line[:args])
			}
		}
		gist = append(gist, head+" "+strings.Join(names, " < "))
	}
	return strings.Join(gist, "\n")
}

const maxCalls = 12 // of a goroutine

// Stop asks the process to end (SIGTERM) and waits for it. An exit status other
// than 0, and taking over a minute, are errors.
func (p *Process) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopTimeout):
		return fmt.Errorf("stop: still running after SIGTERM and %v: %s", stopTimeout, p.Quit())
	}
}

// Err is how the process ended, nil for status 0. Only to be asked after Done.
func (p *Process) Err() error { return p.err }

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Log collects what processes print, all of it. It is safe for concurrent use.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends b.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// Contains reports whether s was printed.
func (l *Log) Contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes(), []byte(s))
}

// Len is how many bytes were printed.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Len()
}

// Since is what was printed after the first n bytes.
func (l *Log) Since(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b.Bytes()[min(n, l.b.Len()):])
}

// Tail is the last n bytes.
func (l *Log) Tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.b.Bytes()
	return string(b[max(0, len(b)-n):])
}

// FreeAddr is a loopback address that nobody listens on at the moment.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Listening reports whether somebody accepts connections at addr.
func Listening(addr string) bool {
	c, err := net.DialTimeout("tcp4", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}
