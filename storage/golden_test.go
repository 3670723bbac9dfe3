package storage

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

var writeGolden = flag.Bool("golden", false, "write testdata/v1.tar.gz; only when the format has a new version")

// golden fills a store with something of everything.
func golden(t *testing.T, db *DB) *fleet {
	f := newFleet(3)
	write(t, db, f.mint())
	for range 3 {
		write(t, db, f.report(80))
	}
	b := f.empty()
	b.PutKeys = []messages.Key{sampleKey}
	b.PutRoutes = []messages.Route{routeOfVersion1()}
	b.Guests = []messages.GuestsSeen{{HostID: f.hosts[0], At: start, Guests: []messages.Guest{{VMID: 100, Kind: "lxc", Name: "web", Status: "running"}}}}
	write(t, db, b)
	return f
}

// routeOfVersion1 has what routes had then.
func routeOfVersion1() messages.Route {
	r := sampleRoute
	r.Name, r.Quiet, r.MaxPerHour, r.EscalateTo, r.EscalateAfter, r.OnCall = "", nil, 0, "", 0, false
	return r
}

// A store as version 1 left it opens and reads, for ever.
func TestStoreOfVersion1Opens(t *testing.T) {
	path := filepath.Join("testdata", "v1.tar.gz")
	if *writeGolden {
		db := openTest(t, t.TempDir())
		golden(t, db)
		if err := errors.Join(db.Close(), pack(db.dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := unpack(path, dir); err != nil {
		t.Fatal(err)
	}
	if s, err := Check(dir); err != nil || len(s.Problems) > 0 {
		t.Errorf("check: %v, %v", s.Problems, err)
	}
	f := golden(t, openTest(t, t.TempDir()))
	db := openTest(t, dir)
	f.verify(t, db)
	rs, err := db.Routes()
	if diff := cmp.Diff([]messages.Route{routeOfVersion1()}, rs); err != nil || diff != "" {
		t.Errorf("routes: %v\n%s", err, diff)
	}
	ks, err := db.Keys(sampleKey.HostID)
	if diff := cmp.Diff([]messages.Key{sampleKey}, ks); err != nil || diff != "" {
		t.Errorf("keys: %v\n%s", err, diff)
	}
	if gs, err := db.Guests(f.hosts[0]); err != nil || len(gs) != 1 || gs[0].DisplayName != "web" {
		t.Errorf("guests: %+v, %v", gs, err)
	}
}

func pack(dir, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	return errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), z.Close(), f.Close())
}

func unpack(path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		to := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(to, 0o700)
		} else {
			err = extract(r, to)
		}
		if err != nil {
			return err
		}
	}
}

func extract(r io.Reader, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
