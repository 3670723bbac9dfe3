// Package api2 asks what Proxmox VE and the Proxmox Backup Server have in
// common: an HTTPS server with a certificate of its own, a token in the header,
// answers below /api2/json as {"data": …}, and refusals that each words in its
// own way. It only ever sends GET.
//
// It is careful with two things: the token, which goes nowhere but to the
// server that proved itself and into no error; and the server, which gets two
// questions at once and none for minutes after it refused the token.
package api2
