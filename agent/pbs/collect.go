package pbs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"felhom.eu/messages"
)

const (
	// CollectTimeout is how long a collection takes at most. What was not read by
	// then is unknown in this report, and read for the next.
	CollectTimeout = 40 * time.Second

	inWork    = 2    // questions at once to a server, which has backups to take
	maxGroups = 4096 // in a report, which must stay below messages.MaxBodyBytes
)

// Servers are the configured ones, in their order. Add and Describe must not run
// at once, nor twice.
type Servers struct {
	all []*server
	now func() time.Time
}

// New makes Servers. It checks the configuration and touches neither network nor
// disk. None at all is fine: their collections are not configured then.
func New(configs []Config) (*Servers, error) {
	s := &Servers{now: time.Now}
	for _, cfg := range configs {
		one, err := newServer(cfg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Name, err)
		}
		s.all = append(s.all, one)
	}
	return s, nil
}

// Add reads all servers, each at its own pace, into PBSSnapshots, PBSDatastores
// and their Sections. It blocks until they are read, for CollectTimeout, or until
// ctx ends. What one server does not tell spoils the sections, not what the
// others said: that is there all the same.
func (s *Servers) Add(ctx context.Context, r *messages.Report) {
	ctx, cancel := context.WithTimeout(ctx, CollectTimeout)
	defer cancel()
	r.PBSSnapshots, r.PBSDatastores = nil, nil
	views := s.views(ctx)
	for _, v := range views {
		r.PBSSnapshots = append(r.PBSSnapshots, v.groups...)
		for _, st := range v.stores {
			r.PBSDatastores = append(r.PBSDatastores, st.PBSDatastore)
		}
	}
	if r.Sections == nil {
		r.Sections = map[string]messages.Section{}
	}
	for _, name := range []string{messages.SectionPBSSnapshots, messages.SectionPBSDatastores} {
		r.Sections[name] = section(name, views)
	}
	if n := len(r.PBSSnapshots); n > maxGroups {
		r.PBSSnapshots = nil
		r.Sections[messages.SectionPBSSnapshots] = messages.Section{Status: messages.SectionFailed,
			Detail: fmt.Sprintf("%d groups, a report holds %d: name the datastores or namespaces to read", n, maxGroups)}
	}
}

func (s *Servers) views(ctx context.Context) []*view {
	views := make([]*view, len(s.all))
	var wg sync.WaitGroup
	for i, one := range s.all {
		wg.Go(func() { views[i] = one.look(ctx, s.now()) })
	}
	wg.Wait()
	return views
}
