// Package text says in words what a delivery tells: a subject that fits a phone's
// lock screen, a few plain lines, and the same as HTML for mail. It does no I/O and
// knows no channel; how a channel escapes and shortens a message is the channel's.
//
// The idea to hold while reading: a message is a function of its delivery and of
// the delivery's events alone. Every try of a delivery says the same, however late,
// so that durations are counted up to the delivery's own instants and never to now.
//
//	events ──fold──▶ items (one an incident, a guest fold, an outage of many) ──▶ Message
//
// Names come from reports and are hostile: here they lose control characters, line
// ends and marks of direction, and get a bound; what is markup to one channel only
// is escaped there.
package text
