package pbs

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"felhom.eu/agent/api2/api2test"
	"felhom.eu/agent/pbs/pbstest"
	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

const canary = "5ec2e7c0-ffee-4ac1-9d1e-000000000000" // a token's secret

// targets are the readers of what a backup server answers, by the names of their
// fuzz functions.
func targets(t testing.TB) map[string]mutation.Target {
	return map[string]mutation.Target{
		"Snapshots": {Seeds: [][]byte{
			[]byte(`[{"backup-time":1773454807,"files":[{"filename":"index.json.blob","crypt-mode":"none","size":611}],"size":6121344672,"protected":true,"verification":{"state":"ok"}}]`),
			[]byte(`[{"backup-time":-1,"files":null},{"backup-time":9e18,"size":0,"files":[{"filename":"index.json.blob"}],"verification":null}]`),
			[]byte(`[{}]`),
		}, Words: []string{`"backup-time":1773454807,`, `"state":"failed"`, `"size":1`, `{"filename":"index.json.blob","crypt-mode":"encrypt"}`}, Check: checkSnapshots},
		"Collection": collection(t),
	}
}

func FuzzSnapshots(f *testing.F)  { mutation.Fuzz(f, targets(f)["Snapshots"]) }
func FuzzCollection(f *testing.F) { mutation.Fuzz(f, targets(f)["Collection"]) }

// Protects the agent from a server that answers anything at all.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// checkSnapshots: the figures made of a list of snapshots agree with each other.
func checkSnapshots(t testing.TB, b []byte) (taken bool) {
	var list []snapshotRow
	if json.Unmarshal(b, &list) != nil {
		return false
	}
	n := uint64(len(list))
	k := learn(noon, sighting{}, list)
	r := k.facts
	if r.Count+r.Unfinished != n || r.Failed > r.Count || r.Protected > n ||
		(r.NewestAt == nil) != (r.Count == 0) || r.VerifiedAt != nil && r.VerifiedAt.After(*r.NewestAt) || k.openAt.IsZero() != (r.Unfinished == 0) {
		t.Errorf("got %+v of %d", k, n)
	}
	if _, err := json.Marshal(k.report("pbs", sighting{})); err != nil {
		t.Errorf("a report that cannot be sent: %v", err)
	}
	return true
}

// collection is all of a server's part of a report, with one answer of a stranger's.
func collection(t testing.TB) mutation.Target {
	var tape api2test.Tape
	s := cellar(t)
	real := stranger(t, config(s, pbstest.Auditor))
	real.all[0].HTTP.Transport = tape.Record(real.all[0].HTTP.Transport)
	real.Add(t.Context(), &messages.Report{})
	real.all[0].HTTP.CloseIdleConnections()
	return mutation.Target{Seeds: tape.Inputs(), Words: collectionWords, Cost: 1000, Check: func(t testing.TB, input []byte) (taken bool) {
		one := stranger(t, Config{Name: "attic", URL: DefaultURL, TokenID: pbstest.Auditor, Token: canary})
		one.all[0].HTTP.Transport = tape.Play(input)
		for range 2 { // the second knows what the first one learnt
			r := emptyReport()
			one.Add(context.Background(), r)
			taken = len(r.PBSSnapshots) > 0
			carried(t, r)
		}
		return taken
	}}
}

// collectionWords are figures at the edges of what a report can carry.
var collectionWords = []string{`"backup-time":253402300800,`, `"next-run":253402300800,`, `"last-run-endtime":9223372036854775807,`, `"estimated-full-date":253402300800,`,
	`"last-backup":-1,`, `"backup-count":18446744073709551615,`, `"total":0,`, `"ns":"a//b",`, `"error":"x",`, `"data":null,`, canary}

func stranger(t testing.TB, cfg Config) *Servers {
	all, err := New([]Config{cfg})
	if err != nil {
		t.Fatal(err)
	}
	all.now = func() time.Time { return noon }
	return all
}

// emptyReport is one that a hub takes.
func emptyReport() *messages.Report {
	r := &messages.Report{HostID: "acme-7f3a90c1", ReportedAt: noon, AgentVersion: "dev", Sections: map[string]messages.Section{}}
	r.Host.MemoryTotalBytes = 1
	return r
}

// carried: a hub takes the report, and the token's secret is not in it.
func carried(t testing.TB, r *messages.Report) {
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
