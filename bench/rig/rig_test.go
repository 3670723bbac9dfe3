package rig

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A verifier that accepts anything would pass every rig: each field of the
// signed text must matter.
func TestVerifyAcceptsOnlyWhatWasSigned(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("twenty-four secret bytes"))
	body := `{"delivery_id":"01ABC","events":[{"event_id":"01E","type":"host_down","detail":{}}]}`
	now := time.Unix(1_780_928_409, 0)
	mac, err := sign(secret, "01ABC", now.Unix(), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	signature := "v1," + base64.StdEncoding.EncodeToString(mac)
	for _, c := range []struct {
		name, secret, id, stamp, signature, body string
		ok                                       bool
	}{
		{"as signed", secret, "01ABC", "1780928409", signature, body, true},
		{"among others", secret, "01ABC", "1780928409", "v1,AAAA " + signature, body, true},
		{"other secret", "whsec_AAAA", "01ABC", "1780928409", signature, body, false},
		{"other id", secret, "01ABD", "1780928409", signature, body, false},
		{"other instant", secret, "01ABC", "1780928410", signature, body, false},
		{"too old", secret, "01ABC", "1780928000", signature, body, false},
		{"other body", secret, "01ABC", "1780928409", signature, body + " ", false},
		{"other version", secret, "01ABC", "1780928409", "v2," + signature[3:], body, false},
		{"unsigned", secret, "01ABC", "1780928409", "", body, false},
	} {
		h := http.Header{}
		h.Set("webhook-id", c.id)
		h.Set("webhook-timestamp", c.stamp)
		h.Set("webhook-signature", c.signature)
		events, err := Verify(c.secret, h, []byte(c.body), now)
		if ok := err == nil && len(events) == 1; ok != c.ok {
			t.Errorf("%s: got %d events, %v", c.name, len(events), err)
		}
	}
}

// The specification's own example (standard-webhooks, "Signature scheme").
func TestSignatureOfTheSpecification(t *testing.T) {
	mac, err := sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	if got, want := base64.StdEncoding.EncodeToString(mac), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// The figures of a table come from here.
func TestSpreads(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		want Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{9, 1, 5}, Spread{5, 1, 9}},
		{[]float64{4, 1, 9, 2}, Spread{3, 1, 9}},
	} {
		if got := SpreadOf(c.xs); got != c.want {
			t.Errorf("%v: got %v, want %v", c.xs, got, c.want)
		}
	}
	// Pair by pair: the ratio of the medians would be 1. Nothing is divided by 0.
	if got := Ratios([]float64{10, 20, 60, 5}, []float64{20, 10, 20, 0, 7}); !slices.Equal(got, []float64{0.5, 2, 3}) {
		t.Errorf("got %v", got)
	}
}

// Every index once, and nothing new after a failure.
func TestParallel(t *testing.T) {
	var hits [100]atomic.Int32
	if err := Parallel(7, len(hits), func(i int) error { hits[i].Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range hits {
		if n := hits[i].Load(); n != 1 {
			t.Errorf("index %d: %d times", i, n)
		}
	}
	var calls atomic.Int32
	stop := errors.New("stop")
	if err := Parallel(1, 100, func(int) error { calls.Add(1); return stop }); !errors.Is(err, stop) || calls.Load() != 1 {
		t.Errorf("got %v after %d calls", err, calls.Load())
	}
}

// What a process costs must be that process's: this one's, checked against
// itself growing and computing.
func TestCostIsMeasured(t *testing.T) {
	log := new(Log)
	p, err := Start("/bin/sh", []string{"-c", "echo begun; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; while :; do sleep 1; done"}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := Poll(ctx, time.Millisecond, func() (bool, error) { return log.Contains("done"), nil }); err != nil {
		t.Fatal(err)
	}
	m, err := p.Memory()
	if err != nil || m.RSS < 1<<18 || m.RSS > 1<<28 || m.Anon >= m.RSS || m.Peak < m.RSS {
		t.Errorf("memory of a shell: %+v, %v", m, err)
	}
	cpu, err := p.CPU()
	if err != nil || cpu < tick || cpu > 30*time.Second {
		t.Errorf("CPU of a counting shell: %v, %v", cpu, err)
	}
	total, free, err := MachineMemory()
	if err != nil || free <= 0 || free >= total {
		t.Errorf("machine: %d of %d free, %v", free, total, err)
	}
	if busy, err := MachineCPU(); err != nil || busy < cpu {
		t.Errorf("machine busy for %v, %v; the shell alone for %v", busy, err, cpu)
	}
}

// A program's end is told apart: stopped cleanly, with a status, or killed.
func TestStopTellsTheExitStatus(t *testing.T) {
	for script, want := range map[string]string{
		"trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done": "<nil>",
		"trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done": "exit status 3",
	} {
		log := new(Log)
		p, err := Start("/bin/sh", []string{"-c", script}, nil, log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := Poll(ctx, time.Millisecond, func() (bool, error) { return log.Contains("up"), nil }); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(p.Stop()); got != want {
			t.Errorf("%s: got %s, want %s", script, got, want)
		}
	}
}

// Processes get nothing of this environment that could be a secret.
func TestProcessesGetAMinimalEnvironment(t *testing.T) {
	t.Setenv("FELHOM_BENCH_CANARY", "seen")
	log := new(Log)
	p, err := Start("/usr/bin/env", nil, []string{"A=b"}, log)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if log.Contains("CANARY") || !strings.Contains(log.Tail(4096), "A=b") || os.Getenv("FELHOM_BENCH_CANARY") == "" {
		t.Errorf("environment:\n%s", log.Tail(4096))
	}
}
