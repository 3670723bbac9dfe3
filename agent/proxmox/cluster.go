package proxmox

import (
	"cmp"
	"context"
	"slices"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

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
			c.Members = append(c.Members, messages.ClusterMember{Node: x.clean(r.Name), Online: bool(r.Online)})
		}
	}
	if !member {
		return nil, told(append(notes, "node is in no cluster"))
	}
	slices.SortFunc(c.Members, func(a, b messages.ClusterMember) int { return cmp.Compare(a.Node, b.Node) })
	return c, told(notes)
}
