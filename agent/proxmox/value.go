package proxmox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
)

const maxDigits = 64 // of a number; longer ones are none

// The same value of the API is a number in one version and a string in the
// next; these types read both. Absent is 0: null, "" and "N/A" are absent.
type (
	// U64 is a count or a size in bytes: 7, "7", 1.5e+15.
	U64 uint64
	// F64 is a finite figure: 0.5, "0.5", 3.
	F64 float64
	// Bool is true for 1, true, yes and on, quoted or not.
	Bool bool
)

// UnmarshalJSON reads a whole number without the loss of float64; sizes of a
// petabyte and more come in scientific notation before pve-storage 9.1.1.
func (u *U64) UnmarshalJSON(b []byte) error {
	s, ok := scalar(b)
	if !ok {
		*u = 0
		return nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		*u = U64(n)
		return nil
	}
	f, _, err := big.ParseFloat(s[:min(len(s), maxDigits)], 10, 128, big.ToZero)
	if err != nil || f.IsInf() || len(s) > maxDigits {
		return fmt.Errorf("%.40q is not a number", s)
	}
	n, acc := f.Uint64()
	if f.Sign() < 0 || (n == math.MaxUint64 && acc == big.Below) {
		return fmt.Errorf("%.40q is not a whole number of 64 bits", s)
	}
	*u = U64(n)
	return nil
}

// UnmarshalJSON reads a finite number.
func (f *F64) UnmarshalJSON(b []byte) error {
	s, ok := scalar(b)
	if !ok {
		*f = 0
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return fmt.Errorf("%.40q is not a finite number", s)
	}
	*f = F64(n)
	return nil
}

// UnmarshalJSON reads Perl's many ways to say yes; all else is no.
func (v *Bool) UnmarshalJSON(b []byte) error {
	s, _ := scalar(b)
	switch s {
	case "1", "true", "yes", "on":
		*v = true
	default:
		*v = false
	}
	return nil
}

// scalar is the text of a JSON scalar without its quotes; ok is false when it
// says nothing.
func scalar(b []byte) (s string, ok bool) {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		if json.Unmarshal(b, &s) != nil {
			return string(b), true
		}
		s = string(bytes.TrimSpace([]byte(s)))
	} else {
		s = string(b)
	}
	return s, s != "" && s != "null" && s != "N/A"
}
