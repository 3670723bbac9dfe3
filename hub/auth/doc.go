// Package auth answers one question: who is asking? Keys is the index of API
// keys that the hub consults before it reads a request's body; Sessions holds
// the browser's side of it, one-time links and cookies.
//
// It is not for storing keys: what is durable is a messages.Key in the store,
// and the hub fills Keys from there at its start and after every change. The
// idea to hold: a key is never kept, only its SHA-256, so nothing here can be
// told to anyone.
package auth
