// Package rules says what reports mean: pure rules, each in a file of its own,
// from what is remembered of a host and what its newest report says to what is
// remembered next and what is to be told. They know neither engine nor store nor
// clock.
//
// Three ideas hold them together:
//
//   - A collection that nobody vouches for is unknown. It opens no problem and ends
//     none; only that it stays unknown is told (section.go).
//   - A problem is open once for each rule and subject, from its first alarm to its
//     recovery, which share an incident. It is told again only when it is another
//     alarm of the rule or worse than before (judge.go).
//   - What time alone can make true (a backup grows too old) is looked at when it is
//     due, at the first report from then on: a host that is silent has an alarm of
//     its own, and none of these.
//
// Chain shows the same facts as a guest's chain of protection: backed up →
// verified → restore-tested.
package rules
