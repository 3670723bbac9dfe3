package main

import "fmt"

// contender is a server under one kind of load, or a store without a server.
type contender struct {
	name        string
	server      *server
	connections int
	rate        int    // reports a second, due on a timetable; 0: each connection sends when it was answered
	store       string // instead of a server: the kind of reference store
}

// The contenders that figures are made of.
const (
	echo256   = "echo, 256 connections"
	hub256    = "hub, 256 connections"
	secure256 = "hub with TLS, 256 connections"
	full256   = "SQLite FULL, 256 connections"
	normal256 = "SQLite NORMAL, 256 connections"
	echo64    = "echo, 64 connections"
	hub64     = "hub, 64 connections"
	full64    = "SQLite FULL, 64 connections"
	normal64  = "SQLite NORMAL, 64 connections"
	badgerRow = "Badger alone, 256 reports a batch"
	appendRow = "append + fdatasync, 256 reports a batch"
)

func openLoop(server string, rate int) string {
	return fmt.Sprintf("%s, open loop at %d/s", server, rate)
}

// contenders are in an order in which those that are divided by each other
// follow each other.
func (s *servers) contenders(o options) []contender {
	cs := []contender{
		{name: echo256, server: s.echo, connections: 256},
		{name: hub256, server: s.hub, connections: 256},
		{name: full256, server: s.sqlite, connections: 256},
		{name: secure256, server: s.secure, connections: 256},
		{name: badgerRow, store: "badger"},
		{name: appendRow, store: "append"},
	}
	if !o.short {
		cs = append(cs,
			contender{name: normal256, server: s.sqliteUp, connections: 256},
			contender{name: echo64, server: s.echo, connections: 64},
			contender{name: hub64, server: s.hub, connections: 64},
			contender{name: full64, server: s.sqlite, connections: 64},
			contender{name: normal64, server: s.sqliteUp, connections: 64})
	}
	for _, rate := range o.rates {
		cs = append(cs, contender{name: openLoop("hub", rate), server: s.hub, connections: 256, rate: rate})
		if !o.short && rate <= sqliteRates {
			cs = append(cs, contender{name: openLoop("SQLite FULL", rate), server: s.sqlite, connections: 256, rate: rate})
		}
	}
	return cs
}

// sqliteRates is the highest rate that SQLite is asked for: beyond what it can.
const sqliteRates = 5000
