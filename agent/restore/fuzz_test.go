package restore

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

// targets is the reader of a result's file.
func targets(testing.TB) map[string]mutation.Target {
	return map[string]mutation.Target{"Parse": {
		Seeds: [][]byte{
			[]byte(`{"vmid":110,"level":"checked","ok":true,"started_at":"2026-03-14T05:00:00Z","duration_seconds":1e300}`),
			[]byte(`{"vmid":"110","level":"booted","ok":"t","started_at":"99999999999"}`),
			[]byte("\ufeff" + `{"VMID":" 999999999 ","scratch_vmid":9000,"source":"ct/110/x","level":"restored","ok":0,"started_at":1773400000,"detail":"a\nb","checked_by":null}`),
		},
		Words: []string{`"level":"checked"`, `"ok":true`, `"vmid":110`, `"started_at":1773400000`, `"detail":"\u202e\u0000"`, "1e9", "NaN", "9999-12-31T23:59:60+23:59"},
		Check: checkParse,
	}}
}

func FuzzParse(f *testing.F) { mutation.Fuzz(f, targets(f)["Parse"]) }

// Protects a report from whatever a script left in the directory of results.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// checkParse: what is taken has a guest, a level, a time that has come and texts of
// one line, and the wire carries it; what is not is told in one short sentence.
func checkParse(t testing.TB, b []byte) (taken bool) {
	r, err := parse(b, now)
	if err != nil {
		if len(err.Error()) > 500 {
			t.Errorf("%q: got an error of %d bytes", b, len(err.Error()))
		}
		return false
	}
	if _, err := json.Marshal(r); err != nil || r.VMID < messages.MinVMID || r.VMID > messages.MaxVMID || r.Level == "" || r.StartedAt.After(now.Add(maxAhead)) {
		t.Errorf("%q: got %+v, %v", b, r, err)
	}
	for _, text := range []string{r.Source, r.Detail, r.CheckedBy} {
		if strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%q: got %q", b, text)
		}
	}
	return true
}
