package load

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Reports over TLS must arrive like others, and a certificate that the client
// does not trust must stop them.
func TestReportsOverTLS(t *testing.T) {
	r := &receiver{bodies: map[string][]string{}}
	s := httptest.NewTLSServer(r)
	defer s.Close()
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.ServerName = "127.0.0.1"
	hosts := fleet(3)
	p := Plan{Addr: s.Listener.Addr().String(), TLS: trust, Hosts: hosts, Connections: 2, Rounds: 2, For: time.Minute}
	res, err := Run(t.Context(), p)
	if err != nil || res.Count != 6 || res.Errors != 0 || len(r.bodies) != 3 {
		t.Fatalf("got %+v, %v and reports of %d hosts", res, err, len(r.bodies))
	}
	p.TLS = trust.Clone()
	p.TLS.RootCAs, p.TLS.MaxVersion, p.For = nil, 0, 50*time.Millisecond
	if res, err = Run(t.Context(), p); err != nil || res.Count != 0 || res.LastErr == nil {
		t.Errorf("untrusted: got %+v, %v", res, err)
	}
}

// Held connections must all be open at once, or their cost is that of fewer.
func TestHeldConnectionsStayOpen(t *testing.T) {
	states := make(chan http.ConnState, 100)
	r := &receiver{bodies: map[string][]string{}}
	s := httptest.NewUnstartedServer(r)
	s.Config.ConnState = func(_ net.Conn, to http.ConnState) { states <- to }
	s.Start()
	defer s.Close()
	release, err := Hold(t.Context(), s.Listener.Addr().String(), nil, fleet(3), 8)
	if err != nil {
		t.Fatal(err)
	}
	count := map[http.ConnState]int{}
	for count[http.StateIdle] < 8 {
		count[<-states]++
	}
	if count[http.StateNew] != 8 || count[http.StateClosed] != 0 || len(r.bodies) != 3 {
		t.Errorf("got %v and reports of %d hosts", count, len(r.bodies))
	}
	release()
	for count[http.StateClosed] < 8 {
		count[<-states]++
	}
}

// A connection that was refused is no idle one.
func TestHoldNeedsEveryAnswer(t *testing.T) {
	_, addr := startReceiver(t, func(n int) int { return []int{200, 503}[n%2] })
	if release, err := Hold(t.Context(), addr, nil, fleet(2), 2); err == nil {
		release()
		t.Error("accepted")
	}
	if release, err := Hold(t.Context(), "192.0.2.1:80", nil, fleet(2), 2); err == nil {
		release()
		t.Error("far away: accepted")
	}
}
