package actors

import (
	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

// DropSilences forgets silences that are long past: nobody asks for them any more.
type DropSilences struct{ IDs []messages.SilenceID }

func (o DropSilences) decide(*Registry) (*messages.Batch, func(*actor.Context), error) {
	return &messages.Batch{DelSilences: o.IDs}, func(*actor.Context) {}, nil
}
