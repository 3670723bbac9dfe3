// Package rig holds what the benches share: building and running programs as
// processes of their own, reading what they cost from /proc, asking a hub
// through its admin API, receiving its webhooks, and printing tables.
//
// It knows a hub only from the outside: its environment variables, its HTTP
// interface and its exit. It needs Linux.
package rig
