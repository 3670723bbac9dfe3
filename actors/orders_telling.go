package actors

import (
	"time"

	"github.com/anthdm/hollywood/actor"

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
	enter(book *book, b *messages.Batch, now time.Time) error
}

func (o PutSilence) decide(*Registry) (*messages.Batch, func(*actor.Context), error) { return onBook() }
func (o EndSilence) decide(*Registry) (*messages.Batch, func(*actor.Context), error) { return onBook() }
func (o AckAlarms) decide(*Registry) (*messages.Batch, func(*actor.Context), error)  { return onBook() }

func onBook() (*messages.Batch, func(*actor.Context), error) {
	return &messages.Batch{}, func(*actor.Context) {}, nil
}

// book is what the writer knows of what is told.
type book struct {
	silences map[messages.SilenceID]messages.Silence
}

func newBook(silences []messages.Silence) *book {
	b := &book{silences: make(map[messages.SilenceID]messages.Silence)}
	for _, s := range silences {
		b.silences[s.ID] = s
	}
	return b
}

func (o PutSilence) enter(book *book, b *messages.Batch, _ time.Time) error {
	book.silences[o.Silence.ID] = o.Silence
	b.PutSilences = append(b.PutSilences, o.Silence)
	return nil
}

func (o EndSilence) enter(book *book, b *messages.Batch, now time.Time) error {
	s, found := book.silences[o.ID]
	if !found || !s.EndsAt.IsZero() && !now.Before(s.EndsAt) {
		return ErrNotFound
	}
	s.EndsAt = now.UTC()
	return PutSilence{s}.enter(book, b, now)
}

func (o AckAlarms) enter(*book, *messages.Batch, time.Time) error { return ErrNotFound }
