package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"felhom.eu/agent/pbs/pbstest"
	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"felhom-agent": main})
}

// Protects the command as its user meets it: flags, output, exit status. Each
// script has a hub of its own at $HUB, a Proxmox node at $PVE and a backup server at
// $PBS.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			hub := newHub(env.T().(testing.TB))
			node := pvetest.Start(env.T().(testing.TB), pvetest.PVE83)
			attic := pbstest.Start(env.T().(testing.TB))
			attic.AddStore("keller")
			attic.Put("keller", pbstest.Group{Type: "ct", ID: "110", Owner: pbstest.NodeOwner,
				Snapshots: []pbstest.Snapshot{{At: time.Now().Add(-time.Hour), Size: 1 << 30}}})
			env.Values["hub"] = hub
			for k, v := range map[string]string{"HUB": hub.URL, "KEY": canary, "PVE": node.URL, "PVE_CA": node.CAFile(), "PVE_SECRET": pvetest.Secret,
				"AUDITOR": pvetest.Auditor, "POWERLESS": pvetest.NodeAuditor,
				"PBS": attic.URL, "PBS_CA": attic.CAFile(), "PBS_SECRET": pbstest.Secret, "PBS_AUDITOR": pbstest.DatastoreAuditor, "PBS_BARE": pbstest.Bare,
				"GORACE": "atexit_sleep_ms=0"} { // the race detector sleeps a second at every exit
				env.Setenv(k, v)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "refuse": refuse, "attempted": attempted, "reported": reported, "goodbye": goodbye, "terminate": terminate,
		},
	})
}

// exits STATUS COMMAND… runs a command that must end with that status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](ts.Exec(args[1], args[2:]...)); ok {
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s; stderr:\n%s", got, args[0], ts.ReadFile("stderr"))
	}
}

// refuse STATUS CODE has the hub refuse reports from now on.
func refuse(ts *testscript.TestScript, _ bool, args []string) {
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Value("hub").(*fakeHub).refuse(status, messages.Code(args[1]), "")
}

// attempted waits for the next request at the hub.
func attempted(ts *testscript.TestScript, _ bool, _ []string) {
	await(ts, ts.Value("hub").(*fakeHub).attempts)
}

// reported waits until the hub has accepted a report, and prints its node.
func reported(ts *testscript.TestScript, _ bool, _ []string) {
	r := await(ts, ts.Value("hub").(*fakeHub).reports)
	fmt.Fprintf(ts.Stdout(), "host %s node %s sequence %d\n", r.HostID, r.Host.Node, r.Sequence)
}

// goodbye waits until the hub has accepted a goodbye, and prints its reason.
func goodbye(ts *testscript.TestScript, _ bool, _ []string) {
	g := await(ts, ts.Value("hub").(*fakeHub).goodbyes)
	fmt.Fprintf(ts.Stdout(), "host %s reason %s\n", g.HostID, g.Reason)
}

// terminate sends what systemd sends to everything that runs in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

func await[T any](ts *testscript.TestScript, from <-chan T) (v T) {
	select {
	case v = <-from:
	case <-time.After(patience):
		ts.Fatalf("nothing came within %v", patience)
	}
	return v
}
