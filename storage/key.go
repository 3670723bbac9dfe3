package storage

import (
	"encoding/binary"

	"felhom.eu/messages"
)

// The first byte of every key of state/, one a family. doc.go has the table.
const (
	prefixMeta       = 'm'
	prefixLoss       = 'l'
	prefixDrop       = 'z'
	prefixCustomer   = 'c'
	prefixHost       = 'h'
	prefixState      = 's'
	prefixGuest      = 'g'
	prefixKey        = 'k'
	prefixRoute      = 'r'
	prefixEvent      = 'e'
	prefixByHost     = 'f' // events of a host
	prefixByOwner    = 'o' // events of a customer
	prefixDelivery   = 'd'
	prefixByID       = 'i' // a delivery's sequence by its id
	prefixPending    = 'p' // deliveries by state
	prefixDead       = 'x'
	prefixStanding   = 'w'
	prefixRules      = 't'
	prefixToken      = 'n'
	prefixController = 'b'
	prefixDeadline   = 'u'
	prefixAlarm      = 'a'
	prefixUser       = 'U'
	prefixSession    = 'S'
	prefixAudit      = 'A'
	prefixSilence    = 'q'
	prefixMonth      = 'y'
	prefixOutage     = 'v'
	prefixTrace      = 'j'
)

var metaKey = []byte{prefixMeta}

// textKey is prefix | text: customers, hosts, states, routes, events, deliveries by id.
func textKey[T ~string](prefix byte, id T) []byte {
	return append(append(make([]byte, 0, 1+len(id)), prefix), id...)
}

// underKey is prefix | owner | 0: what all rows of an owner begin with. Ids
// have no byte 0, so that no owner's rows begin with another's.
func underKey[T ~string](prefix byte, owner T) []byte {
	b := make([]byte, 0, 2+len(owner)+32)
	return append(append(append(b, prefix), owner...), 0)
}

func sequenceKey(prefix byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, n)
}

func guestKey(id messages.HostID, vmid messages.VMID) []byte {
	return binary.BigEndian.AppendUint32(underKey(prefixGuest, id), uint32(vmid))
}

func keyKey(k *messages.Key) []byte {
	return append(underKey(prefixKey, k.HostID), k.Hash[:]...)
}

func controllerKey(n messages.ControllerName) []byte {
	return append(underKey(prefixController, n.CustomerID), n.ID...)
}

func dropKey(day uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixDrop}, day)
}

func lossKey(l Loss) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixLoss, byte(l.Kind)}, l.From)
}

// blobKey is a batch's key in its day's store.
func blobKey(batch uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, batch)
}

// blobKeySize is the length of a blob's key.
const blobKeySize = 8
