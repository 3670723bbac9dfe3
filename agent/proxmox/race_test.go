//go:build race

package proxmox

// raced: the race detector runs.
const raced = true
