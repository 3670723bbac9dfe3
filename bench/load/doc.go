// Package load speaks for many hosts at once: it renders their reports, sends
// them over keep-alive HTTP/1.1 connections and remembers which were answered
// 200. It costs little CPU (about 5 µs a report), because the hub under test
// shares the machine with it.
//
// It is for loopback only and every run is bounded in time or in number.
//
// The idea to hold: a report's bytes follow from (host, sequence, instant)
// alone. So an Ack of a few words is enough to ask a hub, after any number of
// crashes, for exactly the body it promised to keep.
package load
