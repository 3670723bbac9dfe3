package pbs

import (
	"slices"
	"strings"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// trouble is something about a server that is unknown, or known in part.
type trouble struct {
	section string                 // of the report; "" spoils all of them
	status  messages.SectionStatus // ok: a remark only
	text    string
	store   string // the datastore it is about; "" the whole server
	path    string // where the right is missing that would mend it; "" when none would
	later   bool   // the next collections will mend it by themselves
	err     error  // nil when the server did not refuse but kept quiet
}

// refused is the trouble of a question that was not answered.
func refused(section, store, path string, err error) trouble {
	t := trouble{section: section, status: api2.SectionOf(err).Status, text: err.Error(), store: store, err: err}
	if api2.KindOf(err) == api2.KindForbidden {
		t.path = path
	}
	return t
}

// denied is the trouble of a list that cannot be vouched for.
func denied(section, store, path, text string) trouble {
	return trouble{section: section, status: messages.SectionDenied, text: text, store: store, path: path}
}

// String implements fmt.Stringer.
func (t trouble) String() string {
	if t.store == "" {
		return t.text
	}
	return "datastore " + t.store + ": " + t.text
}

// gravity orders statuses; a section is as bad as the worst of its servers.
var gravity = map[messages.SectionStatus]int{messages.SectionOK: 0, messages.SectionDenied: 1, messages.SectionFailed: 2}

// section sums up what the servers' troubles mean for a section of the report.
// The worst come first in the detail, which is bounded.
func section(name string, views []*view) messages.Section {
	if len(views) == 0 {
		return messages.Section{Status: messages.SectionNotConfigured}
	}
	worst := messages.SectionOK
	var texts [3][]string
	for _, v := range views {
		for _, t := range v.troubles {
			if t.section != name && t.section != "" {
				continue
			}
			texts[gravity[t.status]] = append(texts[gravity[t.status]], v.server.name+": "+t.String())
			if gravity[t.status] > gravity[worst] {
				worst = t.status
			}
		}
	}
	var all []string
	for g := len(texts) - 1; g >= 0; g-- {
		slices.Sort(texts[g]) // two questions at once end in any order
		all = append(all, texts[g]...)
	}
	return messages.Section{Status: worst, Detail: api2.OneLine(strings.Join(all, "; "))}
}
