package api2

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"felhom.eu/messages/mutation"
)

const (
	canary    = "5ec2e7c0-ffee-4ac1-9d1e-000000000000" // a token's secret
	bodyLimit = 4 << 10                                // bytes, of checkBody
)

// targets is the reader of an answer's envelope.
func targets(testing.TB) map[string]mutation.Target {
	return map[string]mutation.Target{"Body": {
		Seeds: [][]byte{[]byte(`{"data":{"a":1}}`), []byte(`{"data":null}`), []byte(`{"data":[{"vmid":100}],"message":"x"}`),
			[]byte(`{"message":"Permission check failed (/vms/100, VM.Audit)\n","errors":{"vmid":"invalid format"},"data":null}`),
			[]byte(`<html>` + canary), append([]byte(`{"data":"`), bytes.Repeat([]byte("x"), bodyLimit-11)...)},
		Words: []string{`"data":`, `"DATA":1,`, canary, "\r\n", "\u202e", `"}`},
		Cost:  2, Check: checkBody, Quick: bodyAlone,
	}}
}

func FuzzBody(f *testing.F)      { mutation.Fuzz(f, targets(f)["Body"]) }
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// bodyAlone: whatever the answer, it is data or an error, and no longer than may be.
func bodyAlone(t testing.TB, b []byte) (taken bool) {
	data, err := readData("GET /x", bytes.NewReader(b), bodyLimit)
	if err == nil && (len(data) == 0 || len(b) > bodyLimit) {
		t.Errorf("%q has the data %q", b, data)
	}
	return err == nil
}

// checkBody: the data of an answer is JSON, and what is said of another is one
// short line without the secret.
func checkBody(t testing.TB, b []byte) (taken bool) {
	data, err := readData("GET /x", bytes.NewReader(b), bodyLimit)
	if err == nil {
		if !json.Valid(data) || !json.Valid(b) || string(data) == "null" || len(b) > bodyLimit {
			t.Errorf("%q has the data %q", b, data)
		}
		return true
	}
	s := (&Client{Secret: canary}).Scrub(err.Detail)
	if strings.Contains(s, canary) || len(s) > 500 || strings.ContainsFunc(s, unicode.IsControl) {
		t.Errorf("%q is told as %q", b, s)
	}
	return false
}
