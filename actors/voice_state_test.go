package actors

import (
	"slices"
	"testing"
	"time"

	"felhom.eu/messages"
)

// TestTwoVoices protects a host that lives from looking silent, and its state
// from two machines that tell it in turn.
func TestTwoVoices(t *testing.T) {
	type send struct {
		minute           int // of the hub's clock
		stream, sequence uint64
		sent, made       int // minutes, by the agent's clock
		want             verdict
		contact          bool
	}
	now := func(minute int, stream, sequence uint64, want verdict) send {
		return send{minute, stream, sequence, minute, minute, want, true}
	}
	late := func(minute int, stream, sequence uint64, sent int, want verdict) send {
		return send{minute, stream, sequence, sent, sent, want, false}
	}
	tests := []struct {
		name  string
		sends []send
		told  string
	}{
		{"a late copy is no contact", []send{now(0, 1, 1, fresh), now(15, 1, 2, fresh), late(40, 1, 1, 0, repeat), late(50, 1, 2, 15, repeat)}, ""},
		{"a late copy of a stream that ended", []send{now(0, 1, 1, fresh), now(15, 2, 1, fresh), late(40, 1, 2, 14, older)}, ""},
		{"a retry is a contact", []send{now(0, 1, 1, fresh), {5, 1, 1, 5, 0, repeat, true}}, ""},
		{"a replay is a contact", []send{now(0, 1, 1, fresh), now(30, 1, 3, fresh), {35, 1, 2, 35, 15, older, true}}, ""},
		{"set back in a stream", []send{now(0, 1, 1, fresh), now(15, 1, 2, fresh), now(30, 1, 3, fresh), now(45, 1, 4, fresh),
			now(60, 1, 2, repeat), now(75, 1, 3, repeat), now(90, 1, 4, fresh), now(105, 1, 5, fresh)}, ""},
		{"set back behind what is known", []send{now(0, 1, 1, fresh), now(15, 1, 90, fresh), now(30, 1, 2, older), now(45, 1, 3, older), now(60, 1, 4, fresh)}, ""},
		{"set back to a stream that ended", []send{now(0, 1, 1, fresh), now(15, 2, 1, fresh), now(30, 1, 2, older), now(45, 1, 3, older), now(60, 1, 4, fresh), late(70, 2, 1, 15, older)}, ""},
		{"the one in turn speaks again in time", []send{now(0, 1, 1, fresh), now(15, 2, 1, fresh), now(30, 1, 2, older), now(45, 1, 3, older), now(46, 2, 2, fresh), now(60, 1, 4, older)}, "host_cloned"},
		{"in turn", []send{now(0, 1, 1, fresh), now(5, 2, 1, fresh), now(15, 1, 2, older), now(20, 2, 2, fresh), now(30, 1, 3, older), now(35, 2, 3, fresh), now(45, 1, 4, older)}, "host_cloned"},
		{"three in turn", []send{now(0, 1, 1, fresh), now(5, 2, 1, fresh), now(6, 3, 1, fresh), now(15, 1, 2, older), now(20, 2, 2, older), now(21, 3, 2, fresh), now(30, 1, 3, older)}, "host_cloned"},
		{"an agent that is started often", []send{now(0, 1, 1, fresh), now(1, 2, 1, fresh), now(2, 3, 1, fresh), now(3, 4, 1, fresh), now(4, 5, 1, fresh), now(5, 6, 1, fresh)}, ""},
		{"two, then one", []send{now(0, 1, 1, fresh), now(5, 2, 1, fresh), now(15, 1, 2, older), now(20, 2, 2, fresh), now(30, 1, 3, older), now(35, 2, 3, fresh), now(100, 2, 4, fresh), now(210, 2, 5, fresh), now(230, 2, 6, fresh)}, "host_cloned clone_gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, told := newHost, []messages.Event(nil)
			for i, m := range tt.sends {
				r := messages.Summary{StreamHash: m.stream, Sequence: m.sequence, BootHash: 1,
					SentAt:     worldBegan.Add(time.Duration(m.sent) * time.Minute).UnixNano(),
					ReportedAt: worldBegan.Add(time.Duration(m.made) * time.Minute).UnixNano()}
				next, v, events := heard(s, &r, momentAt(time.Duration(m.minute)*time.Minute))
				if v != m.want {
					t.Errorf("report %d: got verdict %d, want %d", i, v, m.want)
				}
				if contacted := i == 0 || next.ContactHeard != s.ContactHeard; contacted != m.contact {
					t.Errorf("report %d: contact %t", i, contacted)
				}
				if stored := next.Stream == m.stream && next.Sequence == m.sequence; v == fresh && !stored {
					t.Errorf("report %d: fresh, but the state is of another", i)
				}
				s, told = next, append(told, events...)
			}
			if got := types(told); got != tt.told {
				t.Errorf("told %q, want %q", got, tt.told)
			}
			if i := slices.IndexFunc(told, func(e messages.Event) bool { return e.IncidentID == "" || e.IncidentID != told[0].IncidentID }); i >= 0 {
				t.Errorf("event %d is of incident %q", i, told[i].IncidentID)
			}
		})
	}
}

// TestManyClonesOfATemplate protects the fleet's list from a template that was
// made with its agent: whichever of its many machines speaks, it is not a reboot
// of the one before.
func TestManyClonesOfATemplate(t *testing.T) {
	s, told := newHost, []messages.Event(nil)
	for i := range 60 {
		now := momentAt(time.Duration(100+i) * time.Minute)
		machine := uint64(1 + i%10)
		r := messages.Summary{StreamHash: machine, Sequence: uint64(1 + i/10), BootHash: machine, UptimeSecs: uint32(3600 + 60*i),
			SentAt: now.Wall.UnixNano(), ReportedAt: now.Wall.UnixNano()}
		next, v, events := heard(s, &r, now)
		if v == fresh && machine != 1 {
			t.Fatalf("report %d of machine %d became the state", i, machine)
		}
		s, told = next, append(told, events...)
	}
	if got := types(told); got != "host_cloned" {
		t.Errorf("told %q", got)
	}
}
