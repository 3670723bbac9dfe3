package load

import (
	"crypto/rand"
	"encoding/base32"
	"time"

	"felhom.eu/messages"
)

// Host is one reporting host. It belongs to one run at a time; its sequence
// goes on from run to run, and so does a report that was never answered, which
// is sent again as it was.
type Host struct {
	ID     messages.HostID
	Key    messages.Secret
	Stream string

	machine  int    // which template
	sequence uint64 // of the last report answered, or of the open one
	openAt   int64  // reported_at of the report not answered yet; 0: none
}

// NewHost is the i-th host of a fleet, with a stream of its own.
func NewHost(i int, id messages.HostID, key messages.Secret) *Host {
	return &Host{ID: id, Key: key, Stream: newStream(), machine: i}
}

// newStream makes a ULID-shaped name. Its time is 0; hubs take streams as text.
func newStream() string {
	const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var r [10]byte
	rand.Read(r[:])
	return "0000000000" + base32.NewEncoding(crockford).EncodeToString(r[:])
}

// next is the sequence and instant of the report to send now: the unanswered
// one, or a new one at now.
func (h *Host) next(now int64) (sequence uint64, at int64) {
	if h.openAt == 0 {
		h.sequence++
		h.openAt = now
	}
	return h.sequence, h.openAt
}

// Open is the report that was sent and never answered, if there is one: a hub
// may have kept it.
func (h *Host) Open() (a Ack, ok bool) {
	return Ack{Host: h, Sequence: h.sequence, At: h.openAt}, h.openAt != 0
}

// Ack is a report that was answered 200.
type Ack struct {
	Host     *Host
	Sequence uint64
	At       int64 // reported_at, seconds of Unix time

	AnsweredAt time.Time // when the answer had been read; zero when none came
}

// Body is the report's body, byte for byte as it was sent.
func (a Ack) Body() []byte { return a.Host.appendBody(nil, a.Sequence, a.At) }

// FirstBody is the body of a first report at an instant (seconds of Unix time),
// for a store that is filled without a hub. The host's next report is its own first.
func (h *Host) FirstBody(at int64) []byte { return h.appendBody(nil, 1, at) }
