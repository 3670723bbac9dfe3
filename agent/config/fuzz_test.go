package config

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"felhom.eu/messages/mutation"
)

// targets is the reader of the configuration, from the file's bytes to the verdict.
func targets(t testing.TB) map[string]mutation.Target {
	example, err := os.ReadFile("../../configs/agent.example.json")
	if err != nil {
		t.Fatal(err)
	}
	full := `{"source":"local","hub":{"url":"https://hub.example.com","host_id":"acme-7f3a90c1","api_key":"` + canary + `","poll_seconds":60},` +
		`"proxmox":{"token_id":"felhom@pve!agent","token_secret":"` + canary + `"}}`
	return map[string]mutation.Target{"Config": {
		Seeds: [][]byte{example, []byte(full), []byte(`{}`), []byte(`{"hub":{"url":"http://127.0.0.1:8080/x"},"authz":{"operations":[]}}`)},
		Words: []string{`"` + canary + `"`, `"api_key":1,`, `"API_KEY":"x",`, `"http://127.0.0.1"`, `"https://[::1]:1/x?"`, `"acme-00000000"`, `"local"`, `61`, `3600`},
		Cost:  4,
		Check: check,
	}}
}

func FuzzConfig(f *testing.F)    { mutation.Fuzz(f, targets(f)["Config"]) }
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

var keyAsName = regexp.MustCompile(canary[1:] + `[^"]*"\s*:`)

// check: a configuration that is taken is one JSON document, written again reads
// as the same, and shows no secret; nor does the error of one that is not.
func check(t testing.TB, text []byte) (taken bool) {
	c := Default()
	if err := c.decode(text); err != nil {
		if strings.Contains(err.Error(), canary) && !keyAsName.Match(text) {
			t.Fatalf("%q: the error tells a key: %v", text, err)
		}
		return false
	}
	public := c // what may be shown: a key in the wrong field is no secret any more
	public.Hub.APIKey, public.Proxmox.TokenSecret = "", ""
	tells := func(s string) bool {
		return strings.Contains(s, canary) && !strings.Contains(fmt.Sprint(public), canary)
	}
	if err := c.Validate(Daemon); err != nil && tells(err.Error()) {
		t.Fatalf("%q: the error tells a key: %v", text, err)
	}
	if len(text)%8 != 0 { // the rest is slow
		return true
	}
	if tells(fmt.Sprintf("%v %+v %#v", c, c, c)) {
		t.Fatalf("%q is shown with its key", text)
	}
	shown := c.Redacted()
	b, err := json.Marshal(shown)
	again := Default()
	if err == nil {
		err = again.decode(b)
	}
	if len(again.Authz.Operations) == 0 {
		again.Authz.Operations = shown.Authz.Operations // [] or null
	}
	if err != nil || !reflect.DeepEqual(again, shown) || !json.Valid(text) {
		t.Fatalf("%q: read as %+v, again as %+v, %v", text, shown, again, err)
	}
	return true
}
