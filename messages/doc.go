// Package messages is the language Felhom speaks: the wire contract between
// agent and hub, the identifiers and units both use, and the records that
// actors hand to storage. It imports the standard library and nothing else, so
// every other room may import it.
//
// Three groups of words:
//
//   - The wire: Report, Goodbye, Envelope, ErrorBody. One Go type serves both
//     programs. Scan is the hub's way in (one validating pass, no allocation);
//     Decode is the obvious decoder that holds Scan to its verdicts.
//   - The facts: Customer, Host, HostState, Key, Guest records, Route, Event,
//     Delivery. Plain values; an instant is UTC and names its clock.
//   - The Batch: all durable change is a Batch of such facts, decided before it
//     is written, and applied by one function in storage.
//
// Values are never changed after they were sent.
package messages
