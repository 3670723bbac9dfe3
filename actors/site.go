package actors

import (
	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

// SetSite says where a host stands, "" for nowhere: ErrNotFound.
type SetSite struct {
	ID   messages.HostID
	Site string
}

func (o SetSite) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	h, state, err := r.hub.store.Host(o.ID)
	if err != nil || h.Site == o.Site {
		return nil, nil, err
	}
	h.Site = o.Site
	return &messages.Batch{PutHosts: []messages.Host{h}}, func(*actor.Context) {
		r.hub.sites.move(o.ID, o.Site, state.Phase != messages.PhaseNew)
	}, nil
}
