package messages

import (
	_ "embed"
	"strconv"
	"strings"
	"testing"
)

//go:embed testdata/json.txt
var jsonVerdicts string

// What counts as JSON is settled, case by case: as a document of its own, and as
// the value of an unknown field deep inside a report that is else good.
func TestJSONVerdicts(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(jsonVerdicts) {
		verdict, quoted, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || verdict == "#" {
			continue
		}
		doc, err := strconv.Unquote(quoted)
		if err != nil || !strings.Contains("ynwi", verdict) || seen[doc+verdict] {
			t.Fatalf("malformed or repeated line %s: %v", line, err)
		}
		seen[doc+verdict] = true
		accept := verdict == "y" || verdict == "i"
		if err := scanJSON(doc); (err == nil) != accept {
			t.Errorf("%s alone: %v", line, err)
		}
		if err := checkJSON([]byte(doc)); (err == nil) != accept {
			t.Errorf("%s alone, obvious: %v", line, err)
		}
		for _, around := range []string{`"x":?`, `"x":[0,? ]`, `"backups":[{"x":?}]`, `"host":{"node":"a","x":?,"kernel":"b"}`} {
			body := []byte(report(strings.Replace(around, "?", doc, 1)))
			if err := Scan(body, new(Summary)); (err == nil) != accept && verdict != "w" {
				t.Errorf("%s in %s: %v", line, around, err)
			}
			agree(t, body)
		}
		agree(t, []byte(doc))
	}
	if len(seen) < 300 {
		t.Errorf("%d verdicts, want all", len(seen))
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
