package dashboard

import (
	"context"
	"testing"

	"github.com/rs/zerolog"
)

// The end of the audit log is found, however long it is, and shown newest first.
func TestEndOfTheAuditLog(t *testing.T) {
	for _, n := range []uint64{0, 1, 2, 29, 30, 31, 64, 1000, 1023, 1024, 1025} {
		d := New(&fakeHub{audited: n}, Config{}, zerolog.Nop())
		rows, err := d.latestAudit(&request{ctx: context.Background()})
		if want := int(min(n, shownAudit)); err != nil || len(rows) != want {
			t.Errorf("of %d: %d records, want %d (%v)", n, len(rows), want, err)
		}
		for i, r := range rows {
			if r.Sequence != n-uint64(i) {
				t.Errorf("of %d: record %d is at %d", n, r.Sequence, i)
			}
		}
	}
}
