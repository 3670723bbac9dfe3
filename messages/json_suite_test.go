package messages

import (
	_ "embed"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

//go:embed testdata/json_suite.txt
var jsonSuite string

// suiteCase is a line of the table: name, the hub's verdict, encoding/json's,
// and the document.
type suiteCase struct {
	name, hub, std, doc string
}

func suiteCases(t testing.TB) (all []suiteCase) {
	t.Helper()
	for line := range strings.Lines(jsonSuite) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, " ", 4)
		if len(f) < 4 {
			t.Fatalf("malformed line %q", line)
		}
		all = append(all, suiteCase{f[0], f[1], f[2], expand(t, f[3])})
	}
	return all
}

// expand reads quoted texts one behind the other, each repeated as often as the
// number after its star says.
func expand(t testing.TB, s string) (doc string) {
	t.Helper()
	for s != "" {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			t.Fatalf("malformed document %s: %v", s, err)
		}
		part, _ := strconv.Unquote(quoted)
		s = strings.TrimPrefix(s[len(quoted):], " ")
		if rest, ok := strings.CutPrefix(s, "* "); ok {
			digits, tail, _ := strings.Cut(rest, " ")
			n, err := strconv.Atoi(digits)
			if err != nil {
				t.Fatalf("malformed repetition %s: %v", s, err)
			}
			part, s = strings.Repeat(part, n), tail
		}
		doc += part
	}
	return doc
}

// The public suite of 318 cases, whose verdicts are settled for the scanner, for
// the decoder, and for encoding/json as the control: a change of any of them,
// also by a new release of Go, is seen.
func TestJSONSuite(t *testing.T) {
	all := suiteCases(t)
	accepted := func(err error) bool { return err == nil }
	for _, c := range all {
		if got, want := accepted(scanJSON(c.doc)), c.hub == "y"; got != want {
			t.Errorf("%s: scanner accepts it: %t", c.name, got)
		}
		if got, want := accepted(checkJSON([]byte(c.doc))), c.hub == "y"; got != want {
			t.Errorf("%s: decoder accepts it: %t", c.name, got)
		}
		var v any
		if got, want := accepted(json.Unmarshal([]byte(c.doc), &v)), c.std == "y"; got != want {
			t.Errorf("%s: encoding/json accepts it: %t", c.name, got)
		}
		body := []byte(report(`"x":` + c.doc))
		if got, want := agree(t, body), c.hub != "n"; got != want {
			t.Errorf("%s in a report: accepted %t", c.name, got)
		}
		agree(t, []byte(c.doc))
		switch {
		case c.name[0] == 'n' && (c.hub == "y" || c.std == "y"):
			t.Errorf("%s is no JSON, and accepted", c.name)
		case c.name[0] == 'y' && (c.hub != "y" && !stricter[c.name] || c.std != "y"):
			t.Errorf("%s is JSON, and refused", c.name)
		}
	}
	if len(all) != 318 {
		t.Errorf("%d cases, want 318", len(all))
	}
}

// stricter are the cases of JSON that are no I-JSON (RFC 7493).
var stricter = map[string]bool{"y_object_duplicated_key": true, "y_object_duplicated_key_and_value": true}
