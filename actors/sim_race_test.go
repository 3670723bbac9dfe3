//go:build race

package actors

// raced: the race detector runs, which finds nothing in a simulation of one
// goroutine a seed and makes it ten times slower.
const raced = true
