package proxmox

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"felhom.eu/messages"
)

// jobRow is a row of /cluster/backup. It has one of All, VMIDs and Pool.
type jobRow struct {
	ID       string `json:"id"`
	Schedule string `json:"schedule"`
	Enabled  *Bool  `json:"enabled"` // absent is yes
	All      Bool   `json:"all"`
	VMIDs    string `json:"vmid"`
	Pool     string `json:"pool"`
	Exclude  string `json:"exclude"`
	Node     string `json:"node"` // runs there only
	Storage  string `json:"storage"`
	Comment  string `json:"comment"`
	NextRun  U64    `json:"next-run"` // of disabled jobs, too
}

func (j *jobRow) enabled() bool { return j.Enabled == nil || bool(*j.Enabled) }

// jobBook is what the backup jobs cover.
type jobBook struct {
	jobs []jobRow
	// uncovered are the guests that Proxmox finds in no job at all, enabled or
	// not; asked are those that there were when it was asked.
	uncovered, asked map[messages.VMID]bool
}

// readJobs reads the jobs once a period, and when guests came or went.
func (x *round) readJobs(ctx context.Context) {
	k := &x.keptJobs
	changed := k.err == nil && x.seen.err == nil && !maps.EqualFunc(k.value.asked, x.seen.guests, func(bool, *sighting) bool { return true })
	if (changed || k.due(x.now, x.period)) && x.left >= 2 {
		x.left -= 2
		book, err := x.askJobs(ctx)
		k.tried(x.now, book, err)
	}
}

func (x *round) askJobs(ctx context.Context) (b jobBook, err error) {
	if b.jobs, err = fetch[jobRow](ctx, x, question{path: path("cluster", "backup")}, nil); err != nil {
		return b, err
	}
	type guest struct {
		VMID U64 `json:"vmid"`
	}
	rows, err := fetch[guest](ctx, x, question{path: path("cluster", "backup-info", "not-backed-up"), slow: true}, nil)
	if err != nil {
		return b, err
	}
	b.uncovered, b.asked = map[messages.VMID]bool{}, map[messages.VMID]bool{}
	for _, r := range rows {
		b.uncovered[messages.VMID(r.VMID)] = true
	}
	for id := range x.seen.guests {
		b.asked[id] = true
	}
	return b, nil
}

func (x *round) backupJobs() (messages.Items[messages.BackupJob], messages.Section) {
	book, section := x.keptJobs.get(x.now, x.period)
	list := make(messages.Items[messages.BackupJob], 0, len(book.jobs))
	for _, j := range book.jobs {
		job := messages.BackupJob{ID: x.clean(j.ID), Enabled: j.enabled(), Schedule: x.clean(j.Schedule), Storage: x.clean(j.Storage),
			Selection: x.clean(j.selection()), Exclude: vmids(j.Exclude), Comment: x.clean(j.Comment), Node: x.clean(j.Node)}
		if job.Enabled {
			job.NextRunAt = utc(unix(j.NextRun))
		}
		list = append(list, job)
	}
	slices.SortFunc(list, func(a, b messages.BackupJob) int { return cmp.Compare(a.ID, b.ID) })
	return list, section
}

func (j *jobRow) selection() string {
	switch {
	case bool(j.All):
		return "all"
	case j.Pool != "":
		return "pool:" + j.Pool
	}
	return j.VMIDs
}

// covers reports whether an enabled job on the node includes the guest; nil when
// that is not known. pool is the guest's, "" for none, and sure says that it would
// be shown. Proxmox's own list of guests without a job counts disabled
// jobs as jobs, so it only ever proves that there is none.
func (b *jobBook) covers(id messages.VMID, node, pool string, sure bool) *bool {
	yes, no := true, false
	if !b.asked[id] {
		return nil
	}
	if b.uncovered[id] {
		return &no
	}
	var disabled, pooled bool // included by a disabled job; perhaps by one of a pool
	for i := range b.jobs {
		j := &b.jobs[i]
		runs := j.enabled() && (j.Node == "" || j.Node == node)
		switch {
		case j.Pool != "" && pool == "" && !sure:
			pooled = pooled || runs
			disabled = disabled || !runs
		case !j.includes(id, pool):
		case runs:
			return &yes
		default:
			disabled = true
		}
	}
	switch {
	case pooled && disabled:
		return nil
	case pooled: // Proxmox finds it in a job, and that is the only one left
		return &yes
	}
	return &no
}

func (j *jobRow) includes(id messages.VMID, pool string) bool {
	switch {
	case slices.Contains(vmids(j.Exclude), id):
		return false
	case bool(j.All):
		return true
	case j.Pool != "":
		return j.Pool == pool
	}
	return slices.Contains(vmids(j.VMIDs), id)
}

// vmids are the numbers of a list; what is none is left out.
func vmids(list string) (ids []messages.VMID) {
	for _, word := range words(list) {
		if n, err := strconv.ParseUint(word, 10, 32); err == nil {
			ids = append(ids, messages.VMID(n))
		}
	}
	slices.Sort(ids)
	return ids
}
