package config

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"felhom.eu/messages/mutation"
)

// targets is the reader of the configuration, from the file's bytes to the verdict.
func targets(t testing.TB) map[string]mutation.Target {
	example, err := os.ReadFile("../../configs/hub.example.json")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]mutation.Target{"Config": {
		Seeds: [][]byte{example, []byte(`{"global_key":"` + someKey + `","watchdog_url":"https://hc.example/` + someKey + `"}`), []byte(`{}`),
			[]byte(`{"listen":"0.0.0.0:8080","behind_proxy":true,"stale_seconds":3,"down_seconds":6,"log_level":"debug"}`)},
		Words: []string{`"` + someKey + `"`, `"GLOBAL_KEY":1,`, `"global_key":1,`, `"0.0.0.0:1"`, `"[::1]:0"`, `"localhost:0"`, `":"`, `"https://"`, `"ftp://x"`, `86400`, `-1`},
		Cost:  4,
		Check: check,
	}}
}

func FuzzConfig(f *testing.F)    { mutation.Fuzz(f, targets(f)["Config"]) }
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

var keyAsName = regexp.MustCompile(someKey[1:] + `[^"]*"\s*:`)

// check: a configuration that is taken is one JSON document, written again reads
// as the same, and shows no secret; nor does the error of one that is not.
func check(t testing.TB, text []byte) (taken bool) {
	c := Default()
	err := c.decode(text)
	if err == nil {
		err = c.Validate()
	}
	public := c // what may be shown: a key in the wrong field is no secret any more
	public.GlobalKey, public.WatchdogURL = "", ""
	tells := func(s string) bool {
		return strings.Contains(s, someKey) && !strings.Contains(fmt.Sprint(public), someKey)
	}
	if err != nil {
		if tells(err.Error()) && !keyAsName.Match(text) {
			t.Fatalf("%q: the error tells a key: %v", text, err)
		}
		return false
	}
	if len(text)%8 == 0 && tells(fmt.Sprintf("%v %+v %#v", c, c, c.Redacted())) { // slow
		t.Fatalf("%q is shown with its key", text)
	}
	shown := c.Redacted()
	b, err := json.Marshal(shown)
	again := Default()
	if err == nil {
		err = again.decode(b)
	}
	if err != nil || again != shown || !json.Valid(text) {
		t.Fatalf("%q: read as %+v, again as %+v, %v", text, shown, again, err)
	}
	return true
}
