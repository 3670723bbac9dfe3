package proxmox

import (
	"strings"
	"testing"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

// TestDescribeTellsWhatToDo holds the selftest to its purpose: after it an
// operator knows what the token sees, what it was denied and the command that
// mends it.
func TestDescribeTellsWhatToDo(t *testing.T) {
	const ok, denied, failed = messages.SectionOK, messages.SectionDenied, messages.SectionFailed
	type finding struct {
		question string
		status   messages.SectionStatus
		found    string
		hint     string
	}
	const grant = "pveum acl modify / --users 'felhom@pve' --roles PVEAuditor && pveum acl modify / --tokens 'felhom@pve!"
	for _, c := range []struct {
		name  string
		token string
		spoil func(*pvetest.Server, *Source)
		want  []finding
	}{
		{"auditor", pvetest.Auditor, nil, []finding{
			{"GET /version", ok, "Proxmox VE 8.3.5", ""},
			{"GET /access/permissions", ok, "VM.Audit on /vms", ""},
			{"GET /nodes/kiefer/status", ok, "kernel 6.8.12-15-pve, 32 threads", ""},
			{"GET /nodes/kiefer/lxc", ok, "6 rows", ""},
			{"GET /nodes/kiefer/qemu", ok, "3 rows", ""},
			{"GET /cluster/resources", ok, "rows", ""},
			{"report", ok, "node kiefer, 7 guests, 7 with their configuration", ""},
		}},
		{"bare", pvetest.Bare, nil, []finding{
			{"GET /version", ok, "8.3.5", ""},
			{"GET /access/permissions", denied, "missing: Sys.Audit on /, Sys.Audit on /nodes, VM.Audit on /vms, Datastore.Audit on /storage", grant + "bare' --roles PVEAuditor"},
			{"GET /nodes/kiefer/status", denied, "(/nodes/kiefer, Sys.Audit)", grant},
			{"GET /nodes/kiefer/lxc", denied, "VM.Audit on /vms", grant},
			{"GET /nodes/kiefer/qemu", denied, "VM.Audit on /vms", grant},
			{"GET /cluster/resources", ok, "rows", ""},
			{"report", denied, "(/nodes/kiefer, Sys.Audit)", grant},
		}},
		{"no rights on guests", pvetest.NodeAuditor, nil, []finding{
			{"GET /version", ok, "8.3.5", ""},
			{"GET /access/permissions", denied, "missing: Sys.Audit on /, VM.Audit on /vms, Datastore.Audit on /storage", grant},
			{"GET /nodes/kiefer/status", ok, "kernel", ""},
			{"GET /nodes/kiefer/lxc", denied, "VM.Audit on /vms", grant},
			{"GET /nodes/kiefer/qemu", denied, "VM.Audit on /vms", grant},
			{"GET /cluster/resources", ok, "rows", ""},
			{"report", denied, "VM.Audit on /vms", grant},
		}},
		{"stopped daemon", pvetest.Auditor, func(s *pvetest.Server, _ *Source) { s.StopDaemon() }, []finding{
			{"GET /version", ok, "8.3.5", ""},
			{"GET /access/permissions", ok, "VM.Audit", ""},
			{"GET /nodes/kiefer/status", ok, "kernel", ""},
			{"GET /nodes/kiefer/lxc", failed, "595 Connection refused", "systemctl status pvedaemon"},
			{"GET /nodes/kiefer/qemu", failed, "595", "systemctl status pvedaemon"},
			{"GET /cluster/resources", ok, "rows", ""},
			{"report", failed, "595", "systemctl status pvedaemon"},
		}},
		{"hung storage", pvetest.Auditor, func(s *pvetest.Server, _ *Source) { s.HangDaemon() }, []finding{
			{"GET /version", ok, "8.3.5", ""},
			{"GET /access/permissions", ok, "VM.Audit", ""},
			{"GET /nodes/kiefer/status", ok, "kernel", ""},
			{"GET /nodes/kiefer/lxc", failed, "596 Connection timed out", "pvesm status"},
			{"GET /nodes/kiefer/qemu", failed, "596", "pvesm status"},
			{"GET /cluster/resources", ok, "rows", ""},
			{"report", failed, "596", "pvesm status"},
		}},
		{"unknown token", "felhom@pve!unknown", nil, []finding{
			{"GET /version", denied, "401 Authentication failed!", "pveum user token list 'felhom@pve'"},
		}},
		{"wrong node", pvetest.Auditor, func(_ *pvetest.Server, src *Source) { src.node = "eibe" }, []finding{
			{"GET /version", ok, "8.3.5", ""},
			{"GET /access/permissions", ok, "VM.Audit", ""},
			{"GET /nodes/eibe/status", failed, "hostname lookup 'eibe' failed", "pvesh get /nodes"},
			{"GET /nodes/eibe/lxc", failed, "hostname lookup", "pvesh get /nodes"},
			{"GET /nodes/eibe/qemu", failed, "hostname lookup", "pvesh get /nodes"},
			{"GET /cluster/resources", ok, "rows", ""},
			{"report", failed, "hostname lookup", "pvesh get /nodes"},
		}},
		{"renewed certificate", pvetest.Auditor, func(s *pvetest.Server, src *Source) {
			src.client = newClient(s.URL, pvetest.Auditor, pvetest.Secret, &api2.Trust{Pin: s.Fingerprint()})
			s.Rotate()
		}, []finding{{"GET /version", failed, "it was renewed", "pvenode cert info"}}},
		{"foreign certificate", pvetest.Auditor, func(s *pvetest.Server, src *Source) {
			src.client = newClient(s.URL, pvetest.Auditor, pvetest.Secret, &api2.Trust{})
		}, []finding{{"GET /version", failed, "certificate not trusted", "/etc/pve/pve-root-ca.pem"}}},
		{"nothing there", pvetest.Auditor, func(_ *pvetest.Server, src *Source) { src.client.Base = "https://127.0.0.1:1" },
			[]finding{{"GET /version", failed, "connection refused", "systemctl status pveproxy"}}},
		{"stalled", pvetest.Auditor, func(s *pvetest.Server, src *Source) {
			s.Break("/version", pvetest.Stall)
			src.client.quick = 50 * time.Millisecond
		}, []finding{{"GET /version", failed, "no answer in time", "pvesm status"}}},
		{"not Proxmox", pvetest.Auditor, func(s *pvetest.Server, _ *Source) { s.Break("/version", pvetest.Body("<html>")) },
			[]finding{{"GET /version", failed, "not JSON", "is this Proxmox VE"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := pvetest.Start(t, pvetest.PVE83)
			src := source(t, s, c.token)
			if c.spoil != nil {
				c.spoil(s, src)
			}
			got := src.Describe(t.Context())
			if len(got) < len(c.want) {
				t.Fatalf("got %d findings, want %d: %+v", len(got), len(c.want), got)
			}
			for i, w := range c.want {
				g := got[i]
				if g.Question != w.question || g.Status != w.status || !strings.Contains(g.Found, w.found) || !strings.Contains(g.Hint+g.Grant, w.hint) {
					t.Errorf("got %+v, want %+v", g, w)
				}
			}
			for _, g := range got {
				if g.Status == ok && g.Hint+g.Grant != "" || g.Bad() && g.Hint+g.Grant == "" || g.Deletes && g.Bad() {
					t.Errorf("status and hint do not fit: %+v", g)
				}
			}
		})
	}
}

// TestDescribeTellsOfEveryCollection: what was read and denied, with the command
// that grants it, and marked where that right can delete.
func TestDescribeTellsOfEveryCollection(t *testing.T) {
	const ok, denied, no = messages.SectionOK, messages.SectionDenied, messages.SectionNotConfigured
	want := map[string]map[string]messages.SectionStatus{
		pvetest.Auditor: {"storage_targets": ok, "backups": ok, "backup_jobs": ok, "restore_tests": no, "audit_tail": ok, "disks": ok, "zfs_pools": ok,
			"cluster": ok, "GET /nodes/kiefer/storage/local/content": no, "GET /nodes/kiefer/storage/pbs-keller/content": no},
		pvetest.BackupLister: {"backups": ok, "GET /nodes/kiefer/storage/local/content": ok, "GET /nodes/kiefer/storage/pbs-keller/content": ok},
		pvetest.NodeHalf:     {"storage_targets": denied, "backups": denied, "backup_jobs": denied, "audit_tail": ok, "disks": ok, "zfs_pools": denied, "cluster": denied},
		pvetest.NoStorage:    {"GET /access/permissions": denied, "storage_targets": denied, "backups": denied, "backup_jobs": ok, "cluster": ok},
	}
	for token, rows := range want {
		got := map[string]api2.Finding{}
		for _, f := range source(t, pvetest.Start(t, pvetest.PVE9), token).Describe(t.Context()) {
			got[f.Question] = f
		}
		for question, status := range rows {
			f, found := got[question]
			if !found || f.Status != status {
				t.Errorf("%s: %s: got %+v, want %s", token, question, f, status)
			}
			if status == denied && f.Grant != "pveum acl modify / --users 'felhom@pve' --roles PVEAuditor && pveum acl modify / --tokens '"+token+"' --roles PVEAuditor" {
				t.Errorf("%s: %s: grant %q", token, question, f.Grant)
			}
			if sizes := strings.HasSuffix(question, "/content") && status == no; sizes != f.Deletes || sizes && !strings.Contains(f.Grant, "VM.Backup") {
				t.Errorf("%s: %s: %+v, want a grant that is marked", token, question, f)
			}
		}
	}
}
