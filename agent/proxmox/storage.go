package proxmox

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// hungStorage is how long a node whose storages hang is not asked for them:
// every try holds one of pvedaemon's three workers for 30 s.
const hungStorage = 15 * time.Minute

// storages are the node's storages. The question makes the node activate all of
// them, one after another, and hangs with the first dead NFS server, whatever
// it is asked about (pve-storage, PVE/Storage.pm storage_info). pvestatd's
// figures never hang: they stand in.
func (x *round) storages(ctx context.Context) (messages.Items[messages.StorageTarget], messages.Section) {
	list, notes, err := x.askStorages(ctx)
	if err != nil && silent(api2.KindOf(err)) && x.seen.stats != nil {
		list, notes = x.measuredStorages(), []string{"from pvestatd, as storages do not answer: " + err.Error()}
		err = nil
	}
	section, bad := x.unseen(err, "/storage", "Datastore.Audit")
	switch {
	case bad && (err != nil || len(list) == 0):
		return nil, section
	case x.permsErr != nil:
		notes = append(notes, "permissions unknown: "+x.permsErr.Error())
	case !x.perms.below("/storage", "Datastore.Audit"):
		notes = append(notes, "token lacks Datastore.Audit on /storage as a whole: storages it may not see are missing")
	}
	slices.SortFunc(list, func(a, b messages.StorageTarget) int { return cmp.Compare(a.Storage, b.Storage) })
	return list, told(notes)
}

func (x *round) askStorages(ctx context.Context) (list messages.Items[messages.StorageTarget], notes []string, err error) {
	type row struct {
		Storage string `json:"storage"`
		Type    string `json:"type"`
		Content string `json:"content"`
		Enabled Bool   `json:"enabled"`
		Active  Bool   `json:"active"`
		Shared  Bool   `json:"shared"`
		Total   U64    `json:"total"`
		Used    U64    `json:"used"`
		Avail   U64    `json:"avail"`
	}
	q := question{path: path("nodes", x.node, "storage"), slow: true}
	if wait := x.storagesAgain.Sub(x.now); wait > 0 {
		return nil, nil, &api2.Error{Op: "GET " + q.path, Kind: api2.KindTimeout,
			Detail: fmt.Sprintf("hung before, next try in %s", wait.Round(time.Second))}
	}
	before := x.silent
	rows, err := fetch[row](ctx, x, q, &notes)
	if err != nil {
		x.silent = before // it is the one that hangs; each of the others may still be listed
		if api2.KindOf(err) == api2.KindTimeout && x.seen.err == nil {
			x.storagesAgain = x.now.Add(hungStorage)
		}
		return nil, nil, err
	}
	for _, r := range rows {
		t := messages.StorageTarget{Storage: x.clean(r.Storage), Type: x.clean(r.Type), Content: words(x.clean(r.Content)),
			Enabled: bool(r.Enabled), Active: bool(r.Active), Shared: bool(r.Shared)}
		if t.Active {
			t.TotalBytes, t.UsedBytes, t.AvailableBytes = uint64(r.Total), uint64(r.Used), uint64(r.Avail)
		}
		list = append(list, t)
	}
	return list, notes, nil
}

// measuredStorages are the storages as pvestatd saw them; those that are
// disabled are not among them.
func (x *round) measuredStorages() (list messages.Items[messages.StorageTarget]) {
	for _, r := range x.seen.stats {
		if r.Type != "storage" || r.Node != x.node {
			continue
		}
		t := messages.StorageTarget{Storage: x.clean(r.Storage), Type: x.clean(r.PluginType), Content: words(x.clean(r.Content)),
			Enabled: true, Active: r.Status == "available", Shared: bool(r.Shared)}
		if t.Active {
			t.TotalBytes, t.UsedBytes = uint64(r.MaxDisk), uint64(r.Disk)
			t.AvailableBytes = t.TotalBytes - min(t.UsedBytes, t.TotalBytes)
		}
		list = append(list, t)
	}
	return list
}

// words are the parts of one of Proxmox's lists ("iso,backup", "110 113", "a;b")
// in order: it has none.
func words(list string) []string {
	parts := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
	if len(parts) == 0 {
		return nil
	}
	slices.Sort(parts)
	return parts
}
