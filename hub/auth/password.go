package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"felhom.eu/messages"
)

// The rules of passwords: long, and nothing else (NIST SP 800-63B, 5.1.1.2).
const (
	MinPassword = 12   // characters
	MaxPassword = 1024 // bytes
)

// The cost of a password's hash (OWASP Password Storage Cheat Sheet, Argon2id).
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	hashBytes   = 32
	saltBytes   = 16

	// A stored hash may ask for so much: one of a later program, not of a broken row.
	maxHashMemory  = 256 << 10 // KiB
	maxHashTime    = 16
	maxHashThreads = 16
	maxHashBytes   = 64

	hashesAtOnce = 2 // so that signing in cannot take the memory
)

// ErrPassword is returned for a password that may not be one.
var ErrPassword = errors.New("want a password of 12 characters or more, at most 1024 bytes")

// Passwords makes and compares hashes of passwords, two at a time. Make one with
// NewPasswords.
type Passwords struct{ room chan struct{} }

// NewPasswords makes a Passwords.
func NewPasswords() *Passwords { return &Passwords{make(chan struct{}, hashesAtOnce)} }

// nobodys is compared with when there is nothing to compare with: no password has it.
var nobodys = phc{hashMemory, hashTime, hashThreads, make([]byte, saltBytes), make([]byte, hashBytes)}

// Hash makes what is stored of a password: the argon2id hash with its parameters.
// It waits for others. Errors: ErrPassword, ctx's own.
func (p *Passwords) Hash(ctx context.Context, password string) (messages.Secret, error) {
	if !utf8.ValidString(password) || utf8.RuneCountInString(password) < MinPassword || len(password) > MaxPassword {
		return "", ErrPassword
	}
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	return messages.Secret(encodeHash(salt, derive([]byte(password), salt, hashMemory, hashTime, hashThreads, hashBytes))), nil
}

// Matches compares a password with what is stored of it. Where nothing is stored,
// for a user without a password or an unknown one, it takes as long and says no.
// Errors: ctx's own.
func (p *Passwords) Matches(ctx context.Context, stored messages.Secret, password string) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	h, err := decodeHash(stored.Reveal())
	if err != nil {
		h = nobodys
	}
	if len(password) > MaxPassword { // cannot be right, and need not be read
		password = password[:MaxPassword]
		err = ErrPassword
	}
	same := subtle.ConstantTimeCompare(h.sum, derive([]byte(password), h.salt, h.memory, h.time, h.threads, uint32(len(h.sum)))) == 1
	return same && err == nil, nil
}

func (p *Passwords) enter(ctx context.Context) error {
	select {
	case p.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Passwords) leave() { <-p.room }

func derive(password, salt []byte, memory, time uint32, threads uint8, size uint32) []byte {
	return argon2.IDKey(password, salt, time, memory, threads, size)
}

// phc is a hash with its parameters: $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
type phc struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

var b64 = base64.RawStdEncoding

func encodeHash(salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

var errHash = errors.New("not a hash that this program knows")

func decodeHash(s string) (h phc, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, errHash
	}
	if h.memory < 8 || h.memory > maxHashMemory || h.time < 1 || h.time > maxHashTime || h.threads < 1 || h.threads > maxHashThreads {
		return h, errHash
	}
	if h.salt, err = b64.DecodeString(parts[4]); err != nil || len(h.salt) < 8 {
		return h, errHash
	}
	if h.sum, err = b64.DecodeString(parts[5]); err != nil || len(h.sum) < 16 || len(h.sum) > maxHashBytes {
		return h, errHash
	}
	return h, nil
}
