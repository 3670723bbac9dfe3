package messages

import (
	"fmt"
	"strings"
	"time"
)

// ControllerID names a controller among those of its customer:
// [a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?.
type ControllerID string

const maxControllerID = 64

// Bounds of what a controller says of its own interval.
const (
	MinControllerInterval = 60
	MaxControllerInterval = 7 * 86400
)

// ParseControllerID checks s against the grammar of controller ids.
func ParseControllerID(s string) (ControllerID, error) {
	if !validControllerID(s) {
		return "", fmt.Errorf("controller_id %.80q: %w; want a-z, 0-9 and inner . _ -, at most %d", s, ErrBadID, maxControllerID)
	}
	return ControllerID(s), nil
}

func validControllerID[T ~string | ~[]byte](s T) bool {
	if len(s) == 0 || len(s) > maxControllerID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		inner := i > 0 && i < len(s)-1 && (c == '.' || c == '_' || c == '-')
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !inner {
			return false
		}
	}
	return true
}

// ControllerName names a controller in the whole fleet. The zero value names none.
type ControllerName struct {
	CustomerID CustomerID
	ID         ControllerID
}

// String is <customer_id>/<controller_id>: no host's id has a slash.
func (n ControllerName) String() string { return string(n.CustomerID) + "/" + string(n.ID) }

// CutControllerName takes String apart; ok is false for what has no slash.
func CutControllerName(s string) (n ControllerName, ok bool) {
	customer, id, ok := strings.Cut(s, "/")
	if !ok {
		return ControllerName{}, false
	}
	return ControllerName{CustomerID(customer), ControllerID(id)}, true
}

// ControllerReport is what the hub reads of a controller's report: any JSON object
// that names its controller. All else in it is kept with the body.
type ControllerReport struct {
	ID              ControllerID
	GuestID         GuestID // the guest it runs in; "" when it did not say
	Version         string  // at most 64 bytes of it
	IntervalSeconds uint32  // how often it reports; 0: as often as the hub asks
}

// ControllerState is what is known of a controller: it comes to be with its first
// report. Instants are nanoseconds of Unix time on the hub's clock.
type ControllerState struct {
	ControllerName
	GuestID      GuestID
	Version      string
	Phase        Phase
	PhaseSince   int64
	FirstSeenAt  int64
	ContactAt    int64    // wall clock of the newest report, for people
	ContactHeard Listened // the same moment in listening time, for the switch
	IntervalSecs uint32
	Incident     IncidentID // open from controller_stale to controller_recovered
	Last         ReportRef  // the newest report's body
}

// ContactTime is ContactAt as an instant in UTC.
func (s *ControllerState) ContactTime() time.Time { return time.Unix(0, s.ContactAt).UTC() }

const (
	controllerID = iota
	controllerGuestID
	controllerVersion
	controllerInterval
)

var controllerShape = shapeOf([]string{
	controllerID:       "controller_id",
	controllerGuestID:  "guest_id",
	controllerVersion:  "version",
	controllerInterval: "interval_seconds",
})

// ScanController checks a controller's report as strictly as Scan checks a host's,
// but for its fields: it is any JSON object with a controller_id. guest_id, version
// and interval_seconds are read when they are there. It keeps nothing of body. The
// error is an *InvalidError.
func ScanController(body []byte) (ControllerReport, error) {
	p := scanners.Get().(*scanner)
	p.start(body)
	r := p.controller()
	err := p.finish()
	scanners.Put(p)
	if err != nil {
		return ControllerReport{}, err
	}
	return r, nil
}

func (p *scanner) controller() (r ControllerReport) {
	p.space()
	o := p.object(controllerShape)
	for p.next(&o) {
		switch o.field {
		case controllerID:
			b := p.text()
			if p.err == nil && !validControllerID(b) {
				p.fail(fmt.Sprintf("malformed; want a-z, 0-9 and inner . _ -, at most %d", maxControllerID))
			}
			r.ID = ControllerID(b)
		case controllerGuestID:
			b := string(p.text())
			if _, err := ParseGuestID(b); p.err == nil && err != nil {
				p.fail("malformed; want <host_id>/<vmid>")
			}
			r.GuestID = GuestID(b)
		case controllerVersion:
			r.Version = string(clip(p.text(), maxWord))
		case controllerInterval:
			n := p.uint()
			if p.err == nil && (n < MinControllerInterval || n > MaxControllerInterval) {
				p.fail(fmt.Sprintf("want %d to %d", MinControllerInterval, MaxControllerInterval))
			}
			r.IntervalSeconds = uint32(n)
		}
	}
	if o.seen&(1<<controllerID) == 0 {
		p.missing(controllerShape.names[controllerID])
	}
	return r
}
