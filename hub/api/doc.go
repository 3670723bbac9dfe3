// Package api is the hub's face to the network: it takes what agents report,
// answers what operators ask, and serves the dashboard its pages. What it asks of the
// hub is the interface Fleet; it knows no actor and no store.
//
// A request passes four gates, each cheap enough for a stranger to knock at:
//
//	listener   bounds connections in all and per address, survives "too many open files"
//	header     routes on the byte-exact path and authenticates, before a body is read
//	body       bounded, plain or gzip; strict JSON
//	handler    asks the Fleet; a panic costs that one request
//
// The idea to hold: fasthttp reuses a request's memory as soon as its handler
// returns. Nothing of a *fasthttp.RequestCtx may outlive the call it was given
// to; whatever does is copied first.
package api
