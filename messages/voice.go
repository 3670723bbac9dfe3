package messages

// Voice is a second speaker with a host's key, beside the stream that its state
// is of: a clone of the machine, or the machine itself, set back to a snapshot of
// its memory. Few hosts ever have one. It is replaced, never changed in place.
type Voice struct {
	Stream   uint64     // hash, as HostState.Stream; the same one when it counts anew from a lower number
	BootHash uint64     // of its newest report
	Sequence uint64     // likewise
	Alone    bool       // it spoke last
	Turns    uint8      // how often the other of the two spoke
	Since    Listened   // while Alone: its first report that the stream in turn has not answered
	HeardAt  Listened   // the last turn
	Incident IncidentID // open from host_cloned to clone_gone
}
