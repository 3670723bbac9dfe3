package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"felhom.eu/bench/rig"
)

// corruption damages one file of a store in one place and lets the hub start
// on it: what is wrong must be refused, or told, or read back as it was.
func corruption(ctx context.Context, s *scene) error {
	f, err := s.newFixture(ctx)
	if err != nil {
		return err
	}
	kinds, err := kindsOf(f.dir)
	if err != nil {
		return err
	}
	s.Acknowledged = f.acknowledged
	seen := map[string]int{}
	for n := 0; n < s.Rounds && ctx.Err() == nil; n++ {
		file, d := kinds.next(n, s.random)
		seed := s.random.Uint64()
		v, err := f.damaged(ctx, fmt.Sprintf("%s/%d", s.dir, n), file, func(dir string) error {
			return d.strike(filepath.Join(dir, file), rand.New(rand.NewPCG(seed, 0)))
		})
		if err != nil {
			return fmt.Errorf("round %d, %s %s: %w", n, file, d.name, err)
		}
		seen[v.came]++
		if v.silent != "" {
			s.Silent++
			s.Checks.Add(false, fmt.Sprintf("%s %s in round %d is told", file, d.name, n), "%s", v.silent)
		}
	}
	s.Seen = count(seen) + fmt.Sprintf("; %d kinds of files", len(kinds.patterns))
	return nil
}

// count spells how often each was seen.
func count(seen map[string]int) string {
	var words []string
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		words = append(words, fmt.Sprintf("%d %s", seen[what], what))
	}
	return strings.Join(words, ", ")
}

// damage is one way in which a disk fails.
type damage struct {
	name   string
	strike func(path string, r *rand.Rand) error
}

var (
	bitFlip = damage{"bit flipped", func(path string, r *rand.Rand) error {
		b, err := contents(path)
		if err != nil || len(b) == 0 {
			return err
		}
		at := r.IntN(len(b))
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{b[at] ^ 1<<r.IntN(8)}, int64(at))
		return errors.Join(err, f.Close())
	}}
	cutOff = damage{"cut off", func(path string, r *rand.Rand) error {
		b, err := contents(path)
		if err != nil || len(b) == 0 {
			return err
		}
		return os.Truncate(path, int64(r.IntN(len(b))))
	}}
	removed = damage{"removed", func(path string, _ *rand.Rand) error { return os.Remove(path) }}

	// Most of what disks do to files is small.
	damages = []damage{bitFlip, cutOff, bitFlip, removed}
)

// kinds are a store's files by sort: names that differ in numbers alone are of
// one. files are below the store's folder.
type kinds struct {
	patterns []string
	files    map[string][]string
	bytes    []sized // every file and what it holds
	total    int64
}

type sized struct {
	file  string
	bytes int64
}

var digits = regexp.MustCompile(`[0-9]+`)

func kindsOf(dir string) (*kinds, error) {
	k := &kinds{files: map[string][]string{}}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		b, err := contents(path)
		pattern := digits.ReplaceAllString(name, "*")
		k.files[pattern] = append(k.files[pattern], name)
		k.bytes = append(k.bytes, sized{name, int64(len(b))})
		k.total += int64(len(b))
		return err
	})
	k.patterns = slices.Sorted(maps.Keys(k.files))
	return k, err
}

// next chooses file and damage of a round: in every other one a bit of any
// byte of the store, which is how disks do it; else each kind of file and each
// damage in turn.
func (k *kinds) next(n int, r *rand.Rand) (file string, d damage) {
	if n%2 == 1 {
		at := r.Int64N(k.total)
		for _, f := range k.bytes {
			if at -= f.bytes; at < 0 {
				return f.file, bitFlip
			}
		}
	}
	n /= 2
	files := k.files[k.patterns[n%len(k.patterns)]]
	return files[r.IntN(len(files))], damages[n/len(k.patterns)%len(damages)]
}

// verdict is what became of a damage.
type verdict struct {
	came   string // "refused", "told", "harmless"
	silent string // what was wrong and not told; "" is nothing
}

// damaged starts a hub on a damaged copy of the fixture and judges what it says
// and shows.
func (f *fixture) damaged(ctx context.Context, dir, file string, strike func(dir string) error) (v verdict, err error) {
	h, err := f.copyTo(dir)
	if err != nil {
		return v, err
	}
	defer os.RemoveAll(dir)
	if err := strike(h.Dir); err != nil {
		return v, err
	}
	if v.came, err = startOn(ctx, h); err != nil {
		return v, err
	}
	if v.came == "refused" {
		v.silent, err = f.undone(ctx, h, file)
		return v, err
	}
	defer func() { h.Kill() }()
	told := f.complaints(h)
	d, err := f.compare(ctx, h)
	if err != nil {
		select {
		case <-h.Done():
			v.silent = fmt.Sprintf("%v: %v: %s", errNoPicture, err, h.Log.Tail(1000))
			return v, nil
		default:
			return v, err
		}
	}
	h.Kill()
	if len(told) == 0 { // an operator who doubts asks; the start may have mended what it found
		if told, err = f.check(ctx, dir+".check", strike); err != nil {
			return v, err
		}
	}
	v.judge(d, told)
	return v, nil
}

// judge says what differences and words come to.
func (v *verdict) judge(d difference, told string) {
	switch {
	case len(d.wrong) > 0:
		v.silent = fmt.Sprintf("wrong, whatever was told (%.200s): %.1000v", told, d.wrong)
	case len(d.gone) > 0 && told == "" && len(d.refused) == 0:
		v.silent = fmt.Sprintf("%d things are gone without a word: %.1000v", len(d.gone), d.gone)
	case len(d.changed) > 0 && told == "":
		v.silent = fmt.Sprintf("states are old without a word: %.1000v", d.changed)
	case d.none() && told == "":
		v.came = "harmless"
	case d.none():
		v.came = "told, nothing missing"
	default:
		v.came = "told"
	}
}

// startOn starts a hub that may refuse; it says how that went. Errors: neither a
// start nor a refusal with a reason.
func startOn(ctx context.Context, h *rig.Hub) (came string, err error) {
	begin := h.Log.Len()
	_, err = h.Start(ctx)
	if err == nil {
		return "started", nil
	}
	said := h.Log.Since(begin)
	select {
	case <-h.Done():
	default:
		return "", err
	}
	if crashed(said) {
		return "", fmt.Errorf("the hub crashed: %s", said)
	}
	if h.Err() == nil || strings.TrimSpace(said) == "" {
		return "", fmt.Errorf("the hub ended without a reason: %v", h.Err())
	}
	return "refused", nil
}

// crashed reports whether a program that printed this died of itself.
func crashed(said string) bool {
	for _, word := range []string{"panic:", "SIGBUS", "SIGSEGV", "fatal error:"} {
		if strings.Contains(said, word) {
			return true
		}
	}
	return false
}

// undone puts a damaged file back as it was, after a start that was refused: if
// that start took nothing away, everything is there.
func (f *fixture) undone(ctx context.Context, h *rig.Hub, file string) (wrong string, err error) {
	if err := copyFile(filepath.Join(h.Dir, file), filepath.Join(f.dir, file)); err != nil {
		return "", err
	}
	if came, err := startOn(ctx, h); err != nil || came == "refused" {
		return fmt.Sprintf("refused, and refused again with %s as it was (%v): %s", file, err, h.Log.Tail(600)), nil
	}
	defer h.Kill()
	d, err := f.compare(ctx, h)
	if err == nil && !d.none() {
		wrong = fmt.Sprintf("the start was refused, and took something away: %.1000v", d)
	}
	return wrong, err
}

// copyTree copies a store, holes as holes: Badger's files are mostly holes.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		return copyFile(filepath.Join(to, name), path)
	})
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, info.Mode())
	if err != nil {
		return err
	}
	defer dst.Close()
	err = extents(src, info.Size(), func(from, to int64) error {
		_, err := io.Copy(io.NewOffsetWriter(dst, from), io.NewSectionReader(src, from, to-from))
		return err
	})
	return errors.Join(err, dst.Truncate(info.Size()))
}

// extents calls fn for each stretch of a file that is no hole.
func extents(f *os.File, size int64, fn func(from, to int64) error) error {
	for at := int64(0); at < size; {
		from, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) {
			return nil
		}
		to, err2 := unix.Seek(int(f.Fd()), max(from, 0), unix.SEEK_HOLE)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		if err := fn(from, to); err != nil {
			return err
		}
		at = to
	}
	return nil
}

// contents is a file up to its last byte that is not zero.
func contents(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := int64(0)
	err = extents(f, info.Size(), func(_, to int64) error { end = to; return nil })
	if err != nil {
		return nil, err
	}
	b := make([]byte, end)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b, "\x00"), nil
}
