package storage

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

var (
	sampleUser    = messages.User{Name: "anna@acme", Role: messages.RoleCustomer, CustomerID: "acme", Password: "$argon2id$…", CreatedAt: start, ChangedAt: start.Add(1)}
	sampleSession = messages.Session{Hash: messages.HashKey([]byte("cookie")), User: "anna@acme", CreatedAt: start, SeenAt: start.Add(time.Hour), Address: "2001:db8::1", Agent: "a browser"}
	sampleAudit   = messages.AuditRecord{Sequence: 1, At: start, Who: "user anna@acme", Action: "hosts add", Subject: "acme-7f3a90c1", CustomerID: "acme", Address: "192.0.2.1", Outcome: messages.AuditDone}
)

// Users and sessions come back as they were written, and are gone when deleted.
func TestUsersAndSessionsComeBackWhole(t *testing.T) {
	for _, v := range []any{sampleUser, sampleSession, sampleAudit} {
		filled(t, reflect.TypeOf(v).Name(), reflect.ValueOf(v))
	}
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	b := f.empty()
	other := messages.Session{Hash: messages.HashKey([]byte("other"))}
	b.PutUsers, b.PutSessions = []messages.User{sampleUser, {Name: "bert"}}, []messages.Session{sampleSession, other}
	write(t, db, b)
	users, err := db.Users()
	if diff := cmp.Diff([]messages.User{sampleUser, {Name: "bert"}}, users); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if sessions, err := db.Sessions(); err != nil || len(sessions) != 2 {
		t.Errorf("sessions %+v, %v", sessions, err)
	}
	b = f.empty()
	b.DelUsers, b.DelSessions = []messages.UserName{"bert"}, []messages.KeyHash{other.Hash}
	write(t, db, b)
	sessions, err := db.Sessions()
	if diff := cmp.Diff([]messages.Session{sampleSession}, sessions); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if users, _ := db.Users(); len(users) != 1 {
		t.Errorf("users %+v", users)
	}
}

// The audit log is numbered without a gap, whether a batch is written once or
// twice and the store is opened again or not, and read from either end.
func TestAuditIsNumberedWithoutGaps(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir)
	f := newFleet(0)
	note := func(n int) *messages.Batch {
		b := f.empty()
		for range n {
			b.Audit = append(b.Audit, sampleAudit)
		}
		return b
	}
	write(t, db, note(2))
	b := note(3)
	write(t, db, b)
	if err := db.WriteState(b); err != nil { // again
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, dir)
	write(t, db, note(1))
	all, err := db.Audit(0, 100)
	if err != nil || len(all) != 6 {
		t.Fatalf("%d records, %v; want 6", len(all), err)
	}
	for i, r := range all {
		if r.Sequence != uint64(i+1) {
			t.Errorf("record %d has sequence %d", i+1, r.Sequence)
		}
	}
	if diff := cmp.Diff(sampleAudit, all[0]); diff != "" {
		t.Error(diff)
	}
	some, _ := db.Audit(2, 2)
	last, _ := db.LatestAudit(0, 2)
	before, _ := db.LatestAudit(5, 1)
	if some[0].Sequence != 3 || len(some) != 2 || last[0].Sequence != 6 || last[1].Sequence != 5 || before[0].Sequence != 4 {
		t.Errorf("behind 2: %+v; latest: %+v; before 5: %+v", some, last, before)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := Check(dir); err != nil || len(s.Problems) > 0 {
		t.Errorf("check: %v, %v", s.Problems, err)
	}
}
