// Command sqlite is the hub that one would write in an afternoon, to compare
// ingest with: net/http, encoding/json, and one SQLite transaction a report
// (WAL), which stores the body and the host's last figures. With synchronous=FULL
// a report is durable when it is answered; with NORMAL, the usual advice for
// speed, the last ones are lost with the power.
package main

import (
	"bufio"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"felhom.eu/messages"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8082", "listen on `ip:port`")
	dir := flag.String("dir", ".", "keep the database in this `folder`")
	hosts := flag.String("hosts", "hosts.txt", "the hosts to know: a `file` with a host_id and its key on every line")
	synchronous := flag.String("synchronous", "FULL", "SQLite's setting: FULL or NORMAL")
	flag.Parse()
	if err := run(*addr, *dir, *hosts, *synchronous); err != nil {
		fmt.Fprintln(os.Stderr, "sqlite:", err)
		os.Exit(1)
	}
}

func run(addr, dir, hosts, synchronous string) error {
	known, err := os.Open(hosts)
	if err != nil {
		return err
	}
	defer known.Close()
	h, err := open(filepath.Join(dir, "hub.db"), synchronous)
	if err != nil {
		return err
	}
	if err := h.addHosts(known); err != nil {
		return err
	}
	http.HandleFunc("POST /api/v1/host-report", h.report)
	http.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	return http.ListenAndServe(addr, nil)
}

const schema = `
CREATE TABLE hosts (
	id INTEGER PRIMARY KEY, host_id TEXT NOT NULL UNIQUE, key_hash BLOB NOT NULL UNIQUE,
	last_report_at INTEGER, agent_version TEXT, cpu REAL, memory REAL, disk REAL,
	guest_total INTEGER, guest_running INTEGER, cloudflared TEXT);
CREATE TABLE reports (
	id INTEGER PRIMARY KEY, host INTEGER NOT NULL, stream TEXT, sequence INTEGER,
	received_at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX reports_of_host ON reports (host, received_at);`

// hub writes over one connection, as SQLite has one writer, and reads over others.
type hub struct {
	writes, reads        *sql.DB
	auth, insert, update *sql.Stmt
	writing              sync.Mutex // fairer than SQLite's busy timeout
}

// open makes a new database at path.
func open(path, synchronous string) (*hub, error) {
	dsn := "file:" + path + "?_journal_mode=WAL&_synchronous=" + synchronous + "&_busy_timeout=10000&_cache_size=-65536"
	var h hub
	var err error
	if h.writes, err = sql.Open("sqlite3", dsn); err != nil {
		return nil, err
	}
	h.writes.SetMaxOpenConns(1)
	if _, err = h.writes.Exec(schema); err != nil {
		return nil, fmt.Errorf("make tables: %w", err)
	}
	if h.reads, err = sql.Open("sqlite3", dsn); err != nil {
		return nil, err
	}
	h.reads.SetMaxOpenConns(4)
	h.reads.SetMaxIdleConns(4)
	return &h, h.prepare()
}

func (h *hub) prepare() (err error) {
	stmt := func(db *sql.DB, q string) *sql.Stmt {
		s, e := db.Prepare(q)
		err = errors.Join(err, e)
		return s
	}
	h.auth = stmt(h.reads, `SELECT id, host_id FROM hosts WHERE key_hash = ?`)
	h.insert = stmt(h.writes, `INSERT INTO reports (host, stream, sequence, received_at, body) VALUES (?, ?, ?, ?, ?)`)
	h.update = stmt(h.writes, `UPDATE hosts SET last_report_at = ?, agent_version = ?, cpu = ?, memory = ?, disk = ?,
		guest_total = ?, guest_running = ?, cloudflared = ? WHERE id = ?`)
	return err
}

// addHosts reads "host_id key" lines.
func (h *hub) addHosts(r io.Reader) error {
	tx, err := h.writes.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	s := bufio.NewScanner(r)
	for s.Scan() {
		id, key, _ := strings.Cut(s.Text(), " ")
		hash := sha256.Sum256([]byte(key))
		if _, err := tx.Exec(`INSERT INTO hosts (host_id, key_hash) VALUES (?, ?)`, id, hash[:]); err != nil {
			return fmt.Errorf("add host %s: %w", id, err)
		}
	}
	return errors.Join(s.Err(), tx.Commit())
}

func (h *hub) report(w http.ResponseWriter, r *http.Request) {
	host, id, err := h.authenticate(r)
	if err != nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, messages.MaxBodyBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var p messages.Report
	if err := json.Unmarshal(body, &p); err != nil || p.HostID != id {
		http.Error(w, "invalid report", http.StatusBadRequest)
		return
	}
	if err := h.store(host, &p, body); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(messages.Envelope{Status: "ok", PollIntervalSeconds: 900})
}

func (h *hub) authenticate(r *http.Request) (host int64, id messages.HostID, err error) {
	hash := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	err = h.auth.QueryRow(hash[:]).Scan(&host, &id)
	return host, id, err
}

// store makes the report durable: one transaction, synced (FULL) when it returns.
func (h *hub) store(host int64, p *messages.Report, body []byte) error {
	h.writing.Lock()
	defer h.writing.Unlock()
	tx, err := h.writes.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	now := time.Now().UnixMilli()
	if _, err := tx.Stmt(h.insert).Exec(host, p.Stream, int64(p.Sequence), now, body); err != nil {
		return err
	}
	n := &p.Host
	if _, err := tx.Stmt(h.update).Exec(now, p.AgentVersion, n.CPUUsedRatio,
		ratio(n.MemoryUsedBytes, n.MemoryTotalBytes), ratio(n.RootUsedBytes, n.RootTotalBytes),
		len(p.Guests), running(p.Guests), p.Cloudflared.Status, host); err != nil {
		return err
	}
	return tx.Commit()
}

func ratio(used, total uint64) float64 {
	if total == 0 {
		return 0
	}
	return float64(used) / float64(total)
}

func running(gs []messages.Guest) (n int) {
	for _, g := range gs {
		if g.Status == messages.GuestRunning {
			n++
		}
	}
	return n
}
