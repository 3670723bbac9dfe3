package proxmox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

const (
	// allowance is how many questions a report may have beyond those of every
	// report: logs of tasks, and what is asked for once a period. What is left
	// over waits for the next report.
	allowance = 8
	// firstAllowance is that of the first report, when nothing is known yet.
	firstAllowance = 80
	// maxReserve is the most that logs leave of it to what is due once a period.
	maxReserve = 4
)

// round is one collection under way: what was seen, and what may still be asked.
type round struct {
	*Source
	node     string
	now      time.Time
	seen     *survey
	perms    permissions
	permsErr error // why perms are unknown
	left     int   // of the allowance
	reserve  int   // what logs leave of it
	silent   error // why pvedaemon is not asked any more
}

// collections fills in what r has beside the node and its guests.
func (s *Source) collections(ctx context.Context, node string, seen *survey, r *messages.Report) {
	x := &round{Source: s, node: node, now: s.client.Now(), seen: seen, perms: seen.perms, permsErr: seen.permsErr, left: allowance}
	if !s.warm {
		x.left, s.warm = firstAllowance, true
	}
	if seen.err != nil && silent(api2.KindOf(seen.err)) {
		x.silent = seen.err
	}
	set := func(name string, section messages.Section) { r.Sections[name] = section }
	x.reserve = min(maxReserve, x.due())
	var section messages.Section

	r.AuditTail, section = x.auditTail(ctx)
	set(messages.SectionAuditTail, section)
	r.Cluster, section = x.cluster(ctx)
	set(messages.SectionCluster, section)
	tasksErr := x.readBackupTasks(ctx)
	r.RestoreTests, section = x.restoreTests(ctx)
	set(messages.SectionRestoreTests, section)
	x.readJobs(ctx)
	r.Disks, section = x.disks(ctx)
	set(messages.SectionDisks, section)
	r.ZFSPools, section = x.pools(ctx)
	set(messages.SectionZFSPools, section)
	// A dead NFS server makes this one hang: all else comes first.
	storages, section := x.storages(ctx)
	r.StorageTargets = storages
	set(messages.SectionStorageTargets, section)
	x.readListings(ctx, storages, section)
	r.BackupJobs, section = x.backupJobs()
	set(messages.SectionBackupJobs, section)
	r.Backups, section = x.backups(r.Guests, r.Sections[messages.SectionGuests], tasksErr)
	set(messages.SectionBackups, section)
}

// due is how many questions that are asked once a period are due.
func (x *round) due() (n int) {
	if x.keptJobs.due(x.now, x.period) {
		n += 2
	}
	if x.keptDisks.due(x.now, x.period) {
		n++
	}
	if x.keptPools.due(x.now, x.period) {
		n++
	}
	for _, l := range x.listings {
		if l.due(x.now, x.period) {
			n++
		}
	}
	return n
}

// fetch asks for a list. pvedaemon is asked nothing more in this round once it
// did not answer, and nothing that there is no time left for. notes gets what
// could not be read of the answer.
func fetch[T any](ctx context.Context, x *round, q question, notes *[]string) ([]T, error) {
	if q.slow && x.silent != nil {
		return nil, x.silent
	}
	if at, ok := ctx.Deadline(); ok && time.Until(at) < x.client.timeout(q) {
		return nil, &api2.Error{Op: "GET " + q.path, Kind: api2.KindTimeout, Detail: "not asked: no time left in this report"}
	}
	rows, bad, err := readRows[T](ctx, x.client, q)
	if err != nil && q.slow && silent(api2.KindOf(err)) {
		x.silent = err
	}
	if len(bad) > 0 && notes != nil {
		*notes = append(*notes, fmt.Sprintf("%d unreadable rows, the first: %v", len(bad), bad[0]))
	}
	return rows, err
}

// spend takes one question of the allowance.
func (x *round) spend() bool {
	if x.left == 0 {
		return false
	}
	x.left--
	return true
}

// unseen is the section of a list that proves nothing: it could not be read, or
// the token would be shown an empty one whatever there is.
func (x *round) unseen(err error, at, privilege string) (messages.Section, bool) {
	switch {
	case err != nil:
		return api2.SectionOf(err), true
	case x.permsErr != nil:
		return messages.Section{Status: messages.SectionFailed,
			Detail: api2.OneLine("the token's permissions are unknown, so nothing vouches for it: " + x.permsErr.Error())}, true
	case !x.perms.may(at, privilege):
		return lacks(privilege, at), true
	}
	return messages.Section{}, false
}

// lacks is the section of a collection that the token is not shown.
func lacks(privilege, at string) messages.Section {
	return messages.Section{Status: messages.SectionDenied,
		Detail: fmt.Sprintf("token lacks %s on %s: it is shown nothing, which does not mean that there is nothing", privilege, at)}
}

// clean makes text from the node fit to be seen.
func (x *round) clean(text string) string { return x.client.Scrub(text) }

// told is a section that is ok, with what is to be said about it.
func told(notes []string) messages.Section {
	return messages.Section{Status: messages.SectionOK, Detail: api2.OneLine(strings.Join(notes, "; "))}
}

var errNoTurn = errors.New("not asked: it is its turn with one of the next reports")
