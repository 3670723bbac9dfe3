package messages

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"felhom.eu/messages/mutation"
)

// reportWords are what means something in a report.
var reportWords = []string{`"vmid":101,`, `"host_id":"a-00000000",`, `"status":"running",`, `"spec":null,`, `"guests":[],`, `"guests":null,`,
	`"sections":{"guests":{"status":"denied"}},`, `"reported_at":"2026-06-08T14:20:09Z",`, `"memory_total_bytes":0,`, `"sequence":18446744073709551615,`,
	`999999999`, `1000000000`, `99`, `"HOST_ID":1,`, `"hoſt_id":1,`}

// targets are the readers of this package, by the names of their fuzz functions.
func targets(t testing.TB) map[string]mutation.Target {
	var reports, farewells, texts [][]byte
	docs := goldens(t)
	for _, file := range slices.Sorted(maps.Keys(docs)) {
		reports = append(reports, docs[file])
	}
	for _, c := range invalidReports {
		if len(c.body) < 4096 {
			reports = append(reports, []byte(c.body))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(goodbyes)) {
		farewells = append(farewells, []byte(goodbyes[name]))
	}
	for _, v := range jsonVerdicts(t) {
		if len(v.doc) < 1024 {
			texts = append(texts, []byte(v.doc))
		}
	}
	lists := [][]byte{
		[]byte(`[{"vmid":101,"kind":"lxc","name":"web","status":"running","controller_version":"1.2","spec":{"cores":2,"memory_bytes":2147483648,"disk_bytes":1},"uptime_seconds":1,"cpu_used_ratio":0.5},{"vmid":102}]`),
		[]byte(`[{"vmid":999999999,"name":"\u00e9\ud83d\ude00","status":"","spec":{}}]`), []byte(`[]`), []byte(`null`),
	}
	return map[string]mutation.Target{
		"Scan":    {Seeds: reports, Words: reportWords, Cost: 4, Check: agree, Quick: readAlone},
		"Goodbye": {Seeds: farewells, Words: []string{`"back_by":"2026-06-08T14:30:09+02:00",`, `"reason":"x",`}, Cost: 4, Check: agreeOnGoodbye, Quick: goodbyeAlone},
		"Guests": {Seeds: lists, Words: reportWords, Cost: 4, Check: func(t testing.TB, list []byte) bool {
			return agree(t, []byte(report(`"guests":`+string(list))))
		}, Quick: func(t testing.TB, list []byte) bool {
			return readAlone(t, []byte(report(`"guests":`+string(list))))
		}},
		"JSON": {Seeds: texts, Check: agreeOnJSON},
		"ID": {Seeds: [][]byte{[]byte("acme-7f3a90c1"), []byte("a"), []byte("a-b-00000000"), []byte(rep("a", 32) + "-00000000"),
			[]byte("01JX7Q2M5T9V0W3Y6Z8ABCDEFG"), []byte("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), []byte(rep("0123456789abcdef", 4))},
			Words: []string{"-", "--", "a", "f", "g", "Z", "I", "/", "..", "\n", "é", "ſ"}, Check: checkIDs},
		"Cron": {Seeds: [][]byte{[]byte("0 3 * * 0"), []byte("*/15 22-23,0-5 1,15 jan mon"), []byte("5/10 * 29 2 *"), []byte("0 0 30 2 *")},
			Words: []string{"*", " ", ",", "-", "/", "0", "59", "255", "sun", "DEC", "\n"}, Cost: 4, Check: checkCron, Quick: cronAlone},
	}
}

func FuzzScan(f *testing.F)    { mutation.Fuzz(f, targets(f)["Scan"]) }
func FuzzGoodbye(f *testing.F) { mutation.Fuzz(f, targets(f)["Goodbye"]) }
func FuzzGuests(f *testing.F)  { mutation.Fuzz(f, targets(f)["Guests"]) }
func FuzzJSON(f *testing.F)    { mutation.Fuzz(f, targets(f)["JSON"]) }
func FuzzCron(f *testing.F)    { mutation.Fuzz(f, targets(f)["Cron"]) }
func FuzzID(f *testing.F)      { mutation.Fuzz(f, targets(f)["ID"]) }

// Two readers of one contract, written apart, never differ.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// readAlone reads a report with the hub's own readers; see agree.
func readAlone(t testing.TB, body []byte) (taken bool) {
	var s Summary
	if err := Scan(body, &s); err != nil {
		checkError(t, err)
		return false
	}
	guests, err := DecodeGuests(body)
	if err != nil || len(guests) != int(s.Figures.GuestTotal) {
		t.Fatalf("%d guests, %v; Scan counted %d\n%.300q", len(guests), err, s.Figures.GuestTotal, body)
	}
	if facts, err := DecodeFacts(body); err != nil || facts.HostID != s.HostID {
		t.Fatalf("DecodeFacts: %v, of %q\n%.300q", err, facts.HostID, body)
	}
	return true
}

func cronAlone(t testing.TB, text []byte) (taken bool) {
	_, err := ParseCron(string(text))
	if err != nil && len(err.Error()) > 300 {
		t.Fatalf("%.80q: an error of %d bytes", text, len(err.Error()))
	}
	return err == nil
}

func goodbyeAlone(t testing.TB, body []byte) (taken bool) {
	_, err := DecodeGoodbye(body)
	if err != nil {
		checkError(t, err)
	}
	return err == nil
}

// agreeOnJSON: the scanner and encoding/json differ on no text, but for what
// checkJSON refuses beyond it.
func agreeOnJSON(t testing.TB, text []byte) (taken bool) {
	got, want := scanJSON(string(text)), checkJSON(text)
	if (got == nil) != (want == nil) {
		t.Fatalf("scanner: %v\nencoding/json: %v\n%.300q", got, want, text)
	}
	if got != nil {
		checkError(t, got)
	}
	return got == nil
}

var (
	customerGrammar = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\z`)
	hostGrammar     = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?-[0-9a-f]{8}\z`)
	ulidGrammar     = regexp.MustCompile(`\A[0-7][0-9A-HJKMNP-TV-Z]{25}\z`)
	keyGrammar      = regexp.MustCompile(`\A[0-9a-f]{64}\z`)
)

// checkIDs holds the grammars of ids to their words in the documentation, and
// their errors to one short printable line.
func checkIDs(t testing.TB, text []byte) (taken bool) {
	customer, err1 := ParseCustomerID(string(text))
	host, err2 := ParseHostID(string(text))
	event, err3 := ParseULID[EventID]("event_id", string(text))
	for _, c := range []struct {
		grammar *regexp.Regexp
		id      string
		err     error
	}{{customerGrammar, string(customer), err1}, {hostGrammar, string(host), err2}, {ulidGrammar, string(event), err3}} {
		valid := c.grammar.Match(text)
		if valid != (c.err == nil) || valid && c.id != string(text) || !valid && c.id != "" {
			t.Fatalf("%q: got %q, %v, want by grammar %t", text, c.id, c.err, valid)
		}
		if c.err != nil && (len(c.err.Error()) > 400 || strings.ContainsAny(c.err.Error(), "\r\n\x00\x1b")) {
			t.Fatalf("unfit to log: %q", c.err)
		}
		taken = taken || valid
	}
	if err2 == nil && !customerGrammar.MatchString(string(host.Customer())) {
		t.Fatalf("%q has the customer %q", host, host.Customer())
	}
	if got, want := ValidKey(text), keyGrammar.Match(text); got != want {
		t.Fatalf("%q is a key: %t, want %t", text, got, want)
	}
	if s := Secret(text); len(text) > 10 && text[0]%32 == 0 && strings.Contains(fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), string(text)) && !strings.Contains(redacted, string(text)) {
		t.Fatalf("a secret tells itself: %q", text)
	}
	return taken || keyGrammar.Match(text)
}
