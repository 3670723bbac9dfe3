package proxmox

import (
	"fmt"
	"strings"
	"testing"

	"felhom.eu/messages"
)

// A guest is covered by an enabled job of this node and nothing else, and what
// cannot be known is not said.
func TestJobsCoverGuests(t *testing.T) {
	off, on := Bool(false), Bool(true)
	all := jobRow{All: true, Exclude: "120,121"}
	for _, c := range []struct {
		name  string
		jobs  []jobRow
		bare  bool // Proxmox finds it in no job
		asked bool
		pool  string
		want  string
	}{
		{"no job", nil, true, true, "", "no"},
		{"all", []jobRow{all}, false, true, "", "yes"},
		{"enabled in words", []jobRow{{All: true, Enabled: &on}}, false, true, "", "yes"},
		{"disabled", []jobRow{{All: true, Enabled: &off}}, false, true, "", "no"},
		{"another node's", []jobRow{{All: true, Node: "birke"}}, false, true, "", "no"},
		{"this node's", []jobRow{{All: true, Node: "kiefer"}}, false, true, "", "yes"},
		{"excluded", []jobRow{{All: true, Exclude: "99,110"}}, true, true, "", "no"},
		{"excluded here, listed in a disabled one", []jobRow{{All: true, Exclude: "110"}, {VMIDs: "110", Enabled: &off}}, false, true, "", "no"},
		{"listed", []jobRow{{VMIDs: "109;110 111"}}, false, true, "", "yes"},
		{"a number within another", []jobRow{{VMIDs: "1100,2110"}}, true, true, "", "no"},
		{"its pool", []jobRow{{Pool: "web"}}, false, true, "web", "yes"},
		{"another pool", []jobRow{{Pool: "web"}, {VMIDs: "110", Enabled: &off}}, false, true, "db", "no"},
		{"pool not shown, one job", []jobRow{{Pool: "web"}}, false, true, "", "yes"},
		{"pool not shown, disabled job", []jobRow{{Pool: "web", Enabled: &off}}, false, true, "", "no"},
		{"pool not shown, either", []jobRow{{Pool: "web"}, {VMIDs: "110", Enabled: &off}}, false, true, "", "unknown"},
		{"in no pool", []jobRow{{Pool: "web"}, {VMIDs: "110", Enabled: &off}}, false, true, "none", "no"},
		{"came after the question", []jobRow{all}, false, false, "", "unknown"},
	} {
		b := jobBook{jobs: c.jobs, uncovered: map[messages.VMID]bool{110: c.bare}, asked: map[messages.VMID]bool{110: c.asked}}
		got := "unknown"
		if covered := b.covers(110, "kiefer", strings.TrimPrefix(c.pool, "none"), c.pool == "none"); covered != nil {
			got = map[bool]string{true: "yes", false: "no"}[*covered]
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if got := fmt.Sprint(vmids("110, 112;x 7 99999999999")); got != "[7 110 112]" {
		t.Errorf("got %s", got)
	}
}
