package rules

import (
	"slices"

	"felhom.eu/messages"
)

// Reopen is the open problems of a host as its alarms tell of them: what a standing that
// was lost begins anew with, so that what was told is not told again, and ends aloud.
func Reopen(alarms []messages.Alarm) (problems []messages.Problem) {
	for i := range alarms {
		a := &alarms[i]
		rule, ok := ruleOf(a.Type)
		if !ok || !a.Open() {
			continue
		}
		of := subject{vmid: a.VMID, name: a.Subject}
		p := messages.Problem{Rule: rule, Subject: of.key(), Incident: a.ID, Since: a.OpenedAt.Unix(),
			Severity: a.Severity, Told: []messages.EventType{a.Type}}
		if !slices.ContainsFunc(problems, func(x messages.Problem) bool { return x.Rule == p.Rule && x.Subject == p.Subject }) {
			problems = append(problems, p)
		}
	}
	return problems
}

// ruleOf is the rule that tells an alarm of this type.
func ruleOf(t messages.EventType) (messages.Rule, bool) {
	for rule, recovery := range recoveries {
		if t.Recovery() == recovery {
			return rule, true
		}
	}
	return "", false
}
