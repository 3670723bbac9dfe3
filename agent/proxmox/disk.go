package proxmox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// disks are read once a period: SMART takes up to 10 s a disk, and wakes it.
func (x *round) disks(ctx context.Context) (messages.Items[messages.Disk], messages.Section) {
	k := &x.keptDisks
	if k.due(x.now, x.period) && x.spend() {
		disks, err := x.readDisks(ctx)
		k.tried(x.now, disks, err)
	}
	return k.get(x.now, x.period)
}

type diskRow struct {
	Device string          `json:"devpath"`
	Kind   string          `json:"type"`
	Model  string          `json:"model"`
	Serial string          `json:"serial"`
	Size   U64             `json:"size"`
	Health string          `json:"health"`
	Left   json.RawMessage `json:"wearout"` // per cent of life that is left, or "N/A"
	Used   string          `json:"used"`
}

func (x *round) readDisks(ctx context.Context) (messages.Items[messages.Disk], error) {
	rows, err := fetch[diskRow](ctx, x, question{path: path("nodes", x.node, "disks", "list"), slow: true}, nil)
	if err != nil {
		return nil, err
	}
	list := make(messages.Items[messages.Disk], 0, len(rows))
	for _, r := range rows {
		list = append(list, messages.Disk{
			Device: x.clean(r.Device), Kind: known(x.clean(r.Kind)), Model: x.clean(r.Model), Serial: known(x.clean(r.Serial)),
			SizeBytes: uint64(r.Size), Health: x.clean(r.Health), WearRatio: worn(r.Left), Use: x.clean(r.Used),
		})
	}
	slices.SortFunc(list, func(a, b messages.Disk) int { return cmp.Compare(a.Device, b.Device) })
	return list, nil
}

// known is a word that says something.
func known(word string) string {
	if word == "unknown" {
		return ""
	}
	return word
}

// worn turns the life that is left into what is used up. 0 % left and unknown
// are not the same.
func worn(left json.RawMessage) *float64 {
	var percent F64
	if _, ok := scalar(left); !ok || percent.UnmarshalJSON(left) != nil || percent < 0 || percent > 100 {
		return nil
	}
	ratio := (100 - float64(percent)) / 100
	return &ratio
}

// pools are the ZFS pools, read once a period.
func (x *round) pools(ctx context.Context) (messages.Items[messages.ZFSPool], messages.Section) {
	k := &x.keptPools
	if k.due(x.now, x.period) && x.spend() {
		pools, err := x.readPools(ctx)
		k.tried(x.now, pools, err)
	}
	if noZFS(k.err) {
		return nil, messages.Section{Status: messages.SectionNotConfigured, Detail: "zfsutils-linux is not installed"}
	}
	return k.get(x.now, x.period)
}

// noZFS is Proxmox's 500 on a node that has no ZFS.
func noZFS(err error) bool {
	e, ok := errors.AsType[*api2.Error](err)
	return ok && e.Status == 500 && strings.Contains(e.Detail, "not installed")
}

func (x *round) readPools(ctx context.Context) (messages.Items[messages.ZFSPool], error) {
	type row struct {
		Name      string `json:"name"`
		Health    string `json:"health"`
		Size      U64    `json:"size"`
		Allocated U64    `json:"alloc"`
		Free      U64    `json:"free"`
		Fragments F64    `json:"frag"` // per cent
	}
	rows, err := fetch[row](ctx, x, question{path: path("nodes", x.node, "disks", "zfs"), slow: true}, nil)
	if err != nil {
		return nil, err
	}
	list := make(messages.Items[messages.ZFSPool], 0, len(rows))
	for _, r := range rows {
		list = append(list, messages.ZFSPool{Name: x.clean(r.Name), Health: x.clean(r.Health), SizeBytes: uint64(r.Size),
			AllocatedBytes: uint64(r.Allocated), FreeBytes: uint64(r.Free), FragmentationRatio: float64(r.Fragments) / 100})
	}
	slices.SortFunc(list, func(a, b messages.ZFSPool) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
