// Package lastrun finds out how the agent's run before this one ended, and how its
// machine went down. A run writes into a file that it runs, and when it is stopped
// that it was, and why. A file that says "runs" when the next one starts was left by
// a run that had no time to: its machine went down under it when that has booted
// since, else it alone was killed.
//
// It never costs the agent anything: without a directory to write to nothing is
// known, and nothing is said.
package lastrun
