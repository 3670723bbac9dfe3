package pvetest

import (
	"fmt"
	"time"
)

// crowd is how many guests Crowd makes.
const crowd = 40

// cet is the zone of the node.
var cet = time.FixedZone("CET", 3600)

// Crowd makes the node one of 40 guests, from 100 on, with a month of nightly backups up
// to newest, each of them long in its log.
func (s *Server) Crowd(newest time.Time) {
	s.RemoveAll()
	s.RemoveTasks()
	s.RemoveBackups("local")
	for i := range crowd {
		s.Put(100+i, Guest{Kind: kindAt(i), Row: Object{"status": "running", "cpus": 2, "maxmem": 1 << 30, "mem": 1 << 29, "tags": "prod;web"}})
	}
	for night := range 31 {
		s.Nightly(newest.Add(-time.Duration(night)*24*time.Hour - time.Hour))
	}
}

// Nightly is one run of the job that backs the guests of Crowd up.
func (s *Server) Nightly(start time.Time) {
	lines := []string{"INFO: starting new backup job: vzdump --all 1 --storage local"}
	at := start
	for i := range crowd {
		lines = append(lines, fmt.Sprintf("INFO: Starting Backup of VM %d (%s)", 100+i, kindAt(i)), "INFO: Backup started at "+at.In(cet).Format(time.DateTime))
		for p := range 10 {
			lines = append(lines, fmt.Sprintf("INFO: %d0%% (%d.0 GiB of 10.0 GiB) in 19m 20s, read: 180.1 MiB/s, write: 12.2 MiB/s", p, p))
		}
		lines = append(lines, "INFO: archive file size: 2.62GB", fmt.Sprintf("INFO: Finished Backup of VM %d (00:00:30)", 100+i))
		s.PutBackup("local", Object{"volid": fmt.Sprintf("local:backup/vzdump-%s-%d-%s.zst", kindAt(i), 100+i, at.In(cet).Format("2006_01_02-15_04_05")),
			"subtype": kindAt(i), "size": 5, "ctime": at.Unix(), "vmid": 100 + i})
		at = at.Add(30 * time.Second)
	}
	s.RunTask("vzdump", "", start, at, "OK", append(lines, "TASK OK")...)
}

// kindAt is the kind of Crowd's i-th guest.
func kindAt(i int) string { return []string{"lxc", "qemu"}[i%2] }
