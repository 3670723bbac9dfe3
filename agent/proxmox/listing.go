package proxmox

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// volumes are one guest's backups on one storage.
type volumes struct {
	at     time.Time // of the newest whose time is certain; zero: none
	volid  string
	size   uint64 // 0 when it is not shown
	kind   string
	count  uint64
	shared bool
}

// listing is a storage's backups by guest.
type listing map[messages.VMID]volumes

// ownName is the name that vzdump gives an archive. Others were renamed or
// copied in: their time is the file's, which says nothing of the guest.
var ownName = regexp.MustCompile(`[:/]vzdump-(?:lxc|qemu|openvz)-\d+-\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.`)

// add counts a finished backup.
func (l listing) add(id messages.VMID, v volumes, certain bool) {
	have := l[id]
	have.count++
	if certain && v.at.After(have.at) {
		v.count = have.count
		have = v
	}
	l[id] = have
}

// readListings reads once a period what backups the storages hold. A token that
// may back up is shown everything with sizes; an auditor is shown nothing there,
// and reads a pruning that keeps all instead. Of a backup server that would run
// its client once a guest, so it is asked itself, or told of by tasks.
func (x *round) readListings(ctx context.Context, storages messages.Items[messages.StorageTarget], section messages.Section) {
	if section.Status != messages.SectionOK {
		return
	}
	here := map[string]bool{}
	for _, t := range storages {
		if !slices.Contains(t.Content, "backup") || !t.Enabled {
			continue
		}
		sizes := x.seesSizes(t.Storage)
		if t.Type == "pbs" && !sizes {
			continue
		}
		here[t.Storage] = true
		k := x.listings[t.Storage]
		if k == nil {
			k = &kept[listing]{}
			x.listings[t.Storage] = k
		}
		if !t.Active || !k.due(x.now, x.period) {
			continue
		}
		if !x.spend() {
			k.err = cmp.Or(k.err, errNoTurn)
			continue
		}
		ask := x.pruneList
		if sizes {
			ask = x.contentList
		}
		l, err := ask(ctx, t)
		k.tried(x.now, l, err)
	}
	for name := range x.listings {
		if !here[name] {
			delete(x.listings, name)
		}
	}
}

// seesSizes reports whether the token is shown the contents of a storage. The
// same rights delete backups.
func (x *round) seesSizes(storage string) bool {
	at := "/storage/" + storage
	return x.perms.may(at, "Datastore.Allocate") ||
		x.perms.may(at, "Datastore.AllocateSpace") && x.perms.below("/vms", "VM.Backup")
}

func (x *round) pruneList(ctx context.Context, t messages.StorageTarget) (listing, error) {
	type row struct {
		Volume string `json:"volid"`
		Time   U64    `json:"ctime"`
		Kind   string `json:"type"`
		VMID   U64    `json:"vmid"` // a string for renamed files
		Mark   string `json:"mark"`
	}
	rows, err := fetch[row](ctx, x, question{path: path("nodes", x.node, "storage", t.Storage, "prunebackups"), slow: true,
		query: url.Values{"prune-backups": {"keep-all=1"}}}, nil)
	l := listing{}
	for _, r := range rows {
		l.add(messages.VMID(r.VMID), volumes{at: unix(r.Time), volid: x.clean(r.Volume), kind: r.Kind, shared: t.Shared},
			r.Mark != "renamed")
	}
	return l, err
}

func (x *round) contentList(ctx context.Context, t messages.StorageTarget) (listing, error) {
	type row struct {
		Volume       string `json:"volid"`
		Kind         string `json:"subtype"`
		Size         U64    `json:"size"`
		Time         U64    `json:"ctime"`
		VMID         U64    `json:"vmid"`
		Verification struct {
			State string `json:"state"`
		} `json:"verification"`
	}
	rows, err := fetch[row](ctx, x, question{path: path("nodes", x.node, "storage", t.Storage, "content"), slow: true,
		query: url.Values{"content": {"backup"}}}, nil)
	l := listing{}
	for _, r := range rows {
		pbs := t.Type == "pbs"
		if pbs && r.Size <= 1 { // unfinished: the server has no size for it yet, and Proxmox says 1
			continue
		}
		v := volumes{at: unix(r.Time), volid: x.clean(r.Volume), size: uint64(r.Size), kind: r.Kind, shared: t.Shared}
		l.add(messages.VMID(r.VMID), v, r.Verification.State != "failed" && (pbs || ownName.MatchString(r.Volume)))
	}
	return l, err
}

// unlisted says why a storage's backups are unknown; ok when none are. notes are of
// storages that could not be read again and are told as they were.
func (x *round) unlisted() (section messages.Section, notes []string) {
	section.Status = messages.SectionOK
	for _, name := range sortedKeys(x.listings) {
		k := x.listings[name]
		if k.triedAt.IsZero() && k.err == nil {
			continue // not active
		}
		_, s := k.get(x.now, x.period)
		s.Detail = api2.OneLine("storage " + name + ": " + s.Detail)
		switch {
		case s.Status != messages.SectionOK && section.Status == messages.SectionOK:
			section = s
		case s.Status == messages.SectionOK && k.err != nil:
			notes = append(notes, fmt.Sprintf("%s (as of %s)", s.Detail, s.ReadAt.Format(time.RFC3339)))
		}
	}
	return section, notes
}
