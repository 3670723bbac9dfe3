package storage

import (
	"bytes"
	"errors"
	"testing"

	"felhom.eu/messages"
)

// Every flipped bit of a value and of a blob, and a value or blob under
// another's key, is ErrCorrupt.
func TestEveryFlippedBitOfAValueIsSeen(t *testing.T) {
	key := textKey(prefixState, sampleState.ID)
	value := (&encoder{}).seal(key, func(e *encoder) { e.state(&sampleState) })
	body, err := new(packer).pack(blobKey(7), []messages.StoredReport{sampleReport, {Body: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	usual := sampleState
	usual.Voice = nil
	if n := len((&encoder{}).seal(key, func(e *encoder) { e.state(&usual) })); n > 180 {
		t.Errorf("a full host state takes %d bytes", n)
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
