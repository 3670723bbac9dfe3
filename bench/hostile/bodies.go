package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"felhom.eu/bench/load"
)

// documents sends reports that are not reports, with a valid key. A document
// that is wanted to be 400 must be refused, the others must not hurt.
func documents(ctx context.Context, s *scene) outcome {
	id := string(s.mule.ID)
	good := string(load.Ack{Host: s.mule, Sequence: 1 << 40, At: time.Now().Unix()}.Body())
	var ps []probe
	for name, body := range invalid(id, good) {
		ps = append(ps, probe{name: "document: " + name, request: post(s.mule.Key.Reveal(), []byte(body)), want: []int{400}})
	}
	ps = append(ps,
		probe{name: "document: as it should be", request: post(s.mule.Key.Reveal(), []byte(good)), want: []int{200}},
		probe{name: "document: another host's", request: post(s.mule.Key.Reveal(), witnessBody(s)), want: []int{403}})
	return probeAll(ctx, s.hub.Addr, ps, 4)
}

// invalid are bodies that the contract refuses, by what is wrong with them.
func invalid(id, good string) map[string]string {
	minimal := func(rest string) string { return fmt.Sprintf(`{"host_id":%q,%s}`, id, rest) }
	swap := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	return map[string]string{
		"empty": "", "white": "  \n", "null": "null", "array": "[]", "text": `"x"`, "number": "1", "binary": "\x00\x01\x02\xff",
		"byte order mark": "\xef\xbb\xbf" + good, "cut short": good[:len(good)/2], "cut by one": good[:len(good)-1],
		"trailing text": good + "x", "two documents": good + good, "trailing comma": good[:len(good)-1] + ",}",
		"single quotes": strings.ReplaceAll(good, `"`, `'`), "comment": "/* */" + good, "NaN": minimal(`"host":{"cpu_used_ratio":NaN}`),
		"Infinity": minimal(`"host":{"cpu_used_ratio":Infinity}`), "number too big": minimal(`"host":{"cpu_used_ratio":1e999}`),
		"integer too big": minimal(`"sequence":18446744073709551616`), "negative bytes": minimal(`"host":{"memory_total_bytes":-1}`),
		"text for a number": minimal(`"host":{"uptime_seconds":"1"}`), "number for a text": minimal(`"agent_version":1`),
		"leading zero": minimal(`"sequence":01`), "plus": minimal(`"sequence":+1`), "hex": minimal(`"sequence":0x1`),
		"no digits after the point": minimal(`"host":{"load_1m":1.}`), "object for a list": minimal(`"guests":{}`), "list for an object": minimal(`"host":[]`),
		"host id of another form": `{"host_id":"../etc"}`, "host id missing": `{"agent_version":"1"}`, "host id null": `{"host_id":null}`,
		"two host ids":         fmt.Sprintf(`{"host_id":%q,"host_id":"acme-00000000"}`, id),
		"bad UTF-8 in a value": swap(`"web"`, "\"w\xffb\""), "bad UTF-8 in a name": minimal("\"a\xc3\":1"), "cut UTF-8": minimal("\"a\":\"\xe2\x82\""), "UTF-8 surrogate": minimal("\"a\":\"\xed\xa0\x80\""),
		"raw control character": minimal("\"agent_version\":\"a\nb\""), "bad escape": minimal(`"agent_version":"\x41"`), "half an escape": minimal(`"agent_version":"\u12"`),
		"33 deep": minimal(`"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), "100,000 deep": strings.Repeat("[", 100_000),
		"a million deep": `{"x":` + strings.Repeat(`{"x":`, 1<<19), "vmid twice": swap(`"vmid":102`, `"vmid":101`), "vmid 99": swap(`"vmid":101`, `"vmid":99`),
		"vmid too big": swap(`"vmid":101`, `"vmid":1000000000`), "vmid 1.5": swap(`"vmid":101`, `"vmid":1.5`), "4,097 guests": manyGuests(id, 4097),
		"a date that is none": swap(`"reported_at":"20`, `"reported_at":"9x`), "a million empty objects for guests": minimal(`"guests":[` + strings.Repeat("{},", 1<<20) + "{}]"),
		"a number of a million digits": minimal(`"sequence":` + strings.Repeat("1", 1<<20)), "over 4 MiB": good + strings.Repeat(" ", 4<<20),
	}
}

func manyGuests(id string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"host_id":%q,"guests":[`, id)
	for i := range n {
		fmt.Fprintf(&b, `{"vmid":%d,"name":"","status":"running"},`, 100+i)
	}
	return strings.TrimSuffix(b.String(), ",") + "]}"
}

// bombs sends bodies that grow when they are unpacked.
func bombs(ctx context.Context, s *scene) outcome {
	key := s.mule.Key.Reveal()
	zeros := squeeze(strings.NewReader(""), 256<<20)
	valid := squeeze(strings.NewReader(fmt.Sprintf(`{"host_id":%q,"agent_version":"`, s.mule.ID)), 64<<20)
	gz := "Content-Encoding: gzip"
	var ps []probe
	for range 8 {
		ps = append(ps, probe{name: "256 MiB of spaces", request: post(key, zeros, gz), want: []int{400}},
			probe{name: "a text of 64 MiB", request: post(key, valid, gz), want: []int{400}})
	}
	small := squeeze(bytes.NewReader(load.Ack{Host: s.mule, Sequence: 1<<40 + 1, At: time.Now().Unix()}.Body()), 0)
	ps = append(ps,
		probe{name: "gzip as it should be", request: post(key, small, gz), want: []int{200}},
		probe{name: "gzip in gzip", request: post(key, squeeze(bytes.NewReader(zeros), 0), gz), want: []int{400}},
		probe{name: "gzip cut short", request: post(key, small[:len(small)/2], gz), want: []int{400}},
		probe{name: "gzip with a wrong sum", request: post(key, append(bytes.Clone(small[:len(small)-8]), make([]byte, 8)...), gz), want: []int{400}},
		probe{name: "gzip with a tail", request: post(key, append(bytes.Clone(small), "tail"...), gz), want: []int{400}},
		probe{name: "not gzip", request: post(key, []byte("{}"), gz), want: []int{400}},
		probe{name: "twice gzip", request: post(key, small, "Content-Encoding: gzip, gzip")},
		probe{name: "deflate", request: post(key, small, "Content-Encoding: deflate")},
		probe{name: "brotli", request: post(key, small, "Content-Encoding: br")})
	return probeAll(ctx, s.hub.Addr, ps, 8)
}

// squeeze compresses prefix and then so many spaces.
func squeeze(prefix io.Reader, spaces int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.Copy(z, prefix) // a buffer takes everything
	blank := bytes.Repeat([]byte(" "), 1<<20)
	for ; spaces > 0; spaces -= len(blank) {
		z.Write(blank)
	}
	z.Close()
	return b.Bytes()
}
