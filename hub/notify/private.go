package notify

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// ErrPrivate is returned when a route leads to an address that only the hub's
// own machine or network can mean.
var ErrPrivate = errors.New("private address; set allow_private_routes to permit it")

// Beside what net/netip calls loopback, link-local, multicast and private:
// shared address space (RFC 6598), "this network", the protocols', benchmarks'
// and reserved ranges, and NAT64 and 6to4, which are IPv4 in disguise.
var otherPrivate = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"),
}

// Private reports whether a is an address that a route may not lead to.
func Private(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return true
	}
	return slices.ContainsFunc(otherPrivate, func(p netip.Prefix) bool { return p.Contains(a) })
}

// refusePrivate looks at the address that is really being connected to, after
// every name was resolved.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	if Private(at.Addr()) {
		return ErrPrivate
	}
	return nil
}
