// Package dashboard is the hub's pages: what needs attention now, the fleet, a
// host's past, and the few buttons an operator needs at three in the morning.
//
// It is not the API, and decides nothing: what it asks is the interface Hub, and
// what it is told it shows. Pages are made on the server and work without script;
// the scripts beside them keep a page up to date, draw graphs, and search while one types.
//
// The idea to hold: every name on a page came from a stranger. Templates escape
// all of it, no value is ever marked as safe, no script or style stands in a page,
// and figures for graphs are fetched as JSON.
//
//	board    the fleet in memory, kept up by what becomes durable; a large one only while somebody looks
//	live     one patch a tick, for all viewers of the same hosts
//	pages    first, host, customer, events, deliveries, silences, settings
package dashboard
