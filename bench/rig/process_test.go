package rig

import (
	"strings"
	"testing"
)

func TestStacksTellWhereAProgramHung(t *testing.T) {
	const dump = `{"level":"warn","message":"something"}
SIGQUIT: quit
PC=0x4785c1 m=0 sigcode=0

goroutine 1 gp=0xc000002380 m=nil [sync.RWMutex.Lock]:
runtime.gopark(0x1?, 0x2?)
	/usr/lib/go/src/runtime/proc.go:460 +0xce
github.com/dgraph-io/badger/v4.(*valueLog).Close(0xc0)
	/root/value.go:560 +0x1
felhom.eu/storage.Check({0xc000, 0x10})
	/src/storage/check.go:62 +0x45

goroutine 2 gp=0xc000002e00 m=nil [force gc (idle)]:
runtime.gopark(0x0?)
	/usr/lib/go/src/runtime/proc.go:460 +0xce
`
	got := stacks(dump)
	for _, want := range []string{"goroutine 1", "[sync.RWMutex.Lock]", "(*valueLog).Close < felhom.eu/storage.Check"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
	if strings.Contains(got, "goroutine 2") || strings.Contains(got, "/src/") {
		t.Errorf("too much is said: %q", got)
	}
}
