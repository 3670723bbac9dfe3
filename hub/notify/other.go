package notify

import (
	"context"
	"fmt"
	"net/url"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/matrix"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

const maxOther = 1800 // bytes; the least that one of them takes is 2000

// checkOther reads a URL as the service does. None of them makes a call for that,
// but Matrix, which signs in.
func checkOther(u *url.URL) error {
	_, err := (&router.ServiceRouter{}).Locate(u.String())
	return err
}

func checkMatrix(u *url.URL) error { return (&matrix.Config{}).SetURL(u) }

// sendOther sends through shoutrrr. The service is made anew for every try: it keeps
// what it is told.
func sendOther(ctx context.Context, s *Sender, l letter) Result {
	call := &caught{ctx: ctx, client: s.checked}
	err := error(nil)
	theCatcher().during(call, func() { err = sendService(&l) })
	switch {
	case !call.called && err == nil: // it never spoke to anybody
		return Result{Permanent: true, Text: "the service sent nothing"}
	case !call.called:
		return Result{Permanent: true, Text: words(err)}
	case !call.result.OK:
		return call.result
	case err != nil: // it did not like the answer
		return Result{Status: call.result.Status, Text: words(err)}
	}
	return call.result
}

// sendService is one try through shoutrrr; a panic of it is an error.
func sendService(l *letter) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the service's sender broke: %v", v)
		}
	}()
	service, err := (&router.ServiceRouter{}).Locate(ported(*l.url).String())
	if err != nil {
		return err
	}
	lines := []string{anyMarkup(l.Subject)}
	for _, line := range l.Below() {
		lines = append(lines, anyMarkup(line))
	}
	said := clipped(lines, maxOther)
	if l.Link != "" {
		said += "\n" + l.Link
	}
	return service.Send(said, paramsOf(l))
}

// ported is a URL of PagerDuty's with the port that it has when it names none:
// shoutrrr 0.13.2 calls port 0.
func ported(u url.URL) *url.URL {
	if u.Scheme == "pagerduty" && u.Port() == "" {
		u.Host += ":443"
	}
	return &u
}

// paramsOf are what a pager is told beside the words: which messages are of one
// incident, and that it is over, so that a recovery does not page.
func paramsOf(l *letter) *types.Params {
	p := types.Params{}
	switch {
	case l.url.Scheme == "pagerduty" && l.Thread != "":
		p["dedup_key"], p["severity"], p["action"] = string(l.Thread), l.Severity.String(), "trigger"
		if l.Over {
			p["action"] = "resolve"
		}
	case l.url.Scheme == "opsgenie" && l.Thread != "":
		p["alias"] = string(l.Thread)
	}
	return &p
}
