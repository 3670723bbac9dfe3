package lastrun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

const host = messages.HostID("acme-7f3a90c1")

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

// life is one run of an agent: the boot it is in, and how it ends.
type life struct {
	boot string
	ends string // the reason of its goodbye; "" when it has no time for one
}

// Every way for an agent and its machine to end is told from the others by the
// run after it, and by the later runs in the same boot.
func TestRunTellsHowTheOneBeforeEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		before []life
		boot   string
		want   messages.LastEnd
	}{
		"the first run":                    {nil, "b1", messages.LastEnd{}},
		"a stop":                           {[]life{{"b1", "agent stops: terminated"}}, "b1", messages.LastEnd{Agent: messages.AgentStopped}},
		"kill -9":                          {[]life{{"b1", ""}}, "b1", messages.LastEnd{Agent: messages.AgentKilled}},
		"a reboot":                         {[]life{{"b1", "reboot"}}, "b2", messages.LastEnd{Machine: messages.MachineRebooted}},
		"a shutdown":                       {[]life{{"b1", "shutdown"}}, "b2", messages.LastEnd{Machine: messages.MachineShutdown}},
		"a loss of power":                  {[]life{{"b1", ""}}, "b2", messages.LastEnd{Machine: messages.MachineLostPower}},
		"a stop, then anything":            {[]life{{"b1", "agent stops: terminated"}}, "b2", messages.LastEnd{}},
		"a reboot, then kill -9":           {[]life{{"b1", "reboot"}, {"b2", ""}}, "b2", messages.LastEnd{Agent: messages.AgentKilled, Machine: messages.MachineRebooted}},
		"power lost, then two stops":       {[]life{{"b1", ""}, {"b2", "agent stops: x"}, {"b2", "agent stops: x"}}, "b2", messages.LastEnd{Agent: messages.AgentStopped, Machine: messages.MachineLostPower}},
		"power lost, then a reboot":        {[]life{{"b1", ""}, {"b2", "reboot"}}, "b3", messages.LastEnd{Machine: messages.MachineRebooted}},
		"a machine that tells no boot id":  {[]life{{"b1", ""}}, "", messages.LastEnd{}},
		"a reboot that the agent survived": {[]life{{"b1", "reboot"}}, "b1", messages.LastEnd{Agent: messages.AgentStopped}},
	} {
		dir, root := t.TempDir(), t.TempDir()
		place(t, root, "sys/module/pstore/parameters/backend", "efi_pstore\n", noon)
		for _, l := range tt.before {
			r, _, err := begin(dir, host, l.boot, noon, death{root})
			if err == nil && l.ends != "" {
				err = r.End(l.ends)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r, got, err := begin(dir, host, tt.boot, noon, death{root})
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, tt.want)
		}
		if err := r.End("reboot"); err != nil {
			t.Errorf("%s: end: %v", name, err)
		}
	}
}

// place puts a file below root.
func place(t *testing.T, root, path, text string, changedAt time.Time) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if err := os.Chtimes(p, changedAt, changedAt); err != nil {
			t.Fatal(err)
		}
	}
}

// A crash is told from a loss of power by the dump of this crash, and where no
// dump would have been kept the two are not told apart.
func TestDumpTellsACrashFromALossOfPower(t *testing.T) {
	later, earlier := noon.Add(time.Hour), noon.Add(-time.Hour)
	for name, tt := range map[string]struct {
		path, text string
		at         time.Time
		want       messages.MachineEnd
	}{
		"in the firmware":            {"sys/fs/pstore/dmesg-efi-1", "Kernel panic", later, messages.MachinePanicked},
		"moved to disk":              {"var/lib/systemd/pstore/7316/dmesg.txt", "Kernel panic", later, messages.MachinePanicked},
		"written by kdump":           {"var/crash/202606081300/dump", "", later, messages.MachinePanicked},
		"a program's":                {"var/crash/_usr_bin_x.crash", "", later, messages.MachineUnclean},
		"of an earlier crash":        {"sys/fs/pstore/dmesg-efi-1", "Kernel panic", earlier, messages.MachineUnclean},
		"firmware that keeps them":   {"sys/module/pstore/parameters/backend", "erst\n", later, messages.MachineLostPower},
		"firmware that does not":     {"sys/module/pstore/parameters/backend", "(null)\n", later, messages.MachineUnclean},
		"a machine without any such": {"etc/hostname", "pve1", later, messages.MachineUnclean},
	} {
		root := t.TempDir()
		place(t, root, tt.path, tt.text, tt.at)
		if got := (death{root}).of(noon); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// A file that is no marker, or a directory that is none, costs the agent nothing:
// the next run knows again.
func TestRunLivesWithoutItsFile(t *testing.T) {
	r, end, err := Begin(filepath.Join(t.TempDir(), "none"), host, "b1", noon)
	if r != nil || end != (messages.LastEnd{}) || err != nil {
		t.Errorf("no directory: got %+v, %+v, %v", r, end, err)
	}
	for name, text := range map[string]string{"empty": "", "cut short": `{"boot_id":"b1`, "of another kind": `[1]`, "endless": strings.Repeat(" ", 1<<20) + "{}"} {
		dir := t.TempDir()
		place(t, dir, "run-"+string(host)+".json", text, noon)
		if _, end, err := Begin(dir, host, "b2", noon); err == nil || end != (messages.LastEnd{}) {
			t.Errorf("%s: got %+v, %v, want an error and nothing known", name, end, err)
		}
		if _, end, err := Begin(dir, host, "b2", noon); err != nil || end.Agent != messages.AgentKilled {
			t.Errorf("%s, the run after: got %+v, %v", name, end, err)
		}
	}
}
