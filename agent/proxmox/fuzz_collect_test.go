package proxmox

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"felhom.eu/agent/api2/api2test"
	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

// collection is a whole report of a node that gives one answer of a stranger's.
// The input says which, in its first line.
func collection(t testing.TB) mutation.Target {
	var tape api2test.Tape
	s := pvetest.Start(t, pvetest.PVE9)
	src := stranger(t, s.URL, s.CAFile())
	src.client.HTTP.Transport = tape.Record(src.client.HTTP.Transport)
	if _, err := src.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	src.client.HTTP.CloseIdleConnections()
	return mutation.Target{Seeds: tape.Inputs(), Words: collectionWords, Cost: 2000, Check: func(t testing.TB, input []byte) (taken bool) {
		src := stranger(t, "https://localhost:8006", "")
		src.client.HTTP.Transport = tape.Play(input)
		for range 2 { // the second knows what the first one learnt
			r, err := src.Collect(context.Background())
			if err != nil {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("%q is told as %v", input, err)
				}
				return false
			}
			taken = r.Sections[messages.SectionGuests].Status == messages.SectionOK
			carriedWhole(t, r)
		}
		return taken
	}}
}

// collectionWords are figures at the edges of what a report can carry.
var collectionWords = []string{`"starttime":253402300800,`, `"endtime":18446744073709551615,`, `"next-run":253402300800,`, `"ctime":9223372036854775807,`, `"vmid":4294967396,`,
	`"vmid":"110",`, `"size":1e300,`, `"frag":"N/A",`, `"wearout":-1e308,`, `"data":null,`, `"status":"WARNINGS: 1",`, canary}

func stranger(t testing.TB, url, ca string) *Source {
	src, err := New(Config{URL: url, TokenID: pvetest.Auditor, Token: canaryOf(ca), Node: pvetest.Node, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// canaryOf is the server's own secret when there is one to ask.
func canaryOf(ca string) messages.Secret {
	if ca == "" {
		return canary
	}
	return pvetest.Secret
}

// carriedWhole: a hub takes the report, and the token's secret is not in it.
func carriedWhole(t testing.TB, r *messages.Report) {
	r.HostID, r.ReportedAt, r.AgentVersion = "acme-7f3a90c1", time.Unix(1773500000, 0).UTC(), "dev"
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := messages.Decode(b); err != nil {
		t.Errorf("no hub takes this report: %v\n%.2000s", err, b)
	}
	if strings.Contains(string(b), canary) {
		t.Errorf("the secret is in %s", b)
	}
}

// Protects the report from one bad answer among good ones: it is still a report.
func FuzzCollection(f *testing.F) { mutation.Fuzz(f, collection(f)) }
