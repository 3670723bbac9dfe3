package rig

import (
	"context"
	"fmt"

	"felhom.eu/bench/load"
	"felhom.eu/messages"
)

// Fleet mints n hosts of a customer, which it makes when it is not there, and
// returns them ready to report.
func Fleet(ctx context.Context, a *Admin, customer string, n int) ([]*load.Host, error) {
	known, err := a.Customers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list customers: %w", err)
	}
	if !hasCustomer(known, customer) {
		if err := a.AddCustomer(ctx, customer); err != nil {
			return nil, fmt.Errorf("add customer %s: %w", customer, err)
		}
	}
	minted, err := a.MintMany(ctx, customer, n, nil)
	if err != nil {
		return nil, fmt.Errorf("mint hosts: %w", err)
	}
	hosts := make([]*load.Host, n)
	for i, m := range minted {
		hosts[i] = load.NewHost(i, m.HostID, messages.Secret(m.APIKey))
	}
	return hosts, nil
}

func hasCustomer(known []messages.Customer, id string) bool {
	for _, c := range known {
		if string(c.ID) == id {
			return true
		}
	}
	return false
}
