package messages

import "testing"

func factsOf(t *testing.T, fields string) uint64 {
	t.Helper()
	var s Summary
	if fields == "" {
		fields = `"x":0`
	}
	if err := Scan([]byte(report(fields)), &s); err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	return s.FactsHash
}

// A report that says nothing new to a rule is not read in full: what differs in
// every report must not count.
func TestFactsHashPassesOverWhatNoRuleLooksAt(t *testing.T) {
	for _, same := range [][2]string{
		{`"sequence":1`, `"sequence":2,"reported_at":"2026-06-08T14:20:09Z","stream":"x","boot_id":"y","agent_version":"1"`},
		{`"host":{"uptime_seconds":1,"load_1m":2}`, `"host":{"uptime_seconds":2,"load_1m":1,"cpu_used_ratio":0.5}`},
		{`"host":{"root_total_bytes":1000,"root_used_bytes":851}`, `"host":{"root_total_bytes":1000,"root_used_bytes":859}`},
		{`"host":{"root_total_bytes":1000,"root_used_bytes":100}`, `"host":{"root_total_bytes":1000,"root_used_bytes":399}`},
		{`"backups":[],"disks":[]`, ``},
		{`"audit_tail":[{"upid":"a"}],"backup_jobs":[{"id":"b"}],"cluster":{"name":"c"}`, ``},
		{`"cluster":{"name":"c","quorate":true,"members":[{"node":"a","online":true}]}`, `"cluster":{"members":[{"node":"a","online":false},{"node":"b"}]}`},
		{`"guests":[{"vmid":100,"uptime_seconds":1,"memory_used_bytes":5}]`, `"guests":[{"vmid":100,"uptime_seconds":2,"cpu_used_ratio":1}]`},
		{`"storage_targets":[{"storage":"a","total_bytes":1000,"used_bytes":851,"available_bytes":149}]`,
			`"storage_targets":[{"storage":"a","total_bytes":1000,"used_bytes":859,"available_bytes":141}]`},
		{`"zfs_pools":[{"name":"a","health":"ONLINE","free_bytes":1}]`, `"zfs_pools":[{"name":"a","health":"ONLINE","free_bytes":2}]`},
		{`"sections":{"backups":{"status":"denied","detail":"a"}}`, `"sections":{"backups":{"status":"denied","detail":"b"}}`},
	} {
		if a, b := factsOf(t, same[0]), factsOf(t, same[1]); a != b {
			t.Errorf("%s and %s differ", same[0], same[1])
		}
	}
}

// A change that a rule must see changes the hash: else an alarm would not be raised.
func TestFactsHashSeesWhatRulesLookAt(t *testing.T) {
	seen := map[uint64]string{}
	for _, fields := range []string{
		``,
		`"host":{"root_total_bytes":1000,"root_used_bytes":849}`,
		`"host":{"root_total_bytes":1000,"root_used_bytes":850}`,
		`"cloudflared":{"status":"active"}`,
		`"guests":[{"vmid":100}]`,
		`"guests":[{"vmid":100,"status":"running"}]`,
		`"guests":[{"vmid":100,"onboot":true}]`,
		`"guests":[{"vmid":100,"tags":["a"]}]`,
		`"guests":[{"vmid":100,"tags":["b"]}]`,
		`"guests":[{"vmid":100,"lock":"backup"}]`,
		`"backups":[{"vmid":100}]`,
		`"restore_tests":[{"vmid":100}]`,
		`"pbs_snapshots":[{"vmid":100}]`,
		`"storage_targets":[{"storage":"a"}]`,
		`"storage_targets":[{"storage":"b"}]`,
		`"storage_targets":[{"storage":"a","active":true}]`,
		`"storage_targets":[{"storage":"a","total_bytes":1000,"used_bytes":849}]`,
		`"storage_targets":[{"storage":"a","total_bytes":1000,"used_bytes":850}]`,
		`"storage_targets":[{"storage":"a","total_bytes":1e3,"used_bytes":9.6e2}]`,
		`"pbs_datastores":[{"server":"a","datastore":"b"}]`,
		`"pbs_datastores":[{"server":"a","datastore":"b","total_bytes":100,"used_bytes":90}]`,
		`"pbs_datastores":[{"server":"a","datastore":"b","groups_missing":"denied"}]`,
		`"disks":[{"device":"a","health":"PASSED"}]`,
		`"disks":[{"device":"a","health":"FAILED!"}]`,
		`"disks":[{"device":"a","wear_ratio":0.9}]`,
		`"zfs_pools":[{"name":"a","health":"ONLINE"}]`,
		`"zfs_pools":[{"name":"a","health":"DEGRADED"}]`,
		`"cluster":{"members":[{"node":"a","vmids":[100]}]}`,
		`"cluster":{"members":[{"node":"a","vmids":[100,101]}]}`,
		`"sections":{"backups":{"status":"denied"}}`,
		`"sections":{"backups":{"status":"ok"}}`,
		`"sections":{"disks":{"status":"ok"}}`,
	} {
		h := factsOf(t, fields)
		if before, ok := seen[h]; ok {
			t.Errorf("%s hashes as %s", fields, before)
		}
		seen[h] = fields
	}
}

// Collections that came later may be anything: an agent of another time is heard.
func TestLaterCollectionsRefuseNothing(t *testing.T) {
	for _, fields := range []string{
		`"disks":1`, `"disks":null`, `"disks":{"a":1}`, `"zfs_pools":["x",null,{"name":5,"health":[]}]`,
		`"cluster":7`, `"cluster":null`, `"cluster":{"members":7}`, `"cluster":{"members":[7,{"vmids":"x","node":[]}],"name":{}}`,
		`"pbs_datastores":[{"total_bytes":"many","used_bytes":-1}]`, `"pbs_datastores":[{"total_bytes":0,"used_bytes":5}]`,
		`"guests":[{"vmid":100,"onboot":"yes","tags":7,"lock":{}}]`, `"storage_targets":[{"total_bytes":null,"active":3}]`,
	} {
		agree(t, []byte(report(fields)))
		factsOf(t, fields)
	}
}

func BenchmarkDecodeFacts(b *testing.B) {
	benchmark(b, func(body []byte) error { _, err := DecodeFacts(body); return err })
}
