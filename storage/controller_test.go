package storage

import (
	"errors"
	"testing"
	"time"

	"felhom.eu/messages"
)

func TestControllersComeBackWhole(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir)
	name := messages.ControllerName{CustomerID: "acme", ID: "web"}
	want := messages.ControllerState{
		ControllerName: name, GuestID: "acme-7f3a90c1/101", Version: "1.4", Phase: messages.PhaseDown, PhaseSince: 1, FirstSeenAt: 2,
		ContactAt: 3, ContactHeard: 4, IntervalSecs: 604800, Incident: "01J",
	}
	at := time.Unix(1_750_000_000, 0).UTC()
	key := messages.Key{Hash: messages.HashKey([]byte("a")), Kind: messages.KeyCustomer, CustomerID: "acme", CreatedAt: at}
	other := messages.Key{Hash: messages.HashKey([]byte("b")), Kind: messages.KeyCustomer, CustomerID: "acmes", CreatedAt: at}
	var ref messages.ReportRef
	for i := range 3 {
		b := &messages.Batch{Sequence: uint64(i + 1), At: at.Add(time.Duration(i) * time.Second)}
		b.Reports = []messages.StoredReport{{
			ID: messages.ReportID(risingID(uint64(i))), Controller: name, ReceivedAt: b.At, Previous: ref, Figures: messages.UnknownFigures(),
			Body: []byte{'0' + byte(i)},
		}}
		ref = messages.ReportRef{Day: b.Day(), Batch: b.Sequence}
		want.Last = ref
		b.Controllers = []messages.ControllerState{want, {ControllerName: messages.ControllerName{CustomerID: "acmes", ID: "web"}}}
		b.PutCustomers = []messages.Customer{{ID: "acme"}, {ID: "acmes"}}
		b.PutKeys = []messages.Key{key, other}
		write(t, db, b)
	}
	if got, err := db.Controller(name); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := db.Controllers("acme", "", 0); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("listed %+v, %v", got, err)
	}
	if got, err := db.Controllers("acme", "web", 0); err != nil || len(got) != 0 {
		t.Errorf("behind the last: %+v, %v", got, err)
	}
	rows, next, err := db.ControllerReports(name, messages.ReportRef{}, 2)
	if err != nil || len(rows) != 2 || rows[0].ID != messages.ReportID(risingID(2)) || next.Batch != 1 {
		t.Errorf("reports are %+v, %+v, %v", rows, next, err)
	}
	if body, err := db.ControllerReport(name, messages.ReportID(risingID(0))); err != nil || string(body) != "0" {
		t.Errorf("the body is %q, %v", body, err)
	}
	if _, err := db.reportRow("acme-7f3a90c1", ref); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a host has a controller's report: %v", err)
	}
	write(t, db, &messages.Batch{Sequence: 4, At: at.Add(time.Hour), DelCustomers: []messages.CustomerID{"acme"}})
	if _, err := db.Controller(name); !errors.Is(err, ErrNotFound) {
		t.Errorf("outlived its customer: %v", err)
	}
	keys, err := db.Keys("")
	if err != nil || len(keys) != 2 {
		t.Fatalf("keys are %v, %v", keys, err)
	}
	for _, k := range keys {
		if k.RevokedAt.IsZero() == (k.CustomerID == "acme") {
			t.Errorf("the key of %s was revoked at %v", k.CustomerID, k.RevokedAt)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	stats, err := Check(dir)
	if err != nil || len(stats.Problems) > 0 || stats.Controllers != 1 {
		t.Errorf("check: %v, %v", stats, err)
	}
}

func TestControllerMustPointToItsOwnReport(t *testing.T) {
	db := openTest(t, t.TempDir())
	at := time.Unix(1_750_000_000, 0).UTC()
	b := &messages.Batch{Sequence: 1, At: at, Reports: []messages.StoredReport{{
		ID: messages.ReportID(risingID(1)), Controller: messages.ControllerName{CustomerID: "acme", ID: "a"}, Figures: messages.UnknownFigures(),
	}}}
	b.Controllers = []messages.ControllerState{{
		ControllerName: messages.ControllerName{CustomerID: "acme", ID: "b"}, Last: messages.ReportRef{Day: b.Day(), Batch: 1},
	}}
	if err := db.WriteBodies(b); err != nil {
		t.Fatal(err)
	}
	if err := db.WriteState(b); !errors.Is(err, ErrOrder) {
		t.Errorf("got %v", err)
	}
}
