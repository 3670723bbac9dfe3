package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"felhom.eu/hub/config"
)

// globalKey is what the fake hub takes for its own.
const globalKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"felhom-hub": func() {
		os.Exit(Main(context.Background(), fakeProgram(), os.Args[1:], Streams{os.Stdin, os.Stdout, os.Stderr}))
	}})
}

// fakeProgram tells what it was asked, and fails where a script wants it to.
func fakeProgram() Program {
	return Program{
		Version: "1.2.3",
		Serve: func(_ context.Context, c config.Config) error {
			fmt.Println("serve", c.Listen, c.StaleSeconds)
			return nil
		},
		Demo: func(_ context.Context, d Demo) error {
			fmt.Println("demo", d.For, d.Listen)
			return nil
		},
		Restore: func(_ context.Context, c config.Config, r io.Reader) error {
			b, err := io.ReadAll(r)
			fmt.Printf("%s <- %s\n", c.DataDir, b)
			return err
		},
		Check: func(_ context.Context, c config.Config) ([]string, error) {
			if c.DataDir == "broken" {
				return []string{"state: 3 customers"}, errors.New("check state: event 7: corrupt")
			}
			return []string{"state: 3 customers"}, nil
		},
	}
}

// TestCommandAsAUserMeetsIt runs each script against a fake hub: what is
// printed, what is asked of the hub, and the exit status.
func TestCommandAsAUserMeetsIt(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			hub := httptest.NewServer(&fakeHub{requests: filepath.Join(env.WorkDir, "requests")})
			env.Defer(hub.Close)
			env.Setenv("HUB", hub.URL)
			env.Setenv("HUB_WITH_TLS", "https"+strings.TrimPrefix(hub.URL, "http"))
			mute := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
			env.Defer(mute.Close)
			env.Setenv("MUTE", mute.URL)
			env.Setenv("KEY", globalKey)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector sleeps a second at every program's end
			env.Setenv("FELHOM_HUB_GLOBAL_KEY", globalKey)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": wantStatus},
	})
}

// wantStatus is the script command "status N ARGS…": felhom-hub exits with N.
func wantStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: status N ARG...")
	}
	err := ts.Exec("felhom-hub", args[1:]...)
	got := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("felhom-hub %s: exit status %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// fakeHub answers the admin API from a fixed fleet and writes down what it was
// asked.
type fakeHub struct{ requests string }

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.note(r, body)
	if r.Header.Get("Authorization") != "Bearer "+globalKey {
		answer(w, 401, `{"error":{"code":"unauthorized","message":"unknown key"}}`)
		return
	}
	asked := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1/admin/")
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		asked += "?" + cursor
	}
	a, ok := fakeAnswers[asked]
	if !ok {
		answer(w, 404, `{"error":{"code":"not_found","message":"no such thing"}}`)
		return
	}
	said := strings.ReplaceAll(a.body, "RECENT", time.Now().UTC().Add(-190*time.Second).Format(time.RFC3339))
	answer(w, a.status, strings.ReplaceAll(said, "SOON", time.Now().UTC().Add(115*time.Minute).Format(time.RFC3339)))
}

func (h *fakeHub) note(r *http.Request, body []byte) {
	f, err := os.OpenFile(h.requests, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	q := r.URL.Query()
	q.Del("limit")
	fmt.Fprintf(f, "%s %s %s%s\n", r.Method, r.URL.Path, q.Encode(), body)
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

type fakeAnswer struct {
	status int
	body   string
}

const (
	acmeJSON  = `{"customer_id":"acme","display_name":"Acme Ltd","blocked":false,"created_at":"RECENT","later_field":1}`
	zetaJSON  = `{"customer_id":"zeta","display_name":"","blocked":true,"created_at":"RECENT"}`
	hostJSON  = `"host_id":"acme-7f3a90c1","customer_id":"acme","site":"vienna","state":"ok","state_since":"RECENT","last_report_at":"RECENT","silence_seconds":190,"skew_seconds":0,"agent_version":"0.3.0","cpu_percent":7.3,"memory_percent":31.8,"disk_percent":null,"guest_total":2,"guest_running":1,"cloudflared":"active"`
	dimJSON   = `"host_id":"acme-7f3a90c2","customer_id":"acme","state":"ok","state_since":"RECENT","last_report_at":"RECENT","silence_seconds":190,"skew_seconds":0,"agent_version":"0.3.0","cpu_percent":7.3,"memory_percent":null,"disk_percent":null,"guest_total":null,"guest_running":null,"cloudflared":"active"`
	nodeJSON  = `"host":{"node":"pve1","pve_version":"8.4.1","uptime_seconds":1209600,"memory_total_bytes":67430330368,"memory_used_bytes":21474836480,"cpu_count":16}`
	guestJSON = `"guests":[{"vmid":101,"kind":"lxc","name":"web","status":"running","memory_used_bytes":402653184},{"vmid":102,"kind":"qemu","name":"db","status":"stopped"}]`
	denied    = `"sections":{"guests":{"status":"ok"},"backups":{"status":"denied","detail":"Datastore.Audit on /storage/nas"}}`
	eventJSON = `{"event_id":"01JZ0000000000000000000001","type":"host_down","at":"2026-06-08T14:20:09Z","customer_id":"acme","host_id":"acme-7f3a90c1","summary":"acme-7f3a90c1 is down, silent for 1 h"}`
	rulesJSON = `{"own":{"storage_warning_ratio":0.8,"excluded_guests":[105,106]},"effective":{"storage_warning_ratio":0.8,"backup_warning_seconds":108000,"excluded_guests":[105,106],"pbs_sources":[{"server":"pbs1","datastore":"main","namespace":"acme","owner":"a@pbs!x"}]}}`
	chainJSON = `{"host_id":"acme-7f3a90c1","customer_id":"acme","vmid":101,"name":"web","state":"protected","backup":{"state":"ok","age_seconds":79200},"verify":{"state":"ok","age_seconds":86400},"restore_test":{"state":"ok","age_seconds":259200},"pbs_source":{"server":"pbs1","datastore":"main","namespace":"acme","owner":"a@pbs!x"}},` +
		`{"host_id":"acme-7f3a90c1","customer_id":"acme","vmid":102,"name":"db","state":"unprotected","backup":{"state":"missing"},"verify":{"state":"none"},"restore_test":{"state":"none"}}`
	seriesJSON = `{"host_id":"acme-7f3a90c1","resolution":"15m","slot_seconds":900,"from":"2026-06-08T12:00:00Z","to":"2026-06-08T12:45:00Z","times":["2026-06-08T12:00:00Z","2026-06-08T12:15:00Z","2026-06-08T12:30:00Z"],"reports":[1,0,2],` +
		`"cpu_used_ratio":{"average":[0.25,null,0.75],"maximum":[0.5,null,1]},"memory_used_ratio":{"average":[null,null,null],"maximum":[null,null,null]},"disk_used_ratio":{"average":[0.7,null,0.7],"maximum":[0.7,null,0.7]},"guests_running":{"minimum":[1,null,3],"maximum":[1,null,3]}}`
	availableJSON = `"outages":2,"listened_seconds":2592000,"down_seconds":5400,"planned_seconds":0,"availability_ratio":0.997916},` +
		`{"month":"2026-05","outages":0,"listened_seconds":0,"down_seconds":0,"planned_seconds":0,"availability_ratio":null}]}`
	userJSON     = `"name":"anna","role":"operator","has_password":true,"created_at":"RECENT","sessions":2`
	deadlineID   = "01JZ0000000000000000000004"
	deadlineJSON = `{"deadline_id":"` + deadlineID + `","customer_id":"acme","name":"morning report","time":"06:00","time_zone":"Europe/Budapest","weekdays":["mon","fri"],"expect":"controller","subject":"web","grace_seconds":900,"next_at":"2026-06-12T04:00:00Z"}`
	routeID      = "01JZ0000000000000000000002"
	sentID       = "01JZ0000000000000000000003"

	silenceID   = "01JZ0000000000000000000004"
	silenceJSON = `{"silence_id":"` + silenceID + `","scope":{"kind":"host","id":"acme-7f3a90c1"},"reason":"new disks","created_by":"global key","created_at":"RECENT","starts_at":"RECENT","ends_at":"SOON","state":"active","changes_at":"SOON"}`
	endedJSON   = `{"silence_id":"01JZ0000000000000000000005","scope":{"kind":"site","id":"vienna"},"reason":"power","created_by":"global key","created_at":"RECENT","starts_at":"RECENT","ends_at":"RECENT","schedule":"0 3 * * 0","duration_seconds":7200,"state":"past"}`
)

const (
	replayLines = `{"progress":{"reports":0,"at":"2026-06-08T14:20:09Z"}}
{"message":{"verdict":"partly","at":"2026-06-08T14:20:39Z","route_id":"` + routeID + `","events":[{"verdict":"same","type":"host_stale","at":"2026-06-08T14:20:09Z","host_id":"acme-7f3a90c1","severity":"warning","summary":"acme-7f3a90c1 has been silent\u001b[31m for 30 min"},{"verdict":"replay","type":"host_down","at":"2026-06-08T14:20:09Z","severity":"critical","summary":"acme-7f3a90c2 is down"}]}}
{"message":{"verdict":"same","at":"2026-06-08T15:20:39Z","route_id":"` + routeID + `","events":[{"verdict":"same","type":"host_recovered","at":"2026-06-08T15:20:09Z","severity":"critical","summary":"acme-7f3a90c1 is back"}]}}
{"summary":{"since":"2026-06-01T00:00:00Z","until":"2026-06-09T00:00:00Z","began_at":"2026-05-31T00:00:00Z","reports":12,"hosts":2,"messages":{"replay":2,"then":2},"events":{"same":2,"replay":1,"then":0},"notes":["what was acknowledged is not replayed"]}}
`
	drillLines = `{"step":{"part":"drill","step":"decided","at":"2026-06-08T14:20:09Z","after_ms":0}}
{"step":{"part":"drill","step":"answered","at":"2026-06-08T14:20:09Z","after_ms":12.3,"route_id":"` + routeID + `","delivery_id":"` + sentID + `","status_code":503,"answer":"busy\u001b[31m"}}
{"result":{"ok":false,"routes":[{"route_id":"` + routeID + `","ok":false,"after_ms":12.3,"problem":"no good answer within 30s: busy"}]}}
`
)

var fakeAnswers = map[string]fakeAnswer{
	"GET customers":                                 {200, `{"items":[` + acmeJSON + `],"next_cursor":"acme"}`},
	"GET customers?acme":                            {200, `{"items":[` + zetaJSON + `],"next_cursor":""}`},
	"GET customers/acme":                            {200, acmeJSON},
	"POST customers":                                {201, acmeJSON},
	"POST customers/acme/block":                     {200, acmeJSON},
	"DELETE customers/acme":                         {409, `{"error":{"code":"conflict","message":"customer acme still has hosts"}}`},
	"POST hosts":                                    {201, `{"host_id":"acme-7f3a90c1","api_key":"` + globalKey + `"}`},
	"GET hosts":                                     {200, `{"items":[{` + hostJSON + `},{` + dimJSON + `}],"next_cursor":""}`},
	"GET hosts/acme-7f3a90c1":                       {200, `{` + hostJSON + `,` + nodeJSON + `,` + guestJSON + `,` + denied + `}`},
	"GET hosts/acme-7f3a90c2":                       {200, `{` + dimJSON + `}`},
	"POST hosts/acme-7f3a90c1/rotate-key":           {200, `{"api_key":"` + globalKey + `"}`},
	"POST hosts/acme-7f3a90c1/revoke-key":           {204, ``},
	"DELETE hosts/acme-7f3a90c1":                    {204, ``},
	"GET events":                                    {200, `{"items":[` + eventJSON + `],"next_cursor":""}`},
	"POST routes":                                   {201, `{"route_id":"` + routeID + `","kind":"webhook","url":"https://ops.example.com/***","secret":"whsec_c2VjcmV0"}`},
	"GET routes":                                    {200, `{"items":[],"next_cursor":""}`},
	"POST routes/" + routeID + "/test":              {200, `{"ok":false,"status_code":500,"answer":"no room","duration_ms":12}`},
	"DELETE routes/" + routeID:                      {204, ``},
	"GET deliveries":                                {200, `{"items":[{"delivery_id":"` + sentID + `","route_id":"` + routeID + `","events":["a","b"],"reason":"reminder","state":"dead","created_at":"RECENT","attempts":9,"last_status":503}],"next_cursor":""}`},
	"POST deliveries/" + sentID + "/retry":          {200, `{}`},
	"GET hosts/acme-7f3a90c1/series":                {200, seriesJSON},
	"GET hosts/acme-7f3a90c1/availability":          {200, `{"host_id":"acme-7f3a90c1","customer_id":"acme","months":[{"month":"2026-06",` + availableJSON},
	"GET customers/acme/availability":               {200, `{"customer_id":"acme","months":[{"month":"2026-06","hosts":3,` + availableJSON},
	"POST customers/acme/deadlines":                 {201, deadlineJSON},
	"GET customers/acme/deadlines":                  {200, `{"items":[` + deadlineJSON + `,{"deadline_id":"01JZ0000000000000000000005","name":"night\u001b[31m","time":"02:30","time_zone":"UTC","weekdays":[],"expect":"backup","subject":"acme-7f3a90c1/101","next_at":"2026-06-09T02:30:00Z","missed_at":"2026-06-08T02:30:00Z"}],"next_cursor":null}`},
	"GET customers/zeta/deadlines":                  {200, `{"items":[],"next_cursor":null}`},
	"DELETE customers/acme/deadlines/" + deadlineID: {204, ``},
	"POST users":                                    {201, `{` + userJSON + `}`},
	"GET users":                                     {200, `{"items":[{` + userJSON + `},{"name":"bert@acme","role":"customer","customer_id":"acme","has_password":false,"created_at":"RECENT","sessions":0}],"next_cursor":null}`},
	"POST users/anna/password":                      {204, ``},
	"POST users/anna/role":                          {200, `{` + userJSON + `}`},
	"DELETE users/anna":                             {204, ``},
	"DELETE users/anna/sessions":                    {204, ``},
	"GET sessions":                                  {200, `{"items":[{"session_id":"0011223344556677","created_at":"RECENT","seen_at":"RECENT","ends_at":"SOON","address":"192.0.2.1","agent":"evil\u001b[31m"}],"next_cursor":null}`},
	"POST login-links":                              {201, `{"url":"https://hub.example/login?token=abc","expires_at":"SOON"}`},
	"GET audit":                                     {200, `{"items":[{"sequence":8,"at":"2026-06-08T14:20:09Z","who":"user anna","action":"customers block","subject":"acme","customer_id":"acme","address":"192.0.2.1","outcome":"done"}],"next_cursor":null}`},
	"GET hosts/acme-7f3a90c1/rules":                 {200, rulesJSON},
	"PUT hosts/acme-7f3a90c1/rules":                 {200, rulesJSON},
	"GET customers/acme/rules":                      {200, rulesJSON},
	"DELETE customers/acme/rules":                   {204, ``},
	"GET protection":                                {200, `{"items":[` + chainJSON + `],"next_cursor":null}`},
	"GET hosts/acme-7f3a90c1/protection":            {200, `{"items":[` + chainJSON + `],"next_cursor":null}`},
	"POST silences":                                 {201, silenceJSON},
	"GET silences":                                  {200, `{"items":[` + silenceJSON + `,` + endedJSON + `],"next_cursor":null}`},
	"DELETE silences/" + silenceID:                  {204, ``},
	"POST replay":                                   {200, replayLines},
	"POST drill":                                    {200, drillLines},
	"GET backup":                                    {200, "a backup, byte for byte\n"},
	"POST customers/acme/unblock":                   {503, `{"error":{"code":"unavailable","message":"disk is full"}}`},
	"GET customers/proxy":                           {502, `<html>bad gateway</html>`},
	"GET hosts/acme-00000000":                       {403, `{"error":{"code":"forbidden","message":"not the global key"}}`},
	"POST routes/" + sentID + "/test":               {200, `{"ok":true,"status_code":204,"duration_ms":12}`},
	"POST hosts/acme-00000001/rotate-key":           {500, `{"error":{"code":"internal","message":"internal error"}}`},
	"GET customers/" + strings.Repeat("x", 3):       {200, `not json`},
}
