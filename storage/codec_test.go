package storage

import (
	"bytes"
	"errors"
	"testing"

	"felhom.eu/messages"
)

// fuzzRecord holds a record's decoder against rubbish: it ends without a panic,
// and what it accepts encodes to something that decodes to the same again.
func fuzzRecord[T any](f *testing.F, key []byte, write func(*encoder, *T), read take[T], samples ...T) {
	for i := range samples {
		e := encoder{}
		write(&e, &samples[i])
		f.Add(e.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{b: b}
		v := read(&d, key)
		if d.done() != nil {
			return
		}
		first := encoder{}
		write(&first, &v)
		d = decoder{b: first.b}
		again := read(&d, key)
		if err := d.done(); err != nil {
			t.Fatalf("%x encodes to %x: %v", b, first.b, err)
		}
		second := encoder{}
		write(&second, &again)
		if !bytes.Equal(first.b, second.b) {
			t.Errorf("%x encodes to %x, then to %x", b, first.b, second.b)
		}
	})
}

func FuzzHostState(f *testing.F) {
	fuzzRecord(f, textKey(prefixState, "a-00000000"), (*encoder).state, (*decoder).state, sampleState, messages.HostState{})
}

func FuzzHost(f *testing.F) {
	fuzzRecord(f, textKey(prefixHost, "a-00000000"), (*encoder).host, (*decoder).host, sampleHost, messages.Host{})
}

func FuzzCustomer(f *testing.F) {
	fuzzRecord(f, textKey(prefixCustomer, "a"), (*encoder).customer, (*decoder).customer, sampleCustomer, messages.Customer{})
}

func FuzzKey(f *testing.F) {
	fuzzRecord(f, keyKey(&sampleKey), (*encoder).key, (*decoder).key, sampleKey, messages.Key{})
}

func FuzzGuest(f *testing.F) {
	fuzzRecord(f, guestKey("a-00000000", 100), (*encoder).guest, (*decoder).guest, sampleGuest, messages.GuestRecord{})
}

func FuzzStanding(f *testing.F) {
	fuzzRecord(f, textKey(prefixStanding, "a-00000000"), (*encoder).standing, (*decoder).standing, sampleStanding, messages.Standing{})
}

func FuzzRules(f *testing.F) {
	fuzzRecord(f, rulesKey("", "a-00000000"), (*encoder).rules, (*decoder).rules, sampleRules, messages.RuleSettings{})
}

func FuzzRoute(f *testing.F) {
	fuzzRecord(f, textKey(prefixRoute, "R"), (*encoder).route, (*decoder).route, sampleRoute, messages.Route{})
}

func FuzzEvent(f *testing.F) {
	fuzzRecord(f, textKey(prefixEvent, "E"), (*encoder).event, (*decoder).event, sampleEvent, messages.Event{})
}

func FuzzDelivery(f *testing.F) {
	fuzzRecord(f, sequenceKey(prefixDelivery, 1), (*encoder).delivery, (*decoder).delivery, sampleDelivery, messages.Delivery{})
}

func FuzzMeta(f *testing.F) {
	fuzzRecord(f, metaKey, (*encoder).meta, (*decoder).meta, meta{}, meta{1, start, messages.Ledger{Listened: 2, At: start}, 3, "E", 4, 5})
}

func FuzzLoss(f *testing.F) {
	fuzzRecord(f, lossKey(Loss{Kind: LossEvents, From: 1}), (*encoder).loss, (*decoder).loss, Loss{To: 9, FoundAt: start})
}

// FuzzBlob holds the reader of blobs against rubbish.
func FuzzBlob(f *testing.F) {
	v, err := new(packer).pack(blobKey(7), []messages.StoredReport{sampleReport, {}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v)
	f.Fuzz(func(t *testing.T, v []byte) {
		b, err := openBlob(blobKey(7), v)
		if err == nil {
			err = b.check()
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v, which is no ErrCorrupt", err)
		}
	})
}

// Every flipped bit of a value and of a blob, and a value or blob under
// another's key, is ErrCorrupt.
func TestEveryFlippedBitOfAValueIsSeen(t *testing.T) {
	key := textKey(prefixState, sampleState.ID)
	value := (&encoder{}).seal(key, func(e *encoder) { e.state(&sampleState) })
	body, err := new(packer).pack(blobKey(7), []messages.StoredReport{sampleReport, {Body: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	if len(value) > 180 {
		t.Errorf("a full host state takes %d bytes", len(value))
	}
	for name, c := range map[string]struct {
		key, v []byte
		read   func(key, v []byte) error
	}{
		"value": {key, value, func(key, v []byte) error {
			_, err := decode(key, v, (*decoder).state)
			return err
		}},
		"blob": {blobKey(7), body, func(key, v []byte) error {
			b, err := openBlob(key, v)
			if err != nil {
				return err
			}
			return b.check()
		}},
	} {
		if err := c.read(c.key, c.v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		other := append(bytes.Clone(c.key[:len(c.key)-1]), 'x')
		if err := c.read(other, c.v); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s under another key: %v", name, err)
		}
		for i := range len(c.v) * 8 {
			c.v[i/8] ^= 1 << (i % 8)
			if err := c.read(c.key, c.v); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s with bit %d flipped: %v", name, i, err)
			}
			c.v[i/8] ^= 1 << (i % 8)
		}
		for n := range c.v {
			if err := c.read(c.key, c.v[:n]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut to %d: %v", name, n, err)
			}
		}
	}
}
