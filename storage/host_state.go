package storage

import (
	"felhom.eu/messages"
)

// flags of a stored HostState.
const (
	stateSkew = 1 << iota
	stateRetired0
	stateRetired1
	stateRetired2
	stateInterval
	stateFacts  // FactsHash and FactsDue are at the end
	stateVoice  // Voice is behind them
	stateFaults // and Faults behind that
)

func (e *encoder) state(s *messages.HostState) {
	e.byte(byte(s.Phase))
	e.byte(bitIf(s.SkewAlarmed, stateSkew) | bitIf(s.Retired[0] != 0, stateRetired0) |
		bitIf(s.Retired[1] != 0, stateRetired1) | bitIf(s.Retired[2] != 0, stateRetired2) |
		bitIf(s.IntervalSecs != 0, stateInterval) | bitIf(s.FactsHash != 0 || s.FactsDue != 0, stateFacts) |
		bitIf(s.Voice != nil, stateVoice) | bitIf(s.Faults != nil, stateFaults))
	e.int(s.PhaseSince)
	e.int(s.ContactAt)
	e.int(int64(s.ContactHeard))
	e.int(s.ReportAt)
	e.int(s.ReportedAt)
	e.uint(uint64(s.UptimeSecs))
	e.int(int64(s.SkewSecs))
	if s.IntervalSecs != 0 {
		e.uint(uint64(s.IntervalSecs))
	}
	e.fixed(s.Stream)
	for _, r := range s.Retired {
		if r != 0 {
			e.fixed(r)
		}
	}
	e.uint(s.Sequence)
	e.fixed(s.Seen)
	e.fixed(s.BootHash)
	e.fixed(s.GuestHash)
	e.text(string(s.Incident))
	e.int(int64(s.HeldUntil))
	e.text(s.HeldReason)
	e.text(s.AgentVersion)
	e.figures(&s.Figures)
	e.ref(s.Last)
	if s.FactsHash != 0 || s.FactsDue != 0 {
		e.fixed(s.FactsHash)
		e.uint(uint64(s.FactsDue))
	}
	if s.Voice != nil {
		e.voice(s.Voice)
	}
	if s.Faults != nil {
		e.int(s.Faults.SkewedAt)
		e.int(s.Faults.OutdatedAt)
	}
}

func (e *encoder) voice(v *messages.Voice) {
	e.fixed(v.Stream)
	e.fixed(v.BootHash)
	e.uint(v.Sequence)
	e.bool(v.Alone)
	e.byte(v.Turns)
	e.int(int64(v.Since))
	e.int(int64(v.HeardAt))
	e.text(string(v.Incident))
}

func (d *decoder) voice() *messages.Voice {
	return &messages.Voice{
		Stream:   d.fixed(),
		BootHash: d.fixed(),
		Sequence: d.uint(),
		Alone:    d.bool(),
		Turns:    d.byte(),
		Since:    messages.Listened(d.int()),
		HeardAt:  messages.Listened(d.int()),
		Incident: messages.IncidentID(d.text()),
	}
}

func (d *decoder) state(key []byte) messages.HostState {
	s := messages.HostState{ID: messages.HostID(key[1:])}
	d.stateInto(&s)
	return s
}

// stateInto fills everything but the ID.
func (d *decoder) stateInto(s *messages.HostState) {
	s.Phase = messages.Phase(d.byte())
	if s.Phase > messages.PhaseDown {
		d.fail(errRange)
	}
	flags := d.byte()
	s.SkewAlarmed = flags&stateSkew != 0
	s.PhaseSince = d.int()
	s.ContactAt = d.int()
	s.ContactHeard = messages.Listened(d.int())
	s.ReportAt = d.int()
	s.ReportedAt = d.int()
	s.UptimeSecs = uint32(d.upTo(1<<32 - 1))
	s.SkewSecs = d.int32()
	if flags&stateInterval != 0 {
		s.IntervalSecs = uint16(d.upTo(1<<16 - 1))
	}
	s.Stream = d.fixed()
	for i := range s.Retired {
		if flags&(stateRetired0<<i) != 0 {
			s.Retired[i] = d.fixed()
		}
	}
	s.Sequence = d.uint()
	s.Seen = d.fixed()
	s.BootHash = d.fixed()
	s.GuestHash = d.fixed()
	s.Incident = messages.IncidentID(d.text())
	s.HeldUntil = messages.Listened(d.int())
	s.HeldReason = d.word()
	s.AgentVersion = d.word()
	s.Figures = d.figures()
	s.Last = d.ref()
	if flags&stateFacts != 0 {
		s.FactsHash = d.fixed()
		s.FactsDue = uint32(d.upTo(1<<32 - 1))
	}
	if flags&stateVoice != 0 {
		s.Voice = d.voice()
	}
	if flags&stateFaults != 0 {
		s.Faults = &messages.Faults{SkewedAt: d.int(), OutdatedAt: d.int()}
	}
}

// guestsUnknown is above what a count of guests can be, and added to it.
const guestsUnknown = 1 << 16

func (e *encoder) figures(f *messages.Figures) {
	total := uint64(f.GuestTotal)
	if f.GuestsUnknown {
		total |= guestsUnknown
	}
	e.ratio(f.CPUUsedRatio)
	e.ratio(f.MemoryUsedRatio)
	e.ratio(f.DiskUsedRatio)
	e.uint(total)
	e.uint(uint64(f.GuestRunning))
	e.text(f.Cloudflared)
}

func (d *decoder) figures() messages.Figures {
	f := messages.Figures{
		CPUUsedRatio:    d.ratio(),
		MemoryUsedRatio: d.ratio(),
		DiskUsedRatio:   d.ratio(),
	}
	total := d.upTo(2*guestsUnknown - 1)
	f.GuestTotal, f.GuestsUnknown = uint16(total), total&guestsUnknown != 0
	f.GuestRunning = uint16(d.upTo(1<<16 - 1))
	f.Cloudflared = d.word()
	return f
}

func (e *encoder) ref(r messages.ReportRef) {
	e.uint(uint64(r.Day))
	e.uint(r.Batch)
	e.uint(uint64(r.Entry))
}

func (d *decoder) ref() messages.ReportRef {
	return messages.ReportRef{
		Day:   uint32(d.upTo(1<<32 - 1)),
		Batch: d.uint(),
		Entry: uint32(d.upTo(1<<32 - 1)),
	}
}

// HostState reads a host's reality as of its last durable change. Errors:
// ErrNotFound when there is no such host, ErrCorrupt.
func (db *DB) HostState(id messages.HostID) (messages.HostState, error) {
	return one(db, textKey(prefixState, id), (*decoder).state)
}
