package proxmox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// nodeStatus is /nodes/{node}/status.
type nodeStatus struct {
	Uptime     U64    `json:"uptime"`
	CPU        F64    `json:"cpu"` // 0 at a worker's first request, then an average since its last: see node
	LoadAvg    []F64  `json:"loadavg"`
	KVersion   string `json:"kversion"`
	PVEVersion string `json:"pveversion"`
	Kernel     struct {
		Release string `json:"release"`
	} `json:"current-kernel"` // since 8
	CPUInfo struct {
		CPUs U64 `json:"cpus"` // threads; cores are the physical ones
	} `json:"cpuinfo"`
	Memory usage `json:"memory"`
	Swap   usage `json:"swap"`
	RootFS usage `json:"rootfs"`
}

// usage is what Proxmox says of memory or a file system. Used is not total
// minus free: caches and reserved blocks are in neither.
type usage struct {
	Total U64 `json:"total"`
	Used  U64 `json:"used"`
}

func (c *client) nodeStatus(ctx context.Context, node string) (*nodeStatus, error) {
	s, err := read[*nodeStatus](ctx, c, question{path: path("nodes", node, "status")})
	if err == nil && s.Memory.Total == 0 {
		err = &api2.Error{Op: "GET " + path("nodes", node, "status"), Kind: api2.KindDecode, Status: 200, Detail: "answer has no memory.total"}
	}
	return s, err
}

// node is the report's part. CPU comes from pvestatd, which measures every
// 10 s; only when it says nothing from s, which is noisy.
func (s *nodeStatus) node(name string, stats map[string]resource) messages.Node {
	n := messages.Node{
		Node:             name,
		PVEVersion:       s.version(),
		Kernel:           s.kernel(),
		UptimeSeconds:    uint64(s.Uptime),
		CPUUsedRatio:     float64(s.CPU),
		CPUCount:         uint64(s.CPUInfo.CPUs),
		MemoryTotalBytes: uint64(s.Memory.Total),
		MemoryUsedBytes:  uint64(s.Memory.Used),
		SwapTotalBytes:   uint64(s.Swap.Total),
		SwapUsedBytes:    uint64(s.Swap.Used),
		RootTotalBytes:   uint64(s.RootFS.Total),
		RootUsedBytes:    uint64(s.RootFS.Used),
	}
	if r, ok := stats["node/"+name]; ok && r.CPU != nil {
		n.CPUUsedRatio = float64(*r.CPU)
	}
	for i, load := range []*float64{&n.Load1m, &n.Load5m, &n.Load15m} {
		if i < len(s.LoadAvg) {
			*load = float64(s.LoadAvg[i])
		}
	}
	return n
}

// version is the middle of "pve-manager/9.1.4/5ac30304265fbd8e".
func (s *nodeStatus) version() string {
	_, v, _ := strings.Cut(s.PVEVersion, "/")
	v, _, _ = strings.Cut(v, "/")
	return v
}

// kernel is the release; before PVE 8 it is the second word of kversion.
func (s *nodeStatus) kernel() string {
	if s.Kernel.Release != "" {
		return s.Kernel.Release
	}
	if words := strings.Fields(s.KVersion); len(words) > 1 {
		return words[1]
	}
	return ""
}

// nodeName is the cluster's name of the node: as configured, else what
// /etc/pve/local points to, else this machine's short host name if the cluster
// knows it, else the node that answers. It is asked for once.
func (s *Source) nodeName(ctx context.Context) (string, error) {
	if s.node != "" {
		return s.node, nil
	}
	name, err := s.findNode(ctx)
	if err == nil {
		s.node = name
	}
	return name, err
}

func (s *Source) findNode(ctx context.Context) (string, error) {
	if target, err := os.Readlink(s.localLink); err == nil {
		return filepath.Base(target), nil
	}
	type row struct {
		Node  string `json:"node"`
		Name  string `json:"name"`
		Type  string `json:"type"`
		Local Bool   `json:"local"`
	}
	nodes, err := read[[]row](ctx, s.client, question{path: path("nodes")})
	if err != nil {
		return "", err
	}
	host, _, _ := strings.Cut(s.hostname(), ".")
	if slices.ContainsFunc(nodes, func(r row) bool { return r.Node == host }) {
		return host, nil
	}
	if len(nodes) == 1 {
		return nodes[0].Node, nil
	}
	members, err := read[[]row](ctx, s.client, question{path: path("cluster", "status"), slow: true})
	if err != nil {
		return "", err
	}
	for _, m := range members {
		if m.Type == "node" && m.Local {
			return m.Name, nil
		}
	}
	return "", fmt.Errorf("none of %d nodes is called %q or local: set the node's name", len(nodes), host)
}

func hostname() string {
	name, _ := os.Hostname() // "" is no node's name
	return name
}
