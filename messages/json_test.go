package messages

import (
	_ "embed"
	"strconv"
	"strings"
	"testing"
)

//go:embed testdata/json.txt
var jsonTable string

type jsonVerdict struct {
	verdict, doc string
}

// jsonVerdicts reads the table.
func jsonVerdicts(t testing.TB) (all []jsonVerdict) {
	t.Helper()
	seen := map[jsonVerdict]bool{}
	for line := range strings.Lines(jsonTable) {
		verdict, quoted, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || verdict == "#" {
			continue
		}
		doc, err := strconv.Unquote(quoted)
		v := jsonVerdict{verdict, doc}
		if err != nil || !strings.Contains("ynwi", verdict) || seen[v] {
			t.Fatalf("malformed or repeated line %s: %v", line, err)
		}
		seen[v] = true
		all = append(all, v)
	}
	return all
}

// What counts as JSON is settled, case by case: as a document of its own, and as
// the value of an unknown field deep inside a report that is else good.
func TestJSONVerdicts(t *testing.T) {
	all := jsonVerdicts(t)
	for _, v := range all {
		accept := v.verdict == "y" || v.verdict == "i"
		if err := scanJSON(v.doc); (err == nil) != accept {
			t.Errorf("%s %q alone: %v", v.verdict, v.doc, err)
		}
		if err := checkJSON([]byte(v.doc)); (err == nil) != accept {
			t.Errorf("%s %q alone, obvious: %v", v.verdict, v.doc, err)
		}
		for _, around := range []string{`"x":?`, `"x":[0,? ]`, `"backups":[{"x":?}]`, `"host":{"node":"a","x":?,"kernel":"b"}`} {
			body := []byte(report(strings.Replace(around, "?", v.doc, 1)))
			if err := Scan(body, new(Summary)); (err == nil) != accept && v.verdict != "w" {
				t.Errorf("%s %q in %s: %v", v.verdict, v.doc, around, err)
			}
			agree(t, body)
		}
		agree(t, []byte(v.doc))
	}
	if len(all) < 300 {
		t.Errorf("%d verdicts, want all", len(all))
	}
}

// scanJSON reads one document of any type.
func scanJSON(doc string) error {
	var p scanner
	p.start([]byte(doc))
	p.space()
	p.skip()
	return p.finish()
}
