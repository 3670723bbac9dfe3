package restore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

var now = time.Date(2026, 3, 14, 6, 0, 0, 0, time.UTC)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What scripts write is read with their quotes, seconds and additions; what says
// nothing certain counts for nothing, and the reason names the field.
func TestResultsAreReadTolerantlyAndJudgedStrictly(t *testing.T) {
	started := time.Date(2026, 3, 14, 5, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, text string
		want       messages.RestoreTest // without a problem
		problem    string
	}{
		{"whole", `{"vmid":110,"level":"checked","ok":true,"started_at":"2026-03-14T05:00:00Z","scratch_vmid":910,"source":"local:backup/x","duration_seconds":93,"detail":"http 200","checked_by":"restore.sh"}`,
			messages.RestoreTest{VMID: 110, ScratchVMID: 910, Source: "local:backup/x", Level: "checked", OK: true, StartedAt: started, Seconds: 93, Detail: "http 200", CheckedBy: "restore.sh"}, ""},
		{"strings", "\ufeff" + `{"vmid":"110","level":" booted","ok":"0","started_at":"1773464400","duration_seconds":"93.7","scratch_vmid":""}`,
			messages.RestoreTest{VMID: 110, Level: "booted", StartedAt: started, Seconds: 93}, ""},
		{"zone, additions, nulls", `{"vmid":110,"level":"restored","ok":true,"started_at":"2026-03-14T06:00:00+01:00","host":{"x":1},"detail":null,"scratch_vmid":null}`,
			messages.RestoreTest{VMID: 110, Level: "restored", OK: true, StartedAt: started, Detail: ""}, ""},
		{"controls", `{"vmid":110,"level":"checked","ok":true,"started_at":1773464400,"detail":"a\u001b[31m\nb"}`,
			messages.RestoreTest{VMID: 110, Level: "checked", OK: true, StartedAt: started, Detail: "a [31m b"}, ""},
		{"verified is no restore", `{"vmid":110,"level":"verified","ok":true,"started_at":1773464400}`, messages.RestoreTest{}, "level"},
		{"no level", `{"vmid":110,"ok":true,"started_at":1773464400}`, messages.RestoreTest{}, "level"},
		{"no result", `{"vmid":110,"level":"booted","started_at":1773464400}`, messages.RestoreTest{}, "ok"},
		{"no guest", `{"level":"booted","ok":true,"started_at":1773464400}`, messages.RestoreTest{}, "vmid"},
		{"no number", `{"vmid":"web","level":"booted","ok":true,"started_at":1773464400}`, messages.RestoreTest{}, "vmid"},
		{"bad scratch", `{"vmid":110,"scratch_vmid":7,"level":"booted","ok":true,"started_at":1773464400}`, messages.RestoreTest{}, "scratch_vmid"},
		{"no zone", `{"vmid":110,"level":"booted","ok":true,"started_at":"2026-03-14 05:00:00"}`, messages.RestoreTest{}, "started_at"},
		{"no time", `{"vmid":110,"level":"booted","ok":true}`, messages.RestoreTest{}, "started_at"},
		{"of the future", `{"vmid":110,"level":"booted","ok":true,"started_at":"2026-03-14T07:00:01Z"}`, messages.RestoreTest{}, "still to come"},
		{"half", `{"vmid":110,"level":"booted","ok":true,"sta`, messages.RestoreTest{}, "not one JSON object"},
		{"two", `{"vmid":110,"level":"booted","ok":true,"started_at":1773464400}{}`, messages.RestoreTest{}, "not one JSON object"},
		{"list", `[]`, messages.RestoreTest{}, "not one JSON object"},
		{"nested", `{"vmid":[110]}`, messages.RestoreTest{}, "not one JSON object"},
		{"empty", ``, messages.RestoreTest{}, "not one JSON object"},
		{"long", `{"detail":"` + strings.Repeat("x", MaxBytes) + `"}`, messages.RestoreTest{}, "over 64 KiB"},
	} {
		dir := t.TempDir()
		write(t, dir, "r.json", c.text)
		tests, problems, err := ReadDir(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		if c.problem != "" {
			if len(tests) != 0 || len(problems) != 1 || !strings.Contains(problems[0], c.problem) || !strings.Contains(problems[0], "r.json") {
				t.Errorf("%s: got %+v, %q, want a problem with %q", c.name, tests, problems, c.problem)
			}
			continue
		}
		if diff := cmp.Diff([]messages.RestoreTest{c.want}, tests); diff != "" || len(problems) != 0 {
			t.Errorf("%s: %q (-want +got):\n%s", c.name, problems, diff)
		}
	}
}

// A directory that others may write to cannot make the agent wait, follow, or
// read without end.
func TestStrangeFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	const good = `{"vmid":110,"level":"booted","ok":true,"started_at":%d}`
	secret := filepath.Join(t.TempDir(), "secret.json")
	write(t, filepath.Dir(secret), "secret.json", fmt.Sprintf(good, 1773464400))
	if err := os.Symlink(secret, filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".hidden.json", fmt.Sprintf(good, 1773464400))
	write(t, dir, "half.json.tmp", "{")
	tests, problems, err := ReadDir(dir, now)
	if err != nil || len(tests) != 0 || len(problems) != 3 {
		t.Errorf("got %+v, %q, %v, want nothing and 3 problems", tests, problems, err)
	}
	for i := range MaxFiles + 50 {
		write(t, dir, fmt.Sprintf("a%04d.json", i), fmt.Sprintf(good, 1773400000+i))
	}
	tests, problems, err = ReadDir(dir, now)
	if err != nil || len(tests) != MaxFiles-3 || tests[0].StartedAt.Unix() != 1773400000+MaxFiles+49 || !strings.Contains(problems[0], "53 older files") {
		t.Errorf("got %d, %q, %v", len(tests), problems, err)
	}
	if _, _, err := ReadDir(filepath.Join(dir, "gone"), now); err == nil {
		t.Error("a directory that is not there was read")
	}
}
