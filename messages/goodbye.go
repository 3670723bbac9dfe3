package messages

import "fmt"

// MaxReasonLen is the bytes that a goodbye's reason may have.
const MaxReasonLen = 256

const (
	goodbyeHostID = iota
	goodbyeSentAt
	goodbyeReason
	goodbyeBackBy
	goodbyeStream
)

var goodbyeShape = shapeOf([]string{
	goodbyeHostID: "host_id",
	goodbyeSentAt: "sent_at",
	goodbyeReason: "reason",
	goodbyeBackBy: "back_by",
	goodbyeStream: "stream",
})

// DecodeGoodbye reads a goodbye as strictly as Scan reads a report. host_id and
// sent_at are required. The error is an *InvalidError.
func DecodeGoodbye(body []byte) (Goodbye, error) {
	p := scanners.Get().(*scanner)
	p.start(body)
	g := p.goodbye()
	err := p.finish()
	scanners.Put(p)
	if err != nil {
		return Goodbye{}, err
	}
	return g, nil
}

func (p *scanner) goodbye() (g Goodbye) {
	p.space()
	o := p.object(goodbyeShape)
	for p.next(&o) {
		switch o.field {
		case goodbyeHostID:
			g.HostID = p.hostID("")
		case goodbyeSentAt:
			g.SentAt = p.instant().UTC()
		case goodbyeReason:
			g.Reason = p.reason()
		case goodbyeBackBy:
			t := p.instant().UTC()
			g.BackBy = &t
		case goodbyeStream:
			g.Stream = string(p.stream())
		}
	}
	for _, field := range [...]int{goodbyeHostID, goodbyeSentAt} {
		if o.seen&(1<<field) == 0 {
			p.missing(goodbyeShape.names[field])
		}
	}
	return g
}

func (p *scanner) reason() string {
	b := p.text()
	if len(b) > MaxReasonLen {
		p.fail(fmt.Sprintf("longer than %d bytes", MaxReasonLen))
		return ""
	}
	return string(b)
}
