package storage

import (
	"testing"

	"felhom.eu/messages"
)

// What was written is there after a clean stop and start, to the last byte.
func TestStoreIsTheSameAfterReopening(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir)
	f := newFleet(20)
	write(t, db, f.mint())
	for range 10 {
		write(t, db, f.report(500))
	}
	f.verify(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, dir)
	r := db.Recovery()
	if len(r.Lost) > 0 || r.BatchSequence != 11 || r.EventSequence != 10 || r.DeliverySequence != 10 ||
		r.EventID != messages.EventID(risingID(10)) || r.Hosts != 20 || !r.BatchAt.Equal(f.at) {
		t.Errorf("recovery: %+v", r)
	}
	f.verify(t, db)
	write(t, db, f.report(500))
	f.verify(t, db)
}
