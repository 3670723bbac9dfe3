package proxmox

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"felhom.eu/messages"
)

const (
	auditEntries = 50 // newest tasks in a report
	// A node's task archive has 1000 to 2000 entries at most (pve-common,
	// PVE/RESTEnvironment.pm); Proxmox itself gives 50 unless told.
	maxTasks = 500
	// recentTasks is how far back the task list is read once all of it was: tasks
	// are listed by their start, and none takes longer.
	recentTasks = 3 * 24 * time.Hour
)

// The tasks that are looked into.
const (
	taskBackup      = "vzdump"
	taskRestoreLXC  = "vzrestore"
	taskRestoreQEMU = "qmrestore"
)

// task is a row of /nodes/{node}/tasks.
type task struct {
	UPID    string `json:"upid"`
	Type    string `json:"type"`
	ID      string `json:"id"` // the guest's vmid; "" when the task is for several
	User    string `json:"user"`
	TokenID string `json:"tokenid"`
	Start   U64    `json:"starttime"`
	End     U64    `json:"endtime"`
	Status  string `json:"status"` // RUNNING, OK, "WARNINGS: n", or what went wrong
}

func (t *task) running() bool { return t.End == 0 && (t.Status == "" || t.Status == "RUNNING") }

// ok reports whether a task that ended did what it was to do.
func (t *task) ok() bool { return t.Status == "OK" || t.warned() }

func (t *task) warned() bool { return strings.HasPrefix(t.Status, "WARNINGS: ") }

// vmid is the one guest that the task is for; 0 for several or none.
func (t *task) vmid() messages.VMID {
	n, err := strconv.ParseUint(t.ID, 10, 64)
	if err != nil || n < messages.MinVMID || n > messages.MaxVMID {
		return 0
	}
	return messages.VMID(n)
}

// tasks asks for the newest tasks, of one kind unless kind is "", that started
// after since unless it is zero. Newest first.
func (x *round) tasks(ctx context.Context, kind string, limit int, since time.Time) ([]task, error) {
	q := question{path: path("nodes", x.node, "tasks"), query: url.Values{
		"source": {"all"}, // running ones, too
		"limit":  {strconv.Itoa(limit)},
	}}
	if kind != "" {
		q.query.Set("typefilter", kind)
	}
	if !since.IsZero() {
		q.query.Set("since", strconv.FormatInt(since.Unix(), 10))
	}
	rows, err := fetch[task](ctx, x, q, nil)
	slices.SortStableFunc(rows, func(a, b task) int { return int(b.Start) - int(a.Start) })
	return slices.CompactFunc(rows, func(a, b task) bool { return a.UPID == b.UPID }), err
}

// auditTail is what was done on the node lately, and by whom.
func (x *round) auditTail(ctx context.Context) (messages.Items[messages.AuditEntry], messages.Section) {
	rows, err := x.tasks(ctx, "", auditEntries, time.Time{})
	if section, bad := x.unseen(err, path("nodes", x.node), "Sys.Audit"); bad {
		return nil, section
	}
	list := make(messages.Items[messages.AuditEntry], 0, len(rows))
	for _, t := range rows {
		e := messages.AuditEntry{
			UPID: x.clean(t.UPID), Type: x.clean(t.Type), ID: x.clean(t.ID), User: x.clean(t.User), TokenID: x.clean(t.TokenID),
			StartedAt: unix(t.Start).UTC(), EndedAt: utc(unix(t.End)), Status: discreet(x.clean(t.Status)),
		}
		if t.running() {
			e.Status = "" // EndedAt says it
		}
		list = append(list, e)
	}
	return list, messages.Section{Status: messages.SectionOK}
}

// credential is a value that a task's own words may repeat from a command line
// or an address.
var credential = regexp.MustCompile(`(?i)((?:pass(?:word|wd)?|secret|token|api-?key)["']?\s*[=: ]\s*|://[^/\s:@]+:)[^\s,;@"']+`)

// discreet is text without what looks like a password.
func discreet(text string) string { return credential.ReplaceAllString(text, "${1}[redacted]") }
