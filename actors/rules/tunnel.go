package rules

import "felhom.eu/messages"

// missesOfTunnel is how many reports in a row make a tunnel down.
const missesOfTunnel = 2

// tunnel tells of one that was active and is not, two reports in a row. A host that
// never had one misses none.
func (j *judge) tunnel() {
	t := &j.Tunnel
	switch status := j.r.Cloudflared.Status; {
	case status == "active":
		t.Seen, t.Missed = true, 0
		j.healthy(messages.RuleTunnel, named("cloudflared"), "tunnel is active again")
	case status == "" || status == messages.TunnelUnknown || !t.Seen:
	default:
		t.Missed = min(t.Missed+1, missesOfTunnel)
		if t.Missed < missesOfTunnel {
			j.wait(0)
			return
		}
		j.failing(messages.RuleTunnel, named("cloudflared"), alarm{
			typ: messages.TunnelDown, severity: messages.SeverityCritical, reason: status,
			words: "tunnel is down: cloudflared is " + Clean(status, maxTitle),
		})
	}
}
