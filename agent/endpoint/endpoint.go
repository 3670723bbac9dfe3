// Package endpoint reads the address of a service that a secret may be sent to.
// It refuses what would show the secret to the network, and its errors never
// repeat an address, which may hold a password.
package endpoint

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// Parse reads s: https://<host>[:port][/path], or http to a loopback address,
// without user, query or fragment. A slash at the end is taken off.
func Parse(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("not a URL") // the parser's error repeats s
	case u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("want https://<host>")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("want no user, query or fragment in the URL")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("http would show the key to the network; want https, or a loopback address")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
