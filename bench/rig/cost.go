package rig

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Memory is what a process holds of the machine's memory, in bytes.
type Memory struct {
	RSS  int64 // all that is resident (VmRSS): anonymous, mapped files, shared
	Anon int64 // anonymous memory alone (RssAnon): no mapped files
	Peak int64 // the highest RSS since the start (VmHWM)
}

// Memory reads /proc/<pid>/status.
func (p *Process) Memory() (m Memory, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return m, fmt.Errorf("read memory of process %d: %w", p.PID(), err)
	}
	f := procFields(b)
	m = Memory{RSS: f["VmRSS"] << 10, Anon: f["RssAnon"] << 10, Peak: f["VmHWM"] << 10} // the file says kB
	return m, nil
}

// procFields reads lines of the form "Name: 123 kB".
func procFields(b []byte) map[string]int64 {
	fields := map[string]int64{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		if words := strings.Fields(rest); len(words) > 0 {
			if n, err := strconv.ParseInt(words[0], 10, 64); err == nil {
				fields[name] = n
			}
		}
	}
	return fields
}

// MachineMemory is the total and the available memory of this machine, in
// bytes, as /proc/meminfo has them.
func MachineMemory() (total, available int64, err error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	f := procFields(b)
	return f["MemTotal"] << 10, f["MemAvailable"] << 10, nil
}

// tick is the unit of CPU time in /proc: USER_HZ, 100 a second on Linux.
const tick = 10 * time.Millisecond

// CPU is the processor time that the process has used (user and system).
func (p *Process) CPU() (time.Duration, error) { return cpuOf(p.PID()) }

func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	// utime and stime are the 14th and 15th word; the 2nd, in parentheses, may
	// hold spaces (proc_pid_stat(5)).
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("read CPU time of process %d: %q", pid, b)
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, nil
}

// MachineCPU is the processor time that everything on this machine has used.
func MachineCPU() (busy time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for i, word := range strings.Fields(string(line)) {
		// user nice system idle iowait irq softirq steal guest guest_nice;
		// guests are counted in user already.
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		busy += time.Duration(n) * tick
	}
	return busy, nil
}

// SelfCPU is the processor time that the rig itself has used.
func SelfCPU() (time.Duration, error) { return cpuOf(os.Getpid()) }
