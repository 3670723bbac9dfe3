package proxmox

import (
	"cmp"
	"context"
	"slices"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// guestsOn are the guests of another node of the cluster, in order: a guest that is
// missing here may have been moved there by the cluster itself. More of all nodes
// than a report holds of one are not told.
func (v *survey) guestsOn(node string) (ids []messages.VMID) {
	if len(v.stats) > messages.MaxGuests {
		return nil
	}
	for _, r := range v.stats {
		if r.Node == node && (r.Type == kindLXC || r.Type == kindQEMU) && r.VMID >= messages.MinVMID && r.VMID <= messages.MaxVMID {
			ids = append(ids, messages.VMID(r.VMID))
		}
	}
	slices.Sort(ids)
	return ids
}

// cluster is who the node stands with; nil, and ok, when it stands alone.
func (x *round) cluster(ctx context.Context) (*messages.Cluster, messages.Section) {
	type row struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Quorate Bool   `json:"quorate"`
		Online  Bool   `json:"online"`
	}
	var notes []string
	rows, err := fetch[row](ctx, x, question{path: path("cluster", "status"), slow: true}, &notes)
	if err != nil {
		return nil, api2.SectionOf(err)
	}
	c, member := &messages.Cluster{}, false
	for _, r := range rows {
		switch r.Type {
		case "cluster":
			member, c.Name, c.Quorate = true, x.clean(r.Name), bool(r.Quorate)
		case "node":
			m := messages.ClusterMember{Node: x.clean(r.Name), Online: bool(r.Online)}
			if r.Name != x.node {
				m.VMIDs = x.seen.guestsOn(r.Name)
			}
			c.Members = append(c.Members, m)
		}
	}
	if !member {
		return nil, told(append(notes, "node is in no cluster"))
	}
	slices.SortFunc(c.Members, func(a, b messages.ClusterMember) int { return cmp.Compare(a.Node, b.Node) })
	return c, told(notes)
}
