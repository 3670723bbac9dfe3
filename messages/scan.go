package messages

// Summary is what the hub takes from a report on its way in. Its strings are
// copies: they outlive the scanned body.
type Summary struct {
	HostID       HostID
	ReportedAt   int64 // Unix nanoseconds, agent's clock; 0 when absent
	SentAt       int64 // Unix nanoseconds, the request's Date header; 0 when absent; set by the caller, left alone by Scan
	AgentVersion string
	StreamHash   uint64 // HashText of stream; 0 when absent
	Sequence     uint64
	BootHash     uint64 // HashText of boot_id; 0 when absent
	UptimeSecs   uint32 // host.uptime_seconds, capped
	GuestHash    uint64 // of vmid, kind, name, status, controller_version, spec of every guest in order; never 0
	Figures      Figures
}
