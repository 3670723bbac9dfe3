package load

import (
	"context"
	"crypto/tls"
	"fmt"
)

// Hold opens so many connections to addr, with TLS when trust is not nil, sends
// one report over each, in turn of every host, and leaves them open. Release
// closes them. An answer that is not 200 is an error.
func Hold(ctx context.Context, addr string, trust *tls.Config, hosts []*Host, connections int) (release func(), err error) {
	p := Plan{Addr: addr, TLS: trust}
	if err := p.checkAddr(); err != nil {
		return nil, err
	}
	held := make([]worker, connections)
	release = func() {
		for i := range held {
			held[i].hangUp()
		}
	}
	for i := range held {
		held[i].plan = &p
		h := hosts[i%len(hosts)]
		status, err := held[i].try(ctx, h)
		if err == nil && status != 200 {
			err = fmt.Errorf("answered %d", status)
		}
		if err != nil {
			release()
			return nil, fmt.Errorf("hold connection %d: %w", i+1, err)
		}
		h.openAt = 0
	}
	return release, nil
}
