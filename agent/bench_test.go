package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

// BenchmarkCrowdedNode runs the agent as a process beside a node of 40 guests with a
// month of backups; an iteration is the minute between two reports. It tells the
// requests of a report after the first one, the most that were in work at a time, and
// what the process costs: resident memory after the last report and at its peak.
func BenchmarkCrowdedNode(b *testing.B) {
	hub, node := newHub(b), pvetest.Start(b, pvetest.PVE9)
	node.Crowd(time.Now())
	agent := launch(b, append(os.Environ(), "FELHOM_AGENT_SOURCE=proxmox", "FELHOM_AGENT_STATE_DIR="+b.TempDir(),
		"FELHOM_AGENT_HUB_URL="+hub.URL, "FELHOM_AGENT_HUB_HOST_ID=acme-7f3a90c1", "FELHOM_AGENT_HUB_API_KEY="+canary, "FELHOM_AGENT_HUB_POLL_SECONDS=60",
		"FELHOM_AGENT_PROXMOX_URL="+node.URL, "FELHOM_AGENT_PROXMOX_CA_FILE="+node.CAFile(), "FELHOM_AGENT_PROXMOX_NODE="+pvetest.Node,
		"FELHOM_AGENT_PROXMOX_TOKEN_ID="+pvetest.Auditor, "FELHOM_AGENT_PROXMOX_TOKEN_SECRET="+pvetest.Secret))
	if r := agent.next(b, hub); len(r.Guests) != 40 || len(r.Backups) != 40 {
		b.Fatalf("the first report has %d guests and %d backups", len(r.Guests), len(r.Backups))
	}
	before, most := node.AskedAll(), 0
	b.ResetTimer()
	for range b.N {
		agent.next(b, hub)
		asked := node.AskedAll()
		most, before = max(most, asked-before), asked
	}
	b.StopTimer()
	b.ReportMetric(float64(most), "requests/report")
	b.ReportMetric(float64(node.MaxInFlight()), "at-a-time")
	b.ReportMetric(float64(agent.memory(b, "VmRSS"))/1e6, "MB")
	b.ReportMetric(float64(agent.memory(b, "VmHWM"))/1e6, "MB-peak")
}

// process is an agent that runs.
type process struct {
	pid   int
	log   safeBuffer
	ended chan struct{}
}

// launch builds the agent as a release is built and runs it until the test ends.
func launch(tb testing.TB, env []string) *process {
	tb.Helper()
	program := filepath.Join(tb.TempDir(), "felhom-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{ended: make(chan struct{})}
	agent := exec.CommandContext(ctx, program)
	agent.Env, agent.Stdout, agent.Stderr = env, &p.log, &p.log
	if err := agent.Start(); err != nil {
		cancel()
		tb.Fatalf("start: %v", err)
	}
	p.pid = agent.Process.Pid
	go func() {
		agent.Wait()
		close(p.ended)
	}()
	tb.Cleanup(func() {
		cancel()
		<-p.ended
	})
	return p
}

// next waits for a report of the process.
func (p *process) next(tb testing.TB, hub *fakeHub) messages.Report {
	tb.Helper()
	select {
	case r := <-hub.reports:
		return r
	case <-p.ended:
		tb.Fatalf("the agent ended:\n%s", p.log.String())
	case <-time.After(5 * time.Minute):
		tb.Fatalf("no report; the agent says:\n%s", p.log.String())
	}
	return messages.Report{} // not reached
}

// memory is a line of /proc/<pid>/status, in bytes.
func (p *process) memory(tb testing.TB, line string) (bytes int64) {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		tb.Fatalf("read memory: %v", err)
	}
	_, rest, found := strings.Cut(string(text), line+":")
	if _, err := fmt.Sscanf(rest, "%d kB", &bytes); !found || err != nil {
		tb.Fatalf("no %s in %s", line, text)
	}
	return bytes * 1024
}
