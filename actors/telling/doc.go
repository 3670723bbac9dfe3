// Package telling decides who hears of what, and when: it keeps the Book of all
// alarms that are open or not told yet.
//
// The hub's writer owns the Book. It lets it Hear every event in the batch that the
// event is in, and Tell at the batch's end: what the Book then adds to the batch
// (deliveries, the rows of its alarms, and a few events of its own) becomes durable
// with the events or not at all. So a restart goes on from the rows, and nothing is
// told twice or never.
//
// Hearing decides nothing but that something is pending. Who hears of it is decided
// when it is told, group_wait later, by what is known then:
//
//	route.go      which routes want it: their filter, and who has a say at all
//	silence.go    whether maintenance covers it: it waits, and is dropped if it ends in there
//	inhibit.go    whether its host is down, which says it all
//	incident.go   whether it is one of many: mass silence is told once
//	flapping.go   whether it comes and goes all the time
//	reminder.go   whether it is to be told again: reminders, escalation
//	quiet.go      whether the route wants to sleep
//
// It is pure: instants, numbers and the size of the fleet come in as arguments.
package telling
