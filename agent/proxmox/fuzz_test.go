package proxmox

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

const canary = "5ec2e7c0-ffee-4ac1-9d1e-000000000000" // a token's secret

// targets are the readers of what a Proxmox answers, by the names of their fuzz
// functions.
func targets(t testing.TB) map[string]mutation.Target {
	var answers [][]byte
	for _, c := range pvetest.Cases() {
		if data := c.Data(); len(data) > 0 && len(data) < 2<<10 {
			answers = append(answers, data)
		}
	}
	answers = append(answers, []byte(`{"memory":"current=1e400","rootfs":",,=,size=1.7e308T","cpulimit":"1e308"}`))
	words := []string{`"size=1T"`, `,size=1.5G`, `"1e15"`, `"N/A"`, `""`, `"NaN"`, `"vmid":100,`, `"cpu":null,`, `"mem":"1",`, `volume=`, `media=cdrom`, canary}
	bodies := [][]byte{[]byte(`{"data":{"a":1}}`), []byte(`{"data":null}`), []byte(`{"data":[{"vmid":100}],"message":"x"}`),
		[]byte(`{"message":"Permission check failed (/vms/100, VM.Audit)\n","errors":{"vmid":"invalid format"},"data":null}`), []byte(`<html>` + canary)}
	return map[string]mutation.Target{
		"Collection": collection(t),
		"Log":        {Seeds: logs(), Words: logWords, Cost: 4, Check: checkLog},
		"Answer":     {Seeds: answers, Words: words, Cost: 8, Check: checkAnswer, Quick: answerAlone},
		"Refusal":    {Seeds: bodies, Words: words, Check: checkRefusal},
		"Number": {Seeds: [][]byte{[]byte(`7`), []byte(`"7"`), []byte(`1.125e+15`), []byte(`18446744073709551615`), []byte(`"0.5"`), []byte(`null`)},
			Words: []string{`"N/A"`, `" 7"`, `1e400`, `e-3`}, Check: checkNumber},
	}
}

func FuzzAnswer(f *testing.F)  { mutation.Fuzz(f, targets(f)["Answer"]) }
func FuzzRefusal(f *testing.F) { mutation.Fuzz(f, targets(f)["Refusal"]) }
func FuzzNumber(f *testing.F)  { mutation.Fuzz(f, targets(f)["Number"]) }

// Nothing that can be in an answer panics, or makes a figure that JSON cannot
// carry, or tells the token's secret.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// checkAnswer reads an answer's data as each of the things it can be.
func checkAnswer(t testing.TB, b []byte) (taken bool) {
	var rows []resource
	var status nodeStatus
	var conf guestConfig
	var rights permissions
	if json.Unmarshal(b, &rows) == nil {
		taken = true
		v := &survey{guests: map[messages.VMID]*sighting{}}
		for _, r := range rows {
			if g := v.add(kindQEMU, r.guestRow); g != nil {
				carried(t, g.report(messages.VMID(r.VMID)))
			}
		}
	}
	if json.Unmarshal(b, &status) == nil {
		taken = true
		carried(t, status.node("n", nil))
	}
	if json.Unmarshal(b, &conf) == nil {
		taken = true
		for _, kind := range []string{kindLXC, kindQEMU} {
			if spec, err := conf.spec(kind, 1); err == nil {
				carried(t, spec)
			}
		}
	}
	if json.Unmarshal(b, &rights) == nil {
		rights.below("/vms", "VM.Audit")
	}
	return taken
}

// answerAlone reads an answer's data as one of the things it can be; checkAnswer
// as all of them.
func answerAlone(_ testing.TB, b []byte) (taken bool) {
	switch len(b) % 4 {
	case 0:
		return json.Unmarshal(b, new([]resource)) == nil
	case 1:
		return json.Unmarshal(b, new(nodeStatus)) == nil
	case 2:
		return json.Unmarshal(b, new(guestConfig)) == nil
	default:
		return json.Unmarshal(b, new(permissions)) == nil
	}
}

func carried(t testing.TB, v any) {
	t.Helper()
	if _, err := json.Marshal(v); err != nil {
		t.Errorf("%+v: %v", v, err)
	}
}

// checkRefusal: what is said of a bad answer is one short line without the secret.
func checkRefusal(t testing.TB, b []byte) (taken bool) {
	c := &api2.Client{Secret: canary}
	said := refusal(&http.Response{Status: "403 Permission check failed", Body: io.NopCloser(bytes.NewReader(b))})
	if s := c.Scrub(said); strings.Contains(s, canary) || len(s) > 500 || strings.ContainsFunc(s, unicode.IsControl) {
		t.Errorf("%q is told as %q", b, s)
	}
	return said != "Permission check failed"
}

// checkNumber: a number is read as math/big reads it, cut to a whole one, or
// refused.
func checkNumber(t testing.TB, b []byte) (taken bool) {
	var u U64
	var f F64
	var truth Bool
	_ = json.Unmarshal(b, &truth)
	if json.Unmarshal(b, &f) == nil && (math.IsNaN(float64(f)) || math.IsInf(float64(f), 0)) {
		t.Errorf("%q is read as %v", b, f)
	}
	if json.Unmarshal(b, &u) != nil {
		return false
	}
	digits := strings.TrimSpace(strings.Trim(strings.TrimSpace(string(b)), `"`))
	if len(digits) > 300 || strings.ContainsAny(digits, `\_xXpPbBoO`) {
		return true
	}
	want, _, err := big.ParseFloat(digits, 10, 2000, big.ToZero)
	if err != nil {
		if u != 0 {
			t.Errorf("%q is read as %d", b, u)
		}
		return true
	}
	if whole, _ := want.Int(nil); !whole.IsUint64() || whole.Uint64() != uint64(u) {
		t.Errorf("%q is read as %d, want %v", b, u, whole)
	}
	return true
}
