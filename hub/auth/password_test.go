package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// A password matches its own hash and no other's, and what is stored is not it.
func TestPasswords(t *testing.T) {
	p := NewPasswords()
	const right = "correct horse battery"
	stored, err := p.Hash(t.Context(), right)
	if err != nil || !strings.HasPrefix(stored.Reveal(), "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(stored.Reveal(), "horse") {
		t.Fatalf("%q, %v", stored.Reveal(), err)
	}
	if again, _ := p.Hash(t.Context(), right); again == stored {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	for password, want := range map[string]bool{right: true, right + " ": false, "": false, "nobody's": false, strings.Repeat("x", 1<<20): false} {
		if ok, err := p.Matches(t.Context(), stored, password); ok != want || err != nil {
			t.Errorf("%.20q matches: %t, %v", password, ok, err)
		}
	}
	for _, broken := range []messages.Secret{"", "x", "$argon2id$v=19$m=4294967295,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "$argon2i$v=19$m=19456,t=2,p=1$AAAA$AAAA"} {
		if ok, err := p.Matches(t.Context(), broken, "nobody's"); ok || err != nil {
			t.Errorf("%q matched, or failed: %v", broken.Reveal(), err)
		}
	}
	if ok, _ := p.Matches(t.Context(), messages.Secret("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$"+b64.EncodeToString(derive([]byte(right), []byte("somesalt"), 64, 1, 1, 32))), right); !ok {
		t.Error("a hash with parameters of its own was refused")
	}
}

// Long is the only rule, and it counts characters.
func TestPasswordRules(t *testing.T) {
	p := NewPasswords()
	for password, want := range map[string]error{
		"": ErrPassword, "elevenchars": ErrPassword, "twelve chars": nil, "őőőőőőőőőőőő": nil, "őőőőőőőőőőő": ErrPassword,
		"aaaaaaaaaaaa": nil, strings.Repeat("x", MaxPassword): nil, strings.Repeat("x", MaxPassword+1): ErrPassword, "\xff\xffxxxxxxxxxxxx": ErrPassword,
	} {
		if _, err := p.Hash(t.Context(), password); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%.20q: %v, want %v", password, err, want)
		}
	}
}

// Two hashes are made at a time; who comes then waits, and no longer than asked.
func TestHashesAreFewAtOnce(t *testing.T) {
	p := NewPasswords()
	for range hashesAtOnce {
		if err := p.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Matches(ctx, "", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a third one: %v", err)
	}
	p.leave()
	if _, err := p.Hash(t.Context(), "twelve chars"); err != nil {
		t.Errorf("with room: %v", err)
	}
}

// Who guesses waits longer with each guess, by name wherever from and by address
// whatever the name; who waits is let in again.
func TestGuessingIsSlow(t *testing.T) {
	var th Throttle
	home, away := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	at := now
	guesses := 0
	for ; at.Before(now.Add(time.Hour)); guesses++ { // from everywhere, as fast as one may
		from := netip.AddrFrom4([4]byte{10, 0, byte(guesses >> 8), byte(guesses)})
		at = at.Add(th.Wait("anna", from, at))
		th.Failed("anna", from, at)
	}
	if guesses > freeByName+6+60 {
		t.Errorf("%d guesses of one name in an hour", guesses)
	}
	if w := th.Wait("bert", home, at); w != 0 {
		t.Errorf("another name waits %v", w)
	}
	if w := th.Wait("anna", home, at); w <= 0 || w > longestByName {
		t.Errorf("the name waits %v", w)
	}
	if w := th.Wait("anna", home, at.Add(longestByName)); w != 0 {
		t.Errorf("after waiting: another %v", w)
	}
	th.Succeeded("anna", home)
	if w := th.Wait("anna", home, at); w != 0 {
		t.Errorf("after success: %v", w)
	}
	guesses = 0
	for end := at.Add(time.Hour); at.Before(end); guesses++ { // all names, from one network
		name := messages.UserName(fmt.Sprintf("user%d", guesses))
		at = at.Add(th.Wait(name, away, at))
		th.Failed(name, away, at)
		away = away.Next()
	}
	if guesses > freeByAddress+10+4 {
		t.Errorf("%d guesses from one network in an hour", guesses)
	}
	th.Succeeded("user1", away)
	if w := th.Wait("x", away, at); w == 0 {
		t.Error("one success made up for all the failures")
	}
	if w := th.Wait("x", away, at.Add(forgetAfter)); w != 0 {
		t.Errorf("never forgotten: %v", w)
	}
}

// What is remembered of guessers is bounded, and a zero address is one, too.
func TestThrottleIsBounded(t *testing.T) {
	var th Throttle
	for i := range maxThrottled + 50 {
		th.Failed(messages.UserName(fmt.Sprint(i)), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), now.Add(time.Duration(i)))
	}
	th.Failed("", netip.Addr{}, now.Add(time.Hour))
	if n, a := len(th.names), len(th.addresses); n > maxThrottled || a > maxThrottled {
		t.Errorf("%d names, %d addresses", n, a)
	}
}
