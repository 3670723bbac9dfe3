package demo_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/hub/app"
	"felhom.eu/hub/config"
	"felhom.eu/hub/demo"
)

// TestDemoRunsAndLeavesNothing plays the real thing for a moment: hosts are
// minted and report, it ends by itself, and its store is gone.
func TestDemoRunsAndLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var out, remarks bytes.Buffer
	err := demo.Run(t.Context(), demo.Options{
		For: 4 * time.Second, Listen: "127.0.0.1:0", Out: &out, Err: &remarks,
		Start: func(c config.Config) (demo.Hub, error) { return app.Start(c, "test", zerolog.Nop()) },
	})
	if err != nil {
		t.Fatalf("demo: %v\n%s%s", err, &out, &remarks)
	}
	for _, want := range []string{
		`48 made-up hosts and this machine \(this-machine-[0-9a-f]{8}\)`,
		`dashboard: +http://127\.0\.0\.1:\d+`,
		`sign in: +http://127\.0\.0\.1:\d+/login\?token=`,
		`[1-9]\d* reports accepted, `,
		`all signatures valid`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("want %s in:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("escape codes in a pipe: %q", &out)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
