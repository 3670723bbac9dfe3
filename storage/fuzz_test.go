package storage

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

// targets are the readers of everything that lies on the disk, by the names of
// their fuzz functions; those of records share FuzzRecord.
func targets(t testing.TB) map[string]mutation.Target {
	all := records()
	maps.Copy(all, filesOf(t))
	return all
}

func records() map[string]mutation.Target {
	delivery := sequenceKey(prefixDelivery, 1)
	return map[string]mutation.Target{
		"HostState": record(textKey(prefixState, "a-00000000"), (*encoder).state, (*decoder).state, sampleState, messages.HostState{}),
		"Host":      record(textKey(prefixHost, "a-00000000"), (*encoder).host, (*decoder).host, sampleHost, messages.Host{}),
		"Customer":  record(textKey(prefixCustomer, "a"), (*encoder).customer, (*decoder).customer, sampleCustomer, messages.Customer{}),
		"Key":       record(keyKey(&sampleKey), (*encoder).key, (*decoder).key, sampleKey, messages.Key{}),
		"Guest":     record(guestKey("a-00000000", 100), (*encoder).guest, (*decoder).guest, sampleGuest, messages.GuestRecord{}),
		"Standing":  record(textKey(prefixStanding, "a-00000000"), (*encoder).standing, (*decoder).standing, sampleStanding, messages.Standing{}),
		"Month":     record(monthKey(sampleMonth.Month), (*encoder).monthStart, (*decoder).monthStart, sampleMonth, messages.MonthStart{}),
		"Outage":    record(outageKey(&sampleOutage), (*encoder).outage, (*decoder).outage, sampleOutage, messages.Outage{}),
		"Rules":     record(rulesKey("", "a-00000000"), (*encoder).rules, (*decoder).rules, sampleRules, messages.RuleSettings{}),
		"Token":     record(textKey(prefixToken, "T"), (*encoder).enrollToken, (*decoder).enrollToken, sampleToken, messages.EnrollToken{}),
		"Route":     record(textKey(prefixRoute, "R"), (*encoder).route, (*decoder).route, sampleRoute, messages.Route{}),
		"Event":     record(textKey(prefixEvent, "E"), (*encoder).event, (*decoder).event, sampleEvent, messages.Event{}),
		"Delivery":  record(delivery, (*encoder).delivery, (*decoder).delivery, sampleDelivery, messages.Delivery{}),
		"Alarm":     record(textKey(prefixAlarm, "I"), (*encoder).alarm, (*decoder).alarm, sampleAlarm, messages.Alarm{}),
		"Silence":   record(textKey(prefixSilence, "S"), (*encoder).silence, (*decoder).silence, sampleSilence, messages.Silence{}),
		"Trace":     record(traceKey(1, 2, 3), (*encoder).trace, (*decoder).trace, append(sampleTraces, messages.Trace{Kind: messages.TraceClock})...),
		"User":      record(textKey(prefixUser, "anna"), (*encoder).user, (*decoder).user, sampleUser, messages.User{}),
		"Session":   record(sessionKey(&sampleSession.Hash), (*encoder).session, (*decoder).session, sampleSession, messages.Session{}),
		"Audit":     record(sequenceKey(prefixAudit, 1), (*encoder).audit, (*decoder).audit, sampleAudit, messages.AuditRecord{}),
		"Meta":      record(metaKey, (*encoder).meta, (*decoder).meta, meta{}, meta{1, start, messages.Ledger{Listened: 2, At: start}, 3, "E", 4, 5, 6}),
		"RollUpRow": record([]byte("2h"), func(e *encoder, s *[]slot) { e.slots(*s) },
			func(d *decoder, _ []byte) []slot { return d.slots(messages.ResolutionTwoHours.Slots()) }, sampleDay().slots(messages.ResolutionTwoHours, nil)),
		"Loss": record(lossKey(Loss{Kind: LossEvents, From: 1}), (*encoder).loss, (*decoder).loss, Loss{To: 9, FoundAt: start}),
	}
}

func filesOf(t testing.TB) map[string]mutation.Target {
	blob, err := new(packer).pack(blobKey(7), []messages.StoredReport{sampleReport, {}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(format{formatName, formatVersion})
	if err != nil {
		t.Fatal(err)
	}
	high := marks{Batch: 1, Event: 2, Delivery: 3, Hosts: 4, At: start}.encode()
	return map[string]mutation.Target{
		"Blob":   {Seeds: [][]byte{blob}, Check: checkBlob},
		"Backup": {Seeds: someBackups(), Words: []string{backupMagic, "\x7f\xff\xff\xff", "\x00\x00\x00\x01"}, Check: checkBackup},
		"Marks":  {Seeds: [][]byte{high, high, []byte(`{}`)}, Check: checkMarks},
		"Format": {Seeds: [][]byte{file}, Check: checkFormat},
		"RollUp": {Seeds: [][]byte{someRollUp(t)}, Check: checkRollUp},
	}
}

func FuzzBlob(f *testing.F)   { mutation.Fuzz(f, targets(f)["Blob"]) }
func FuzzBackup(f *testing.F) { mutation.Fuzz(f, targets(f)["Backup"]) }
func FuzzMarks(f *testing.F)  { mutation.Fuzz(f, targets(f)["Marks"]) }
func FuzzFormat(f *testing.F) { mutation.Fuzz(f, targets(f)["Format"]) }
func FuzzRollUp(f *testing.F) { mutation.Fuzz(f, targets(f)["RollUp"]) }

// FuzzRecord is led through the readers of all records, by an input's first byte.
func FuzzRecord(f *testing.F) {
	all := records()
	names := slices.Sorted(maps.Keys(all))
	var x mutation.Target
	for i, name := range names {
		for _, s := range all[name].Seeds {
			x.Seeds = append(x.Seeds, append([]byte{byte(i)}, s...))
		}
	}
	x.Check = func(t testing.TB, b []byte) bool {
		return len(b) > 0 && all[names[int(b[0])%len(names)]].Check(t, b[1:])
	}
	mutation.Fuzz(f, x)
}

// Whatever lies on the disk, a reader ends, and says ErrCorrupt of what it does
// not understand.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// record holds a record's decoder to this: it ends without a panic, and what it
// accepts encodes to something that decodes to the same again. The checksum,
// which would stop all rubbish, is left out at first, and then it must.
func record[T any](key []byte, write func(*encoder, *T), read take[T], samples ...T) (x mutation.Target) {
	for i := range samples {
		e := encoder{}
		write(&e, &samples[i])
		x.Seeds = append(x.Seeds, e.b)
	}
	x.Words = []string{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "\x80\x00", "\x7f", "\x80", "\xff\xff\xff\xff", "\xc3\xbf"}
	x.Check = func(t testing.TB, b []byte) bool {
		if _, err := decode(key, b, read); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%x: %v, which is no ErrCorrupt", b, err)
		}
		d := decoder{b: b}
		v := read(&d, key)
		if d.done() != nil {
			return false
		}
		first := encoder{}
		write(&first, &v)
		d = decoder{b: first.b}
		again := read(&d, key)
		if err := d.done(); err != nil {
			t.Fatalf("%x encodes to %x: %v", b, first.b, err)
		}
		second := encoder{}
		write(&second, &again)
		if !bytes.Equal(first.b, second.b) {
			t.Errorf("%x encodes to %x, then to %x", b, first.b, second.b)
		}
		return true
	}
	return x
}

func someRollUp(t testing.TB) []byte {
	dir := t.TempDir()
	w := have(createRoll(dir, messages.ResolutionTwoHours, testDay))
	for _, id := range []messages.HostID{"a-00000000", "a-00000001"} {
		if err := w.add(id, sampleDay().slots(messages.ResolutionTwoHours, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	return have(os.ReadFile(w.path))
}

// checkRollUp reads a file as it is, and once more with all its sums made right.
func checkRollUp(t testing.TB, b []byte) (taken bool) {
	for _, b := range [][]byte{b, resumRollUp(b)} {
		f := &rollFile{name: "x", f: bytes.NewReader(b), size: uint64(len(b)), resolution: messages.ResolutionTwoHours,
			key: rollKey(messages.ResolutionTwoHours, testDay)}
		err := f.readIndex()
		if taken = err == nil; taken {
			_, other := f.find("a-00000001")
			err = errors.Join(other, f.each(func(messages.HostID, []slot) error { return nil }))
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%x: %v, which is no ErrCorrupt", b, err)
		}
	}
	return taken
}

// resumRollUp makes the sum of the index right, if there is one.
func resumRollUp(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < len(rollMagic)+rollTail {
		return b
	}
	tail := b[len(b)-rollTail:]
	at, n := binary.BigEndian.Uint64(tail), binary.BigEndian.Uint64(tail[8:])
	if at > uint64(len(b)) || n > uint64(len(b))-at {
		return b
	}
	key := rollKey(messages.ResolutionTwoHours, testDay)
	sum := rollSum(key, binary.BigEndian.Uint64(tail[16:]), b[at:at+n])
	binary.BigEndian.PutUint32(tail[24:], crc32.Update(sum, castagnoli, tail[:24]))
	return b
}

func checkBlob(t testing.TB, v []byte) (taken bool) {
	b, err := openBlob(blobKey(7), v)
	if taken = err == nil; taken {
		err = b.check()
	}
	if err != nil && !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, which is no ErrCorrupt", err)
	}
	return taken
}

// someBackups are beginnings of backups with right checksums.
func someBackups() [][]byte {
	whole := []byte(backupMagic)
	for _, kv := range [][2]string{{"", `{"format":1}`}, {"k", "value"}, {"a-00000000", "\x01\x02\x03\x04\x05rest"}} {
		head := append([]byte{'R'}, 0, 0, 0, 0, 0, 0, 0, 0)
		binary.BigEndian.PutUint32(head[1:], uint32(len(kv[0])))
		binary.BigEndian.PutUint32(head[5:], uint32(len(kv[1])))
		row := append(append(head, kv[0]...), kv[1]...)
		whole = binary.BigEndian.AppendUint32(append(whole, row...), crc32.Checksum(row, castagnoli))
	}
	return [][]byte{whole, []byte(backupMagic), []byte(backupMagic + "R\x00\x00\x00\x01\x7f\xff\xff\xffk")}
}

// backupBuffers are as large as a reader of backups wants its own.
var backupBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 1<<20) }}

// checkBackup: a reader of rubbish ends, with an error, without taking the
// memory that a length asks for.
func checkBackup(t testing.TB, b []byte) (taken bool) {
	buffer := backupBuffers.Get().(*bufio.Reader)
	defer backupBuffers.Put(buffer)
	buffer.Reset(bytes.NewReader(b))
	in, err := newBackupReader(buffer)
	records, read := 0, 0
	for err == nil {
		var key, value []byte
		if _, key, value, err = in.next(); err == nil {
			records, read = records+1, read+len(key)+len(value)
		}
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, which is no ErrCorrupt", err)
	}
	if read > len(b) {
		t.Errorf("%d bytes of records in %d", read, len(b))
	}
	return records > 0
}

// checkMarks: marks are taken only as they were written, byte by byte.
func checkMarks(t testing.TB, b []byte) (taken bool) {
	m, err := parseMarks(b)
	if err == nil && !bytes.Equal(m.encode(), b) || err != nil && !errors.Is(err, ErrCorrupt) {
		t.Errorf("%q: got %+v, %v", b, m, err)
	}
	return err == nil
}

func checkFormat(t testing.TB, b []byte) (taken bool) {
	f, err := parseFormat(b)
	if err == nil && (f.Version < 1 || f.Format != formatName) {
		t.Errorf("%q is taken for %+v", b, f)
	}
	return err == nil
}
