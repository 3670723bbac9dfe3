package proxmox

import (
	"fmt"
	"slices"
	"strings"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// collections tells how each collection of a report was obtained, and what a
// right that may delete would show.
func (d *description) collections(r *messages.Report) {
	cluster := "in none"
	if r.Cluster != nil {
		cluster = fmt.Sprintf("%s, %d nodes", r.Cluster.Name, len(r.Cluster.Members))
	}
	for _, c := range []struct{ section, found string }{
		{messages.SectionStorageTargets, foundStorages(r.StorageTargets)},
		{messages.SectionBackups, foundBackups(r.Backups)},
		{messages.SectionBackupJobs, fmt.Sprintf("%d jobs", len(r.BackupJobs))},
		{messages.SectionRestoreTests, fmt.Sprintf("%d tests", len(r.RestoreTests))},
		{messages.SectionAuditTail, fmt.Sprintf("%d tasks", len(r.AuditTail))},
		{messages.SectionDisks, fmt.Sprintf("%d disks", len(r.Disks))},
		{messages.SectionZFSPools, fmt.Sprintf("%d pools", len(r.ZFSPools))},
		{messages.SectionCluster, cluster},
	} {
		d.collection(c.section, c.found, r.Sections[c.section])
	}
	for _, t := range r.StorageTargets {
		if t.Active && slices.Contains(t.Content, "backup") {
			d.sizes(t)
		}
	}
}

func (d *description) collection(name, found string, section messages.Section) {
	f := api2.Finding{Question: name, Status: section.Status, Found: found}
	switch section.Status {
	case messages.SectionDenied:
		f.Found, f.Grant = section.Detail, d.grant()
	case messages.SectionFailed:
		f.Found, f.Hint = section.Detail, "what it says is Proxmox's or the file system's own word; the next report asks again"
	case messages.SectionNotConfigured:
		f.Found = section.Detail
		if name == messages.SectionRestoreTests {
			f.Found = "set collections.scratch_vmids or collections.restore_results_dir"
		}
	default:
		if section.Detail != "" {
			f.Found += "; " + section.Detail
		}
	}
	d.found = append(d.found, f)
}

// sizes tells of a storage whose backups the token is not shown in full. That
// right is optional, for it can delete them.
func (d *description) sizes(t messages.StorageTarget) {
	question := "GET " + path("nodes", d.node, "storage", t.Storage, "content")
	if d.sees(t.Storage) {
		d.ok(question, "sizes of backups")
		return
	}
	found := "sizes of backups are not shown; their times are"
	if t.Type == "pbs" {
		found = "backups are known from tasks only; better ask the backup server itself"
	}
	d.found = append(d.found, api2.Finding{Question: question, Status: messages.SectionNotConfigured, Found: found,
		Grant: d.grantSizes(t.Storage), Deletes: true})
}

// sees is what the permissions of this selftest say.
func (d *description) sees(storage string) bool {
	x := round{Source: d.Source, perms: d.perms}
	return x.seesSizes(storage)
}

// grantSizes is how an administrator gives the token what shows sizes. A role on
// a deeper path replaces those from above, so it repeats what an auditor has there.
func (s *Source) grantSizes(storage string) string {
	user, _, _ := strings.Cut(s.tokenID, "!")
	const role = "FelhomSizes"
	commands := []string{"pveum role add " + role + " --privs 'Datastore.Audit,Datastore.AllocateSpace,VM.Audit,VM.Backup'"}
	for _, at := range []string{"/storage/" + storage, "/vms"} {
		commands = append(commands,
			fmt.Sprintf("pveum acl modify '%s' --users '%s' --roles %s", at, user, role),
			fmt.Sprintf("pveum acl modify '%s' --tokens '%s' --roles %s", at, s.tokenID, role))
	}
	return strings.Join(commands, " && ")
}

func foundStorages(list []messages.StorageTarget) string {
	active := 0
	for _, t := range list {
		if t.Active {
			active++
		}
	}
	return fmt.Sprintf("%d storages, %d active", len(list), active)
}

func foundBackups(list []messages.Backup) string {
	good, jobless := 0, 0
	for _, b := range list {
		if b.NewestGoodAt != nil {
			good++
		}
		if b.InJob != nil && !*b.InJob {
			jobless++
		}
	}
	return fmt.Sprintf("%d of %d guests have one, %d are in no job", good, len(list), jobless)
}
