package storage

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

var (
	rounds   = flag.Int("rounds", 1, "repeat the randomized tests so often")
	killSeed = flag.Uint64("killseed", 0, "of TestKilledAtAnyInstant; 0: another one each time")
)

const killsRound = 40

// What a killed store is told to do, in the environment of its process.
const (
	livesDir   = "FELHOM_STORAGE_LIVES"
	livesSeed  = "FELHOM_STORAGE_SEED"
	livesHosts = 3
	livesDay   = 40 // batches of a day
	livesKept  = 3  // days
)

func TestMain(m *testing.M) {
	flag.Parse()
	if dir := os.Getenv(livesDir); dir != "" {
		if err := live(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// tinyOptions make Badger begin a new log, write tables and compact them every
// few dozen batches.
func tinyOptions() Options {
	return Options{MinFreeBytes: 1, MemTableBytes: 64 << 10, tune: func(o badger.Options) badger.Options {
		o.MemTableSize = 64 << 10
		o.ValueThreshold = min(o.ValueThreshold, 512)
		o.ValueLogFileSize = 1 << 20
		o.BaseTableSize = 64 << 10
		o.BaseLevelSize = 256 << 10
		o.NumLevelZeroTables = 2
		o.NumLevelZeroTablesStall = 4
		return o
	}}
}

// live writes batches, drops days, closes and opens again, and says what is
// done on its standard output, until it is killed.
func live(dir string) error {
	seed, _ := strconv.ParseUint(os.Getenv(livesSeed), 10, 64)
	r := rand.New(rand.NewPCG(seed, 1))
	for {
		fmt.Println("open")
		db, err := Open(dir, tinyOptions())
		if err != nil {
			return err
		}
		if lost := db.Recovery().Lost; len(lost) > 0 {
			return fmt.Errorf("lost %v", lost)
		}
		for range r.IntN(livesDay) {
			n := db.Recovery().BatchSequence + 1
			db.recovery.BatchSequence = n
			b := lifeBatch(n)
			if err := db.WriteBodies(b); err != nil {
				return err
			}
			if err := db.WriteState(b); err != nil {
				return err
			}
			fmt.Println("wrote", n)
			if n%(livesDay/4) == 0 && b.Day() >= firstDay+livesKept {
				if err := db.DropDay(b.Day() - livesKept); err == nil {
					fmt.Println("dropped", b.Day()-livesKept)
				}
			}
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
}

var firstDay = uint32(start.Unix() / 86400)

// lifeBatch is the batch with a sequence: it follows from that alone, so that
// what is read after any kill can be checked. Each one ends an index row of the
// one before, so that there is something to compact.
func lifeBatch(n uint64) *messages.Batch {
	at := start.AddDate(0, 0, int(n/livesDay)).Add(time.Duration(n%livesDay) * time.Second)
	b := &messages.Batch{Sequence: n, At: at, Ledger: messages.Ledger{Listened: messages.Listened(n), At: at}}
	if n == 1 {
		b.PutCustomers = []messages.Customer{{ID: "acme", CreatedAt: at}}
	}
	for i := range livesHosts {
		id := messages.HostID(fmt.Sprintf("acme-%08x", i+1))
		if n == 1 {
			b.PutHosts = append(b.PutHosts, messages.Host{ID: id, CustomerID: "acme", CreatedAt: at})
		}
		s := messages.StoredReport{ID: lifeReport(n, i), HostID: id, ReceivedAt: at, ReportedAt: at, Body: lifeBody(n, i)}
		if n > 1 {
			s.Previous = lifeRef(n-1, i)
		}
		b.Reports = append(b.Reports, s)
		b.Hosts = append(b.Hosts, messages.HostState{ID: id, Phase: messages.PhaseOK, Last: lifeRef(n, i)})
	}
	b.Events = []messages.Event{{ID: messages.EventID(risingID(n)), Sequence: n, Type: messages.HostStale, At: at,
		CustomerID: "acme", HostID: "acme-00000001", Summary: strings.Repeat("silent ", 60)}}
	b.Deliveries = []messages.Delivery{lifeDelivery(n, messages.DeliveryPending)}
	if n > 1 {
		b.Deliveries = append(b.Deliveries, lifeDelivery(n-1, messages.DeliverySent))
	}
	return b
}

func lifeReport(n uint64, i int) messages.ReportID {
	return messages.ReportID(risingID(n*livesHosts + uint64(i)))
}

func lifeRef(n uint64, i int) messages.ReportRef {
	return messages.ReportRef{Day: firstDay + uint32(n/livesDay), Batch: n, Entry: uint32(i)}
}

func lifeBody(n uint64, i int) []byte {
	text := fmt.Sprintf("report of batch %d by host %d. ", n, i)
	return []byte(strings.Repeat(text, 1+int(n*7919+uint64(i)*31)%700))
}

func lifeDelivery(n uint64, s messages.DeliveryState) messages.Delivery {
	return messages.Delivery{ID: messages.DeliveryID(risingID(n)), Sequence: n, RouteID: "R", CustomerID: "acme",
		Events: []messages.EventID{messages.EventID(risingID(n))}, State: s}
}

// lives is a store that is killed again and again, and what it said it did.
type lives struct {
	t       *testing.T
	dir     string
	r       *rand.Rand
	wrote   uint64
	dropped uint32
}

// A store that is killed at any instant, while it opens, writes, begins new
// logs, writes tables, compacts, drops a day or closes, opens again, with all it
// said was written, and without a day moved aside. It may be killed several
// times before anybody looks.
func TestKilledAtAnyInstant(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-killseed %d", seed)
	l := lives{t: t, dir: t.TempDir(), r: rand.New(rand.NewPCG(seed, 0))}
	kills := killsRound * *rounds
	for n := range kills {
		l.life()
		if n%8 == 7 {
			l.check()
		}
		if t.Failed() {
			t.Fatalf("after life %d", n+1)
		}
	}
	t.Logf("%d batches written", l.wrote)
	if l.wrote < uint64(kills) {
		t.Error("too few to mean anything")
	}
}

// life starts the store and kills it: while it opens, or after it said so many
// words, however fast the machine is.
func (l *lives) life() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), livesDir+"="+l.dir, livesSeed+"="+strconv.FormatUint(l.r.Uint64(), 10))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(l.t, err)
	must(l.t, cmd.Start())
	steps, after := l.r.IntN(24), time.Duration(l.r.Int64N(int64(4*time.Millisecond)))
	if l.r.IntN(3) == 0 {
		steps, after = 0, time.Duration(l.r.Int64N(int64(25*time.Millisecond)))
	}
	kill := time.AfterFunc(time.Hour, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		what, number, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseUint(number, 10, 64)
		if steps--; steps == -1 {
			kill.Reset(after)
		}
		switch what {
		case "open":
		case "wrote":
			if n <= l.wrote {
				l.t.Errorf("batch %d was written again, the store had said %d", n, l.wrote)
			}
			l.wrote = n
		case "dropped":
			l.dropped = uint32(n)
		default:
			l.t.Error(lines.Text())
		}
	}
	_ = cmd.Wait()
	if aside := asideIn(l.t, l.dir); len(aside) > 0 {
		l.t.Errorf("moved aside: %v", aside)
	}
}

// check holds the store against what it said.
func (l *lives) check() {
	s, err := Check(l.dir)
	if err != nil || len(s.Problems) > 0 {
		l.t.Errorf("check: %v, %v", s.Problems, err)
	}
	db, err := Open(l.dir, tinyOptions())
	if err != nil {
		l.t.Fatal(err)
	}
	defer db.Close()
	at := db.Recovery()
	if at.BatchSequence < l.wrote || len(at.Lost) > 0 || at.EventSequence != at.BatchSequence {
		l.t.Errorf("recovery after batch %d: %+v", l.wrote, at)
	}
	l.wrote = at.BatchSequence
	days, err := db.Days()
	must(l.t, err)
	there := map[uint32]bool{}
	for _, d := range days {
		there[d.Number] = true
		if d.Number <= l.dropped {
			l.t.Errorf("day %d is there though it was dropped", d.Number)
		}
	}
	newest := lifeRef(l.wrote, 0).Day
	for d := max(firstDay, newest-livesKept+1); l.wrote > 0 && d < newest; d++ {
		if !there[d] {
			l.t.Errorf("day %d is missing", d)
		}
	}
	for i := range livesHosts {
		l.checkHost(db, i, there)
	}
}

// checkHost reads a host's reports back to the first day that is not there.
func (l *lives) checkHost(db *DB, i int, there map[uint32]bool) {
	if l.wrote == 0 {
		return
	}
	rows, _, err := db.Reports(messages.HostID(fmt.Sprintf("acme-%08x", i+1)), messages.ReportRef{}, 0)
	must(l.t, err)
	n := l.wrote
	for ; n > 0 && there[lifeRef(n, i).Day]; n-- {
		if len(rows) == 0 || rows[0].ID != lifeReport(n, i) {
			l.t.Fatalf("report of batch %d by host %d is not in the list", n, i)
		}
		if body, err := db.body(rows[0].Ref); err != nil || string(body) != string(lifeBody(n, i)) {
			l.t.Fatalf("body of batch %d by host %d: %.60q, %v", n, i, body, err)
		}
		rows = rows[1:]
	}
	if len(rows) > 0 {
		l.t.Errorf("%d reports more than were sent, or dropped ones", len(rows))
	}
}
