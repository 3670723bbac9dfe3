package rig

import (
	"encoding/hex"
	"fmt"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// Fill says what a store is filled with. A fleet of this size cannot be minted
// one by one within a bench; it is written the way the hub writes, in batches.
type Fill struct {
	Hosts         int
	PerCustomer   int           // hosts of a customer
	Silent        int           // the first so many keep to the hub's poll interval,
	OwnInterval   int           // the others to this one, in seconds; 0: all to the hub's
	ListenedSoFar time.Duration // by the ledger, and the moment of every host's last contact

	sums   [load.Templates]messages.Summary
	guests [load.Templates][]messages.Guest
}

// keySeed makes keys that a rig can name again; such hubs serve loopback only.
const keySeed = "felhom bench "

// perBatch is how many hosts a batch of a fill brings: within what a
// transaction of the store takes, guests included.
const perBatch = 1000

// HostAt is the i-th host of the fleet, and its key.
func (f *Fill) HostAt(i int) *load.Host {
	id := messages.HostID(fmt.Sprintf("%s-%08x", f.customer(i), i))
	key := messages.HashKey([]byte(keySeed + string(id)))
	return load.NewHost(i, id, messages.Secret(hex.EncodeToString(key[:])))
}

func (f *Fill) customer(i int) messages.CustomerID {
	return messages.CustomerID(CustomerAt(i, f.PerCustomer))
}

// CustomerAt is the id of the customer to whom the i-th host belongs.
func CustomerAt(i, perCustomer int) string { return fmt.Sprintf("customer-%05d", i/perCustomer) }

// Into makes a store in dir in which every host has reported once, with its
// body, its guests and its key. The hub that opens it must not run.
func (f *Fill) Into(dir string) (err error) {
	db, err := storage.Open(dir, storage.Options{UnsafeNoSync: true})
	if err != nil {
		return err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	batches := make(chan *messages.Batch, 2)
	go func() {
		defer close(batches)
		now := time.Now().UTC()
		for from, seq := 0, uint64(1); from < f.Hosts; from, seq = from+perBatch, seq+1 {
			batches <- f.batch(seq, from, min(from+perBatch, f.Hosts), now)
		}
	}()
	for b := range batches {
		if err == nil {
			err = db.WriteBodies(b)
		}
		if err == nil {
			err = db.WriteState(b)
		}
	}
	return err
}

// batch is the hosts from one to another, as their first reports left them.
func (f *Fill) batch(seq uint64, from, to int, now time.Time) *messages.Batch {
	heard := messages.Listened(f.ListenedSoFar)
	b := &messages.Batch{Sequence: seq, At: now, Ledger: messages.Ledger{Listened: heard, At: now}}
	for i := from; i < to; i++ {
		h := f.HostAt(i)
		customer := f.customer(i)
		if i%f.PerCustomer == 0 {
			b.PutCustomers = append(b.PutCustomers, messages.Customer{ID: customer, DisplayName: string(customer), CreatedAt: now})
		}
		own := 0
		if i >= f.Silent {
			own = f.OwnInterval
		}
		b.PutHosts = append(b.PutHosts, messages.Host{ID: h.ID, CustomerID: customer, CreatedAt: now, PollIntervalSeconds: own})
		b.PutKeys = append(b.PutKeys, messages.Key{
			Hash: messages.HashKey([]byte(h.Key.Reveal())), Kind: messages.KeyHost, HostID: h.ID, CustomerID: customer, CreatedAt: now,
		})
		body := h.FirstBody(now.Unix())
		sum, guests := f.summary(i, body)
		id := messages.ReportID(fmt.Sprintf("0000000000%016d", i))
		b.Reports = append(b.Reports, messages.StoredReport{ID: id, HostID: h.ID, ReceivedAt: now, ReportedAt: now, Figures: sum.Figures, Body: body})
		b.Guests = append(b.Guests, messages.GuestsSeen{HostID: h.ID, At: now, Guests: guests})
		b.Hosts = append(b.Hosts, messages.HostState{
			ID: h.ID, Phase: messages.PhaseOK, PhaseSince: now.UnixNano(), ContactAt: now.UnixNano(), ContactHeard: heard,
			ReportAt: now.UnixNano(), ReportedAt: now.UnixNano(), UptimeSecs: sum.UptimeSecs, IntervalSecs: uint16(own),
			Stream: messages.HashText(h.Stream), Sequence: 1, Seen: 1, BootHash: sum.BootHash, GuestHash: sum.GuestHash,
			AgentVersion: sum.AgentVersion, Figures: sum.Figures,
			Last: messages.ReportRef{Day: b.Day(), Batch: seq, Entry: uint32(i - from)},
		})
	}
	return b
}

// summary is what a hub makes of a body. Hosts of one template differ in names
// and numbers alone, so it is made once for each.
func (f *Fill) summary(i int, body []byte) (*messages.Summary, []messages.Guest) {
	t := i % load.Templates
	if f.guests[t] != nil {
		return &f.sums[t], f.guests[t]
	}
	err := messages.Scan(body, &f.sums[t])
	if err == nil {
		f.guests[t], err = messages.DecodeGuests(body)
	}
	if err != nil {
		panic(fmt.Sprintf("fill: %v", err)) // load renders what the hub refuses
	}
	return &f.sums[t], f.guests[t]
}
