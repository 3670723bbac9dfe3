package pvetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// estate is what a Server has beside its guests.
type estate struct {
	storages []Object
	hung     map[string]bool     // storages whose server does not answer
	volumes  map[string][]Object // rows of …/content by storage
	tasks    []task
	jobs     []Object
	disks    []Object
	pools    []Object // nil: no ZFS on the node
	alone    bool     // in no cluster
}

// task is one of the node's, with its log.
type task struct {
	row   Object
	lines []string // nil: the log is gone
}

// defaultEstate is what was recorded.
func defaultEstate() estate {
	e := estate{
		storages: objects("storage_list", "mixed"),
		hung:     map[string]bool{},
		volumes: map[string][]Object{
			"local":      objects("storage_content_backup", "dir"),
			"pbs-keller": objects("storage_content_backup", "pbs"),
		},
		jobs:  objects("cluster_backup_jobs", "pve9"),
		disks: objects("disks_list", "mixed"),
		pools: objects("disks_zfs", "pools"),
	}
	logs := map[string]string{
		"UPID:kiefer:000C60DF:0B4A11C0:69B4C5D0:vzdump::root@pam:":        "vzdump-dir-mixed",
		"UPID:kiefer:000C0DF1:0B488B20:69B4C1E8:vzdump:110:ops@pve!cli:":  "vzdump-pbs-ok",
		"UPID:kiefer:000003DF:1D2C3B4A5:69B4B248:vzrestore:910:root@pam:": "vzrestore-ok",
	}
	for _, name := range []string{"vzdump-archive", "restore-tasks"} {
		for _, row := range objects("node_tasks", name) {
			e.tasks = append(e.tasks, task{row, recordedLines(logs[fmt.Sprint(row["upid"])])})
		}
	}
	return e
}

func recordedLines(name string) (lines []string) {
	if name == "" {
		return nil
	}
	for _, row := range objects("task_log", name) {
		lines = append(lines, fmt.Sprint(row["t"]))
	}
	return lines
}

// RemoveTasks clears the task archive and its logs.
func (s *Server) RemoveTasks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.estate.tasks = nil
}

// RunTask adds a task, of one guest or with id "" of several, and gives its
// UPID. Without a status it is running; without lines its log is gone.
func (s *Server) RunTask(kind, id string, start, end time.Time, status string, lines ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.estate.tasks) + 1
	upid := fmt.Sprintf("UPID:%s:%08X:%08X:%08X:%s:%s:root@pam:", Node, n, n, start.Unix(), kind, id)
	row := Object{"upid": upid, "node": Node, "pid": n, "pstart": n, "starttime": start.Unix(), "type": kind, "id": id, "user": "root@pam"}
	s.estate.tasks = append(s.estate.tasks, task{row, lines})
	s.endTask(&s.estate.tasks[n-1], end, status)
	return upid
}

// EndTask ends a running task, or adds lines to its log when the status is "".
func (s *Server) EndTask(upid string, end time.Time, status string, lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.estate.tasks {
		if t := &s.estate.tasks[i]; t.row["upid"] == upid {
			t.lines = append(t.lines, lines...)
			s.endTask(t, end, status)
			return
		}
	}
	s.tb.Fatalf("no task %s", upid)
}

// FinishLine adds text to the last line of a task's log, which was half written.
func (s *Server) FinishLine(upid, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.estate.tasks {
		if t.row["upid"] == upid {
			t.lines[len(t.lines)-1] += text
			return
		}
	}
	s.tb.Fatalf("no task %s", upid)
}

func (s *Server) endTask(t *task, end time.Time, status string) {
	if status == "" {
		t.row["status"], t.row["saved"] = "RUNNING", "0"
		return
	}
	delete(t.row, "saved")
	t.row["status"], t.row["endtime"] = status, end.Unix()
}

// SetStorages replaces the storages and takes all backups away.
func (s *Server) SetStorages(rows ...Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.estate.storages, s.estate.volumes = rows, map[string][]Object{}
}

// HangStorage lets the server behind a storage die: whoever asks pvedaemon for
// any storage waits.
func (s *Server) HangStorage(name string, hung bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.estate.hung[name] = hung
}

// PutBackup adds a row of …/content?content=backup to a storage.
func (s *Server) PutBackup(storage string, row Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.estate.volumes[storage] = append(s.estate.volumes[storage], row)
}

// RemoveBackups empties a storage.
func (s *Server) RemoveBackups(storage string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.estate.volumes, storage)
}

// SetJobs replaces the backup jobs.
func (s *Server) SetJobs(rows ...Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.estate.jobs = rows
}

// SetDisks replaces the disks and ZFS pools; without pools ZFS is not installed.
func (s *Server) SetDisks(disks, pools []Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.estate.disks, s.estate.pools = disks, pools
}

// LeaveCluster makes the node stand alone.
func (s *Server) LeaveCluster() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.estate.alone = true
}

// stuck is 596, as long as a storage hangs that the question makes pvedaemon
// touch: any of them for a list, with ?storage=X too.
func (s *Server) stuck(storage string) *refused {
	for name, hung := range s.estate.hung {
		if hung && (storage == "" || storage == name) {
			return &refused{status: 596, reason: "Connection timed out"}
		}
	}
	return nil
}

func (s *Server) storages(c *call) (any, *refused) {
	rows := cloned(s.estate.storages)
	if name := c.query["storage"]; name != "" && !slices.ContainsFunc(rows, func(r Object) bool { return r["storage"] == name }) {
		return nil, badParameter("storage", "No such storage.")
	}
	if no := s.stuck(""); no != nil {
		return nil, no
	}
	return slices.DeleteFunc(rows, func(r Object) bool {
		return !c.rights.may(fmt.Sprint("/storage/", r["storage"]), "Datastore.Audit|Datastore.AllocateSpace")
	}), nil
}

// storage is the storage of the path, if its backups may be asked for.
func (s *Server) storage(c *call) (Object, *refused) {
	name := c.args["storage"]
	if no := c.need("/storage/"+name, "Datastore.Audit|Datastore.AllocateSpace"); no != nil {
		return nil, no
	}
	i := slices.IndexFunc(s.estate.storages, func(r Object) bool { return r["storage"] == name })
	if i < 0 {
		return nil, badParameter("storage", "No such storage.")
	}
	row := s.estate.storages[i]
	switch {
	case fmt.Sprint(row["enabled"]) == "0":
		return nil, &refused{500, fmt.Sprintf("storage '%s' is disabled", name), nil}
	case fmt.Sprint(row["active"]) == "0":
		return nil, &refused{500, fmt.Sprintf("storage '%s' is not online", name), nil}
	case !strings.Contains(fmt.Sprint(row["content"]), "backup"):
		return nil, &refused{500, fmt.Sprintf("storage '%s' does not support backups", name), nil}
	}
	return row, s.stuck(name)
}

// content drops every backup that the caller could not also delete.
func (s *Server) content(c *call) (any, *refused) {
	if _, no := s.storage(c); no != nil {
		return nil, no
	}
	name := c.args["storage"]
	at := "/storage/" + name
	return slices.DeleteFunc(cloned(s.estate.volumes[name]), func(r Object) bool {
		guest := fmt.Sprint("/vms/", r["vmid"])
		return !c.rights.may(at, "Datastore.Allocate") && !(c.rights.may(at, "Datastore.AllocateSpace") && c.rights.may(guest, "VM.Backup"))
	}), nil
}

var ownName = regexp.MustCompile(`vzdump-\w+-\d+-\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.`)

// prunebackups takes keep-all=1 only; the value has its own "=". It lists what
// has a vmid, without sizes.
func (s *Server) prunebackups(c *call) (any, *refused) {
	storage, no := s.storage(c)
	if no != nil {
		return nil, no
	}
	if c.query["prune-backups"] != "keep-all=1" {
		return nil, badParameter("prune-backups", "invalid format - value without key, but schema does not define a default key\n")
	}
	rows := []Object{}
	for _, v := range s.estate.volumes[c.args["storage"]] {
		if v["vmid"] == nil {
			continue
		}
		row := Object{"volid": v["volid"], "ctime": v["ctime"], "type": v["subtype"], "vmid": v["vmid"], "mark": "keep"}
		pbs := storage["type"] == "pbs"
		switch {
		case fmt.Sprint(v["protected"]) == "1":
			row["mark"] = "protected"
		case !pbs && !ownName.MatchString(fmt.Sprint(v["volid"])):
			row["mark"] = "renamed"
		}
		if pbs || row["mark"] == "renamed" {
			row["vmid"] = fmt.Sprint(v["vmid"])
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// nodeTasks is 50 finished ones unless told otherwise, and of others' tasks
// nothing without Sys.Audit.
func (s *Server) nodeTasks(c *call) (any, *refused) {
	limit, since := 50, 0
	for name, into := range map[string]*int{"limit": &limit, "since": &since} {
		if v, ok := c.query[name]; ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				return nil, badParameter(name, fmt.Sprintf("type check ('integer') failed - got '%s'", v))
			}
			*into = n
		}
	}
	rows := []Object{}
	for _, t := range s.estate.tasks {
		running := t.row["endtime"] == nil
		source := c.query["source"]
		switch {
		case !c.rights.may("/nodes/"+Node, "Sys.Audit"):
		case c.query["typefilter"] != "" && c.query["typefilter"] != t.row["type"]:
		case number(t.row["starttime"]) < since:
		case running && source != "all" && source != "active":
		case !running && source == "active":
		default:
			rows = append(rows, t.row)
		}
	}
	slices.SortFunc(rows, func(a, b Object) int { return number(b["starttime"]) - number(a["starttime"]) })
	return cloned(rows[:min(len(rows), limit)]), nil
}

func number(v any) int {
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil {
		panic(err)
	}
	return n
}

// lines are rows that stay in order.
type lines []Object

// taskLog is 50 lines unless told otherwise; of a log that is gone one that says so.
func (s *Server) taskLog(c *call) (any, *refused) {
	if no := c.need("/nodes/"+Node, "Sys.Audit"); no != nil {
		return nil, no
	}
	var all []string
	for _, t := range s.estate.tasks {
		if t.row["upid"] == c.args["upid"] {
			all = t.lines
		}
	}
	if all == nil {
		return lines{{"n": 1, "t": "unable to open file - No such file or directory"}}, nil
	}
	if len(all) == 0 {
		return lines{{"n": 1, "t": "no content"}}, nil
	}
	start, limit := 0, 50
	for name, into := range map[string]*int{"start": &start, "limit": &limit} {
		if v, ok := c.query[name]; ok {
			*into = number(v)
		}
	}
	if limit == 0 {
		limit = len(all)
	}
	rows := lines{}
	for i := start; i < min(start+limit, len(all)); i++ {
		rows = append(rows, Object{"n": i + 1, "t": all[i]})
	}
	return rows, nil
}

func (s *Server) backupJobs(c *call) (any, *refused) {
	if no := c.need("/", "Sys.Audit"); no != nil {
		return nil, no
	}
	rows := cloned(s.estate.jobs)
	if s.mode == PVE9 {
		return rows, nil
	}
	for _, r := range rows { // before 9 some say it with a string
		if f, ok := r["fleecing"].(Object); ok {
			r["fleecing"] = Object{"enabled": fmt.Sprint(f["enabled"])}
		}
		if rand.IntN(2) == 0 && r["enabled"] != nil {
			r["enabled"] = fmt.Sprint(r["enabled"])
		}
	}
	return rows, nil
}

// notBackedUp are the guests in no job, enabled or not.
func (s *Server) notBackedUp(c *call) (any, *refused) {
	if no := c.need("/", "Sys.Audit"); no != nil {
		return nil, no
	}
	rows := []Object{}
	for vmid, g := range s.guests {
		in := slices.ContainsFunc(s.estate.jobs, func(j Object) bool { return includes(j, g, strconv.Itoa(vmid)) })
		if !in && c.rights.may(fmt.Sprintf("/vms/%d", vmid), "VM.Audit") {
			row := Object{"vmid": vmid, "type": g.Kind}
			copyKey(row, "name", g.Row, "name")
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func includes(job Object, g *Guest, vmid string) bool {
	listed := func(key string) bool {
		list, _ := job[key].(string)
		return slices.Contains(strings.Split(list, ","), vmid)
	}
	pool, _ := job["pool"].(string)
	return fmt.Sprint(job["all"]) == "1" && !listed("exclude") || listed("vmid") || pool != "" && pool == g.Pool
}

func (s *Server) diskList(c *call) (any, *refused) {
	if !c.rights.may("/", "Sys.Audit") {
		if no := c.need("/nodes/"+Node, "Sys.Audit"); no != nil {
			return nil, no
		}
	}
	return cloned(s.estate.disks), nil
}

func (s *Server) zfsPools(c *call) (any, *refused) {
	if no := c.need("/", "Sys.Audit"); no != nil {
		return nil, no
	}
	if s.estate.pools == nil {
		return nil, &refused{500, "zfsutils-linux not installed", nil}
	}
	return cloned(s.estate.pools), nil
}

func (s *Server) clusterStatus(c *call) (any, *refused) {
	if no := c.need("/", "Sys.Audit"); no != nil {
		return nil, no
	}
	rows := objects("cluster_status", "cluster")
	if s.estate.alone {
		rows = slices.DeleteFunc(rows, func(r Object) bool { return r["type"] == "cluster" || r["name"] != Node })
	}
	return rows, nil
}

// cloned is rows that an answer may shuffle and change.
func cloned(rows []Object) []Object {
	copies := make([]Object, len(rows))
	for i, r := range rows {
		copies[i] = maps.Clone(r)
	}
	return copies
}
