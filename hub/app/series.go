package app

import (
	"context"
	"time"

	"felhom.eu/messages"
)

// Series implements api.Fleet.
func (f *fleet) Series(ctx context.Context, id messages.HostID, r messages.Resolution, from, to time.Time) ([]messages.Usage, error) {
	if _, err := f.db.Host(id); err != nil {
		return nil, translate(err)
	}
	us, err := f.db.Series(ctx, id, r, from, to)
	return us, translate(err)
}
