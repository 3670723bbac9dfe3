package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"felhom.eu/bench/rig"
)

// builds makes hubs from the product's sources: the plain one, and ones that
// differ in a few lines (go build -overlay; the sources are not touched).
type builds struct {
	dir   string
	given string // the plain one; built when empty
	mu    sync.Mutex
	made  map[string]string
}

// plain is the hub as it is.
func (b *builds) plain(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	given, err := rig.FindHub(ctx, b.given, b.dir)
	b.given = given
	return given, err
}

// changed is a hub with a change of testdata in it.
func (b *builds) changed(ctx context.Context, name string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if program := b.made[name]; program != "" {
		return program, nil
	}
	product, err := rig.ProductDir()
	if err != nil {
		return "", err
	}
	overlay, err := makeOverlay(product, filepath.Join(b.dir, name), name)
	if err != nil {
		return "", fmt.Errorf("change the hub (%s): %w", name, err)
	}
	program, err := rig.Build(ctx, product, "./hub", b.dir, "felhom-hub-"+name, "-overlay", overlay)
	if b.made == nil {
		b.made = map[string]string{}
	}
	b.made[name] = program
	return program, err
}

//go:embed testdata/*.change
var changes embed.FS

// change is a few lines of one file that are to be others.
type change struct{ file, from, to string }

// readChanges reads testdata/<name>.change. What a file of the product is to
// have otherwise stands behind its name, the old lines behind "-", the new ones
// behind "+"; other lines say why.
func readChanges(name string) ([]change, error) {
	b, err := changes.ReadFile("testdata/" + name + ".change")
	if err != nil {
		return nil, err
	}
	var all []change
	for line := range strings.Lines(string(b)) {
		if file, ok := strings.CutPrefix(line, "file "); ok {
			all = append(all, change{file: strings.TrimSpace(file)})
			continue
		}
		if len(all) == 0 {
			continue
		}
		c := &all[len(all)-1]
		if text, ok := strings.CutPrefix(line, "-"); ok {
			c.from += text
		} else if text, ok := strings.CutPrefix(line, "+"); ok {
			c.to += text
		}
	}
	return all, nil
}

// changedFiles is the changed text of each file that a change is about. Errors:
// lines that are not there exactly once.
func changedFiles(product, name string) (map[string]string, error) {
	all, err := readChanges(name)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, c := range all {
		text, ok := texts[c.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(product, c.file))
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := strings.Count(text, c.from); n != 1 || c.from == "" {
			return nil, fmt.Errorf("%s.change: these lines are in %s %d times, want once:\n%s", name, c.file, n, c.from)
		}
		texts[c.file] = strings.Replace(text, c.from, c.to, 1)
	}
	return texts, nil
}

// makeOverlay writes the changed files into dir and returns the description
// that go build reads.
func makeOverlay(product, dir, name string) (string, error) {
	texts, err := changedFiles(product, name)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range texts {
		to := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(product, file)] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// broken is what -broken knows: which promise a build breaks, and which fault
// must show it within how many rounds.
var broken = []struct {
	name, by string
	rounds   int
}{
	{"sync", "power", 10},
	{"ledger", "off", 1},
	{"checksum", "corruption", 120},
	{"mark", "kill", 100},
}

func brokenNames() string {
	var names []string
	for _, b := range broken {
		names = append(names, b.name)
	}
	return strings.Join(names, ", ")
}

// proveBroken strikes at a hub that is broken on purpose. That nobody notices is
// the error.
func proveBroken(ctx context.Context, o options, b *builds, dir string) error {
	names := strings.Split(brokenNames(), ", ")
	i := slices.Index(names, o.broken)
	if i < 0 {
		return fmt.Errorf("-broken %s: there are %s", o.broken, brokenNames())
	}
	program, err := b.changed(ctx, o.broken)
	if err != nil {
		return err
	}
	b.given = program
	if o.only == "" {
		o.only = broken[i].by
	}
	if o.rounds == 0 {
		o.rounds = broken[i].rounds
	}
	chosen, err := choose(o)
	if err != nil {
		return err
	}
	all, err := strikeAll(ctx, o, b, dir, chosen)
	if err != nil {
		return err
	}
	if all.print(os.Stdout) {
		return fmt.Errorf("the hub is broken (%s) and nobody noticed", o.broken)
	}
	fmt.Printf("\nthe hub was broken on purpose (%s), and it was noticed\n", o.broken)
	return nil
}
