//go:build race

package actors

// raced: the race detector runs.
const raced = true
