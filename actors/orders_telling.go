package actors

import (
	"github.com/anthdm/hollywood/actor"

	"felhom.eu/actors/telling"
	"felhom.eu/messages"
)

// The orders about what is told. The registry passes them on, one after another with
// its own; the writer alone knows the book of alarms, and decides on them as it cuts.
type (
	// PutSilence makes a silence, or changes it. The caller has checked it.
	PutSilence struct{ Silence messages.Silence }
	// EndSilence ends a silence now; it stays for the record: ErrNotFound, also of one
	// that has ended already.
	EndSilence struct{ ID messages.SilenceID }
	// AckAlarms acknowledges open alarms, of an incident all its members; a nil Ack takes
	// that back. Those that are not open are passed over: ErrNotFound when none is.
	AckAlarms struct {
		IDs []messages.IncidentID
		Ack *messages.Ack
	}
)

// bookOrder is decided by the writer. What it changes is added to the batch; refused, it
// changes nothing.
type bookOrder interface {
	enter(book *telling.Book, b *messages.Batch, now telling.Now) error
}

func (o PutSilence) decide(*Registry) (*messages.Batch, func(*actor.Context), error) { return onBook() }
func (o EndSilence) decide(*Registry) (*messages.Batch, func(*actor.Context), error) { return onBook() }
func (o AckAlarms) decide(*Registry) (*messages.Batch, func(*actor.Context), error)  { return onBook() }

func onBook() (*messages.Batch, func(*actor.Context), error) {
	return &messages.Batch{}, func(*actor.Context) {}, nil
}

func (o PutSilence) enter(book *telling.Book, b *messages.Batch, _ telling.Now) error {
	book.PutSilence(o.Silence)
	b.PutSilences = append(b.PutSilences, o.Silence)
	return nil
}

func (o EndSilence) enter(book *telling.Book, b *messages.Batch, now telling.Now) error {
	s, found := book.Silence(o.ID)
	if !found || !s.EndsAt.IsZero() && !now.Wall.Before(s.EndsAt) {
		return ErrNotFound
	}
	s.EndsAt = now.Wall.UTC()
	return PutSilence{s}.enter(book, b, now)
}

func (o AckAlarms) enter(book *telling.Book, _ *messages.Batch, now telling.Now) error {
	if book.Ack(o.IDs, o.Ack, now) == 0 {
		return ErrNotFound
	}
	return nil
}
