// Package restore reads what an operator's script says of its test restores:
// one JSON file a test, dropped into a directory that the agent only reads.
//
//	{
//	  "vmid": 110,                           the guest whose backup it was
//	  "level": "checked",                    restored, booted or checked
//	  "ok": true,                            what the test found
//	  "started_at": "2026-03-14T05:00:00Z",  or seconds since 1970
//	  "scratch_vmid": 910,                   the rest may be left out
//	  "source": "local:backup/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst",
//	  "duration_seconds": 93,
//	  "detail": "http 200 after 41 s",
//	  "checked_by": "restore-test.sh"
//	}
//
// A level says how far the test went, ok how it ended there: a guest that was
// restored and did not boot is {"level": "booted", "ok": false}. Numbers may be
// strings, unknown fields are ignored. A verification of checksums, as a backup
// server does, is no level: it restores nothing.
//
// Write a file under another name and rename it to *.json, so that no half of it
// is read. The newest MaxFiles by name count; a file is at most MaxBytes; what is
// no plain file is left alone. What cannot be read costs itself only.
package restore
