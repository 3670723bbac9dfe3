package messages

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden summaries")

// goldens are the documents that every later hub must accept, by file name.
func goldens(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/v1/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden documents: %v", err)
	}
	docs := map[string][]byte{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs[file] = body
	}
	return docs
}

// show is a Summary as its golden file has it.
func show(s Summary) string {
	f := s.Figures
	shown := fmt.Sprintf("host_id %s\nreported_at %d\nagent_version %q\nstream %016x\nsequence %d\nboot %016x\n"+
		"uptime %d\nguests %016x unknown=%t\ncpu %v memory %v disk %v\nguests %d of %d running\ncloudflared %q\n",
		s.HostID, s.ReportedAt, s.AgentVersion, s.StreamHash, s.Sequence, s.BootHash,
		s.UptimeSecs, s.GuestHash, f.GuestsUnknown, f.CPUUsedRatio, f.MemoryUsedRatio, f.DiskUsedRatio,
		f.GuestRunning, f.GuestTotal, f.Cloudflared)
	if s.AgentEnd != "" || s.MachineEnd != "" { // later than the first summaries
		shown += fmt.Sprintf("last_end agent %q machine %q\n", s.AgentEnd, s.MachineEnd)
	}
	return shown
}

// A report that was once understood stays understood in the same way: the hashes
// in a summary are on disk.
func TestGoldenReportsKeepTheirSummary(t *testing.T) {
	for file, body := range goldens(t) {
		var s Summary
		if err := Scan(body, &s); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		golden := strings.TrimSuffix(file, ".json") + ".summary"
		if *rewrite {
			if err := os.WriteFile(golden, []byte(show(s)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), show(s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
		agree(t, body)
	}
}
