// Package command is felhom-hub as a person at a terminal meets it: the tree of
// subcommands, their tables, their errors and their exit status. Client is the
// typed way to a hub's admin API that all of them use.
//
// It is not the hub: it opens no store and starts no actor. What must happen
// inside the program (serve, demo, restore, check) is handed in by main as the
// funcs of a Program; everything else asks a running hub over HTTP, as any
// other client would.
//
// The idea to hold while reading: a command decides what to ask, output.go
// decides how it looks. On a terminal a list is a coloured table with times in
// people's words, in a pipe the same columns without colour, and with --json
// exactly what the hub answered.
package command
