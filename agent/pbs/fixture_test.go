package pbs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/pbs/pbstest"
)

// recorded is one case of a file in testdata.
type recorded struct {
	Name     string
	Response struct {
		Status   int
		Body     json.RawMessage
		BodyText string `json:"body_text"`
	}
}

// Protects every field's name and type against what the server is known to send.
func TestRecordedAnswersAreRead(t *testing.T) {
	s := pbstest.Start(t)
	one := servers(t, config(s, pbstest.Auditor)).all[0]
	ask := map[string]func() (n int, bad []error, err error){
		"pbs_datastores":      func() (int, []error, error) { l, b, err := one.stores(t.Context()); return len(l), b, err },
		"pbs_datastore_usage": func() (int, []error, error) { l, b, err := one.usage(t.Context()); return len(l), b, err },
		"pbs_groups": func() (int, []error, error) {
			l, b, err := one.groupsOf(t.Context(), "keller", "")
			return len(l), b, err
		},
		"pbs_namespaces": func() (int, []error, error) {
			l, b, err := one.namespacesOf(t.Context(), "keller")
			return len(l), b, err
		},
		"pbs_snapshots": func() (int, []error, error) {
			l, err := one.snapshotsOf(t.Context(), groupKey{place{"keller", ""}, "ct", "110"})
			return len(l), nil, err
		},
		"pbs_verify_jobs": func() (int, []error, error) { l, b, err := one.verifyJobs(t.Context()); return len(l), b, err },
		"pbs_version":     func() (int, []error, error) { v, err := one.version(t.Context()); return len(v), nil, err },
	}
	want := map[string]int{"pbs_datastores two": 2, "pbs_datastores pbs3": 1, "pbs_datastore_usage mixed": 3, "pbs_groups mixed": 3,
		"pbs_namespaces three": 3, "pbs_snapshots mixed": 4, "pbs_verify_jobs two": 3, "pbs_version pbs4": len("4.1.2")} // the rest: none
	files, _ := filepath.Glob("testdata/*.json")
	if len(files) != len(ask) {
		t.Fatalf("%d files for %d questions", len(files), len(ask))
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ Cases []recorded }
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		for _, c := range f.Cases {
			t.Run(name+" "+c.Name, func(t *testing.T) {
				before := one.Now()
				one.Now = func() time.Time { return before.Add(api2.AuthBackOff) } // past what a 401 pauses
				if c.Response.Status == 200 {
					s.Break(pbstest.Everywhere, pbstest.Body(string(c.Response.Body)))
				} else {
					s.Break(pbstest.Everywhere, pbstest.Refuse(c.Response.Status, c.Response.BodyText))
				}
				n, bad, err := ask[name]()
				switch {
				case c.Response.Status != 200:
					if err == nil || !strings.HasSuffix(err.Error(), c.Response.BodyText) {
						t.Errorf("got %v, want %s", err, c.Response.BodyText)
					}
				case err != nil || len(bad) > 0:
					t.Errorf("got %v, %v", err, bad)
				case n != want[name+" "+c.Name]:
					t.Errorf("got %d, want %d", n, want[name+" "+c.Name])
				}
			})
		}
	}
}
