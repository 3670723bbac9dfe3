package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// story is the two processes and what was found.
type story struct {
	hubProgram, agentProgram string
	hub                      *rig.Hub
	agent                    *rig.Process
	hooks                    *rig.Webhooks
	agentLog                 *rig.Log
	host                     rig.Minted
	checks                   rig.Checks
}

var thresholds = rig.Settings{
	"STALE_SECONDS": "3", "DOWN_SECONDS": "6", "RESUME_GRACE_SECONDS": "1", "GROUP_WAIT_SECONDS": "0", "ALLOW_PRIVATE_ROUTES": "true",
}

func (s *story) play(ctx context.Context, dir string) (err error) {
	if s.hub, err = rig.NewHub(s.hubProgram, dir, thresholds); err != nil {
		return err
	}
	if s.hooks, err = rig.StartWebhooks(); err != nil {
		return err
	}
	if _, err = s.hub.Start(ctx); err != nil {
		return err
	}
	if err = s.introduce(ctx); err != nil {
		return err
	}
	if err = s.report(ctx); err != nil {
		return err
	}
	s.agent.Kill()
	silent := time.Now()
	if err = s.awaitTold(ctx, messages.HostDown); err != nil {
		return err
	}
	s.checks.Add(true, "the hub noticed", "host_down told %.1f s after the agent was killed", time.Since(silent).Seconds())
	if err = s.startAgent(); err != nil {
		return err
	}
	if err = s.awaitTold(ctx, messages.HostRecovered); err != nil {
		return err
	}
	s.checkTold()
	s.checkKeySecret()
	s.checks.Add(s.agent.Stop() == nil, "the agent ends with status 0 on SIGTERM", "")
	s.checks.Add(s.hub.Stop() == nil, "the hub ends with status 0 on SIGTERM", "")
	return nil
}

func (s *story) end() {
	if s.agent != nil {
		s.agent.Kill()
	}
	if s.hub != nil && s.hub.Process != nil {
		s.hub.Kill()
	}
	if s.hooks != nil {
		s.hooks.Close()
	}
}

// felhom runs a subcommand of the hub and decodes its --json answer.
func (s *story) felhom(ctx context.Context, out any, args ...string) error {
	cmd := exec.CommandContext(ctx, s.hubProgram, append([]string{"--hub", "http://" + s.hub.Addr, "--json"}, args...)...)
	cmd.Env = append(os.Environ(), "FELHOM_HUB_GLOBAL_KEY="+s.hub.Key)
	answer, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return fmt.Errorf("felhom-hub %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
		}
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("felhom-hub %s: %w in %.300s", strings.Join(args, " "), err, answer)
	}
	return nil
}

// introduce makes customer, host and route through the commands.
func (s *story) introduce(ctx context.Context) error {
	if err := s.felhom(ctx, nil, "customer", "add", "acme", "--name", "Acme"); err != nil {
		return err
	}
	if err := s.felhom(ctx, &s.host, "host", "mint", "acme"); err != nil {
		return err
	}
	var route struct{ Secret string }
	if err := s.felhom(ctx, &route, "route", "add", s.hooks.URL()); err != nil {
		return err
	}
	s.hooks.Secret = route.Secret
	return nil
}

func (s *story) startAgent() (err error) {
	s.agent, err = rig.Start(s.agentProgram, nil, []string{
		"FELHOM_AGENT_SOURCE=local", "FELHOM_AGENT_HUB_URL=http://" + s.hub.Addr,
		"FELHOM_AGENT_HUB_HOST_ID=" + string(s.host.HostID), "FELHOM_AGENT_HUB_API_KEY=" + s.host.APIKey,
	}, s.agentLog)
	return err
}

// report starts the agent and compares what arrives with this machine.
func (s *story) report(ctx context.Context) error {
	begin := time.Now()
	if err := s.startAgent(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var v rig.HostView
	err := rig.Poll(ctx, 50*time.Millisecond, func() (bool, error) {
		err := s.felhom(ctx, &v, "host", "show", string(s.host.HostID))
		return v.State == "ok", err
	})
	if err != nil {
		return fmt.Errorf("wait for the first report: %w", err)
	}
	s.checks.Add(true, "the agent reports at once", "shown as ok after %.1f s", time.Since(begin).Seconds())
	return s.checkFigures(v)
}

// checkFigures compares with what the kernel says of this machine.
func (s *story) checkFigures(v rig.HostView) error {
	if v.Host == nil || v.MemoryPercent == nil || v.DiskPercent == nil {
		return fmt.Errorf("host show: no figures in %+v", v)
	}
	total, available, err := rig.MachineMemory()
	if err != nil {
		return err
	}
	var root syscall.Statfs_t
	var info syscall.Sysinfo_t
	if err := syscall.Statfs("/", &root); err != nil {
		return fmt.Errorf("ask for the root file system: %w", err)
	}
	if err := syscall.Sysinfo(&info); err != nil {
		return fmt.Errorf("ask for the uptime: %w", err)
	}
	n := v.Host
	name, _ := os.Hostname()
	disk := int64(root.Blocks) * root.Bsize
	s.near("memory, bytes", float64(n.MemoryTotalBytes), float64(total), 0)
	s.near("memory used, percent", *v.MemoryPercent, 100*float64(total-available)/float64(total), 5)
	s.near("root file system, bytes", float64(n.RootTotalBytes), float64(disk), 0)
	s.near("root used, percent", *v.DiskPercent, 100*float64(root.Blocks-root.Bfree)/float64(root.Blocks), 6)
	s.near("uptime, seconds", float64(n.UptimeSeconds), float64(info.Uptime), 5)
	s.near("processors", float64(n.CPUCount), float64(runtime.NumCPU()), 0)
	s.checks.Add(n.Node == name, "shown and true: name", "%s, %s", n.Node, name)
	return nil
}

func (s *story) near(what string, shown, truth, tolerance float64) {
	s.checks.Add(math.Abs(shown-truth) <= tolerance, "shown and true: "+what, "%.1f, %.1f", shown, truth)
}

func (s *story) awaitTold(ctx context.Context, t messages.EventType) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := rig.Poll(ctx, 10*time.Millisecond, func() (bool, error) { return s.told(t) != nil, nil })
	if err != nil {
		return fmt.Errorf("wait until %s is told: %w", t, err)
	}
	return nil
}

func (s *story) told(t messages.EventType) (es []messages.Event) {
	for _, e := range s.hooks.Events() {
		if e.Type == t {
			es = append(es, e)
		}
	}
	return es
}

// checkTold looks at what the webhook received.
func (s *story) checkTold() {
	for _, n := range s.hooks.All() {
		s.checks.Add(n.Err == nil, "notification "+n.ID+" is signed", "%d events; %v", len(n.Events), n.Err)
	}
	for _, t := range []messages.EventType{messages.HostStale, messages.HostDown, messages.HostRecovered} {
		es := s.told(t)
		s.checks.Add(len(es) == 1 && es[0].HostID == s.host.HostID, string(t)+" told once", "%d times: %s", len(es), summary(es))
	}
	stales, backs := s.told(messages.HostStale), s.told(messages.HostRecovered)
	if len(stales) == 0 || len(backs) == 0 {
		return // said above
	}
	stale, back := stales[0], backs[0]
	s.checks.Add(stale.IncidentID != "" && stale.IncidentID == back.IncidentID, "stale and recovered share their incident", "%s, %s", stale.IncidentID, back.IncidentID)
	s.checks.Add(back.Detail.DurationSeconds >= 6 && back.Detail.DurationSeconds < 20, "host_recovered gives the duration", "%d s", back.Detail.DurationSeconds)
}

// checkKeySecret: neither program prints a key.
func (s *story) checkKeySecret() {
	leaks := 0
	for _, key := range []string{s.hub.Key, s.host.APIKey, s.hooks.Secret} {
		for _, log := range []*rig.Log{s.hub.Log, s.agentLog} {
			if log.Contains(key) {
				leaks++
			}
		}
	}
	s.checks.Add(leaks == 0, "no key in what the programs printed", "%d bytes printed, %d leaks", s.hub.Log.Len()+s.agentLog.Len(), leaks)
}

func summary(es []messages.Event) string {
	if len(es) == 0 {
		return ""
	}
	return es[0].Summary
}
