package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// smuggling sends requests whose end two readers could see in two places, with
// a report of the witness behind them. Whoever serves that report has been fooled.
func smuggling(ctx context.Context, s *scene) outcome {
	smuggled := post(s.witness.Key.Reveal(), witnessBody(s))
	o := probeAll(ctx, s.hub.Addr, framings(s.mule.Key.Reveal(), string(smuggled)), 16)
	return o
}

// witnessBody is a valid report of the witness.
func witnessBody(s *scene) []byte {
	return []byte(fmt.Sprintf(`{"host_id":%q,"reported_at":%q,"agent_version":"smuggled","host":{"node":"x"},"guests":[],"cloudflared":{"status":"active"}}`,
		s.witness.ID, time.Now().UTC().Format(time.RFC3339)))
}

// framings are the known ways, and Transfer-Encoding with Content-Length in
// all their spellings: none of them may be answered 200, and none twice.
func framings(key, smuggled string) (ps []probe) {
	head := "POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\nAuthorization: Bearer " + key + "\r\n"
	add := func(name, request string) { ps = append(ps, probe{name: name, request: []byte(request)}) }
	for name, lines := range map[string]string{
		"two lengths":        "Content-Length: 0\r\nContent-Length: 5\r\n",
		"space before colon": "Content-Length : 0\r\n",
		"length +0":          "Content-Length: +0\r\n",
		"length -1":          "Content-Length: -1\r\n",
		"length too big":     "Content-Length: 99999999999999999999\r\n",
		"length wraps":       "Content-Length: 18446744073709551616\r\n",
		"length in a list":   "Content-Length: 0, 5\r\n",
		"length in hex":      "Content-Length: 0x0\r\n",
		"two hosts":          "Host: evil\r\nContent-Length: 0\r\n",
		"NUL in a header":    "X: a\x00b\r\nContent-Length: 0\r\n",
		"bare CR":            "X: a\rContent-Length: 0\r\n",
		"no colon":           "Content-Length 0\r\n",
		"folded length":      "Content-Length:\r\n 0\r\n",
	} {
		add(name, head+lines+"\r\n"+smuggled)
	}
	add("bare LF", strings.ReplaceAll(head, "\r\n", "\n")+"Content-Length: 0\n\n"+smuggled)
	add("HTTP/1.0 chunked", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1)+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled)
	add("HTTP/0.9", "GET /api/v1/host-report\r\n"+smuggled)
	add("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+smuggled)
	add("no host", "POST /api/v1/host-report HTTP/1.1\r\nContent-Length: 0\r\nAuthorization: Bearer "+key+"\r\n\r\n"+smuggled)
	for name, chunk := range map[string]string{
		"extension with LF": "2;\nxx\r\nhi\r\n0\r\n\r\n", "0x prefix": "0x2\r\nhi\r\n0\r\n\r\n", "size overflow": "ffffffffffffffff1\r\nhi\r\n0\r\n\r\n",
		"negative": "-1\r\nhi\r\n0\r\n\r\n", "no CRLF after data": "2\r\nhi0\r\n\r\n", "LF only": "2\nhi\n0\n\n",
	} {
		add("chunk: "+name, head+"Transfer-Encoding: chunked\r\n\r\n"+chunk+smuggled)
	}
	return append(ps, bothLengths(head, smuggled)...)
}

// bothLengths is every pair of a Transfer-Encoding and a Content-Length, in
// both orders.
func bothLengths(head, smuggled string) (ps []probe) {
	encodings := []string{"chunked", "Chunked", " chunked", "\tchunked", "chunked ", "chunked, identity", "identity, chunked",
		"identity", "xchunked", "chunked;q=1", "chunked\r\nTransfer-Encoding: identity", "chunked\r\nTransfer-Encoding: chunked"}
	lengths := []string{"0", "5", "05", "+5", "5 ", "5, 5", "5;", "0x5", "5\r\nContent-Length: 0"}
	for _, e := range encodings {
		for _, l := range lengths {
			te, cl := "Transfer-Encoding:"+" "+e+"\r\n", "Content-Length: "+l+"\r\n"
			for i, lines := range []string{te + cl, cl + te} {
				ps = append(ps, probe{name: fmt.Sprintf("both lengths %d: %q %q", i, e, l), request: []byte(head + lines + "\r\n0\r\n\r\n" + smuggled)})
			}
		}
	}
	return ps
}

// headers sends heads that are too big.
func headers(ctx context.Context, s *scene) outcome {
	head := "POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\nAuthorization: Bearer " + s.mule.Key.Reveal() + "\r\n"
	var ps []probe
	for _, size := range []int{16 << 10, 64 << 10, 1 << 20, 8 << 20} {
		ps = append(ps,
			probe{name: fmt.Sprintf("one line of %d bytes", size), request: []byte(head + "X: " + strings.Repeat("a", size) + "\r\n\r\n")},
			probe{name: fmt.Sprintf("%d bytes of short lines", size), request: []byte(head + strings.Repeat("X: y\r\n", size/6) + "\r\n")},
			probe{name: fmt.Sprintf("a path of %d bytes", size), request: []byte("GET /" + strings.Repeat("a", size) + " HTTP/1.1\r\nHost: x\r\n\r\n")},
			probe{name: fmt.Sprintf("a key of %d bytes", size), request: []byte("POST /api/v1/host-report HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + strings.Repeat("a", size) + "\r\nContent-Length: 2\r\n\r\n{}")})
	}
	ps = append(ps, probe{name: "a head without an end", request: []byte(head + "X: y\r\n")},
		probe{name: "nothing but a TLS hello", request: []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + s.mule.Key.Reveal())},
		probe{name: "a line without a colon after the key", request: []byte(head + "Bad Header\r\n\r\n")},
		probe{name: "a space before the colon after the key", request: []byte(head + "X : y\r\n\r\n")},
		probe{name: "a key in the query, unknown version", request: []byte("GET /healthz?key=" + s.mule.Key.Reveal() + " HTTP/9.9\r\nHost: x\r\n\r\n"), want: []int{200, 400, 505}})
	return probeAll(ctx, s.hub.Addr, ps, 4)
}

// paths asks for the admin API by names that are not its own, with the global
// key, so that only the path can be what refuses them.
func paths(ctx context.Context, s *scene) outcome {
	auth := " HTTP/1.1\r\nHost: felhom\r\nConnection: close\r\nAuthorization: Bearer " + s.hub.Key + "\r\n\r\n"
	ps := []probe{{name: "the path itself", request: []byte("GET /api/v1/admin/hosts" + auth), want: []int{200}}}
	for _, path := range []string{
		"//api/v1/admin/hosts", "/api//v1/admin/hosts", "/api/v1/admin/hosts/", "/api/v1/admin//hosts",
		"/api/v1/./admin/hosts", "/api/v1/x/../admin/hosts", "/api/v1/x/%2e%2e/admin/hosts", "/api/v1/x/..%2fadmin/hosts",
		"/api/v1/admin/hosts%00", "/api/v1/admin/host%73", "/API/v1/admin/hosts", "/api/v1/admin/hosts%2f", "/api/v1/admin/hosts;x=y",
		"/api/v1/admin/hosts%20", "/api\\v1\\admin\\hosts", "/%2fapi/v1/admin/hosts", "/../api/v1/admin/hosts", "/..", "*", "",
		"http://evil/../api/v1/admin/hosts", "/api/v1/admin/hosts/../../../../../etc/passwd", "/api/v1/admin/hosts/" + strings.Repeat("../", 100) + "etc/passwd",
		"/api/v1/admin/hosts/acme-00000000%00/reports", "/api/v1/admin/hosts/acme-zzzzzzzz", "/api/v1/admin/hosts/" + string(s.mule.ID) + "/reports/..%2f..",
	} {
		ps = append(ps, probe{name: fmt.Sprintf("path %.60q", path), request: []byte("GET " + path + auth)})
	}
	for _, path := range []string{"/api/v1/admin/hosts", "/api/v1/admin/events", "/api/v1/admin/backup", "/api/v1/admin/routes", "/api/v1/admin/customers"} {
		ps = append(ps, probe{name: "a host's key for " + path, request: []byte(strings.ReplaceAll("GET "+path+auth, s.hub.Key, s.mule.Key.Reveal())), want: []int{403}},
			probe{name: "no key for " + path, request: []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), want: []int{401}})
	}
	return probeAll(ctx, s.hub.Addr, ps, 8)
}
