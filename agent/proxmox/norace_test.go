//go:build !race

package proxmox

const raced = false
