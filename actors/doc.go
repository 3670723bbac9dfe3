// Package actors is the behaviour of both programs: who acts, on what, and who
// may tell whom.
//
// The hub's tree (kinds of actors; one file each):
//
//	hub ─┬─ writer            the one that waits for the disk; commits in groups
//	     ├─ ledger            counts listening time; every second
//	     ├─ registry          which customers and hosts there are
//	     │    └─ host/<id>    one a host: last-report state, staleness timer
//	     ├─ controllers       a staleness switch each, one actor for all
//	     ├─ deadlines         what must have come by a time of day
//	     ├─ ingest            the door: how many are inside, whether it is open
//	     ├─ alert             what was decided to be told
//	     │    └─ route/<id>   one a route: its queue, its retries
//	     ├─ retention         drops days of history
//	     └─ watchdog          tells the outside that the hub is well
//
// Beside it the writer owns the book of alarms (telling/): what is open, what was told
// of it, what is pending. It decides who hears of what in the batch in which it is
// written; alert and its routes carry what it decided.
//
// A branch says who starts and stops whom; none is a child in hollywood's sense.
// There are up to a million hosts, so a host is an actor.Processer of its own, in
// one allocation (host_process.go), and one timer serves them all (alarms.go). The
// hub accepts reports before all of them are up (population.go).
//
// The agent's:
//
//	agent ─┬─ collector       asks the source on a tick; builds reports
//	       └─ reporter        delivers them; backlog and back-off
//
// One idea carries the hub: an actor decides by a pure rule, sends the writer
// what it decided, and believes it only when the writer says that it is on
// stable storage. Until then it has exactly one write in flight and keeps what
// arrives meanwhile in order. So memory is never ahead of the disk, and a
// transition, its event and its deliveries are one write or none.
//
// Controllers have one actor for all, unlike hosts: there are thousands, not a
// million, so that a look at each of them every second costs less than a timer and a
// mailbox of its own would, of memory and of code; and a report of one only passes
// through, since the wait for the disk is the writer's. One that floods holds up its
// own reports alone, which queue behind its one write.
//
// Rules (*_state.go) know neither engine nor clock: state and now come in,
// the next state and events go out.
package actors
