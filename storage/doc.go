// Package storage is the hub's memory: all that a hub must know after a power
// cut. Badger lives here and nowhere else.
//
// It is not for questions that the actors answer from memory, and not for
// secrets of agents: of an API key only its hash is kept.
//
// The idea to hold while reading: all durable change is a messages.Batch, and a
// batch is written in two halves, each one transaction and one wait for the disk
// (synced.go; Badger's own syncs lose errors). First
// WriteBodies puts the reports' bodies into the day's store; then WriteState
// puts everything else, the pointers to these bodies among it. So a pointer
// never leads to what a power cut could take. What the disk gives back is
// either what was written or ErrCorrupt, never something else and never
// nothing.
//
// # Layout
//
//	lock           flock of the process that has the store open
//	format.json    what this directory is, and its version
//	hwm.json       high-water marks: how far the store was, told outside Badger
//	state/         one Badger; values lie in its tree
//	history/       20260301/ …: one Badger a UTC day, bodies in its value log;
//	               *.dropped is being removed, *.damaged was moved aside
//	rollup/        15m/20260301 …, 2h/20260301 …: a file a UTC day, what its
//	               reports come to; *.tmp was not finished, *.damaged moved aside
//
// # Keys of state/
//
//	prefix  key after the prefix            value                     lifetime
//	m       –                               meta: sequences, ledger   for ever, rewritten by every batch
//	l       kind, be64 from                 Loss                      for ever
//	z       be32 day                        last batch dropped        for ever
//	c       customer id                     Customer                  until DelCustomers
//	h       host id                         Host (intent)             until DelHosts
//	s       host id                         HostState (reality)       until DelHosts
//	g       host id, 0, be32 vmid           GuestRecord               until DelHosts
//	b       customer id, 0, controller id   ControllerState           until DelControllers, DelCustomers
//	u       customer id, 0, deadline id     Deadline                  until DelDeadlines, DelCustomers
//	w       host id                         Standing                  until DelHosts
//	v       host id, 0, be64 end            Outage                    until DelHosts
//	y       be32 month                      MonthStart                for ever
//	t       'c', customer id; 'h', host id  RuleSettings              until reset, DelHosts, DelCustomers
//	k       host id, 0, hash                Key                       for ever; revoked with its host or customer
//	n       token id                        EnrollToken               until DelTokens
//	r       route id                        Route                     until DelRoutes
//	a       incident id                     Alarm                     until it has ended and was told
//	q       silence id                      Silence                   until DelSilences
//	j       be32 day, be64 batch, be32 n    Trace                     as the day's history
//	U       user name                       User                      until DelUsers
//	S       hash of the cookie              Session                   until DelSessions
//	A       be64 sequence                   AuditRecord               for ever
//	e       event id                        Event                     for ever
//	f       host id, 0, event id            – (events of a host)      as the event
//	o       customer id, 0, event id        – (events of a customer)  as the event
//	d       be64 sequence                   Delivery                  for ever
//	i       delivery id                     its sequence              as the delivery
//	p       be64 sequence                   – (pending deliveries)    while pending
//	x       be64 sequence                   – (dead deliveries)       while dead
//
// A value is version | crc32c of key, version and payload | payload; codec.go
// has the payload's alphabet, and each record's file its fields in order. Events
// are keyed by id alone: ids rise as sequences do, so one order serves both.
//
// # Keys of history/<day>/
//
//	be64 batch sequence → a blob of all the batch's reports; blob.go
//
// A report names the one its host sent before it (Previous), and the host's
// state the newest (Last): a list walks back along these until it meets a day
// that was dropped. Retention removes a day's directory whole, so there are no
// tombstones, no garbage collection, and nothing comes back.
//
// # Files of rollup/
//
// A finished day is summed up once, from the heads of its reports: rollfile.go
// has the file's layout, slot.go a row's. A file is written beside its place,
// synced, and renamed, so that being there is all the mark it needs; it is never
// changed, and removed when its resolution's time is over. It is no Badger since
// nothing is ever added to it, and 430 Badgers would have to be opened to read a
// host's year. Rows of removed hosts go with their file.
package storage
