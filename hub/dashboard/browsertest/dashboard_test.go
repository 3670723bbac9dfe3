package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"felhom.eu/agent/simulated"
	"felhom.eu/messages"
)

// evil is a name that wants to be markup, whatever it is put into.
const evil = `"'><img src=x onerror=pwned=1><script>pwned=1</script>{{.}}` + "\u202e"

// hostile says evil things wherever a report lets it.
func hostile(r *messages.Report, at time.Time) {
	r.Host.Node, r.Host.Kernel, r.Host.PVEVersion, r.AgentVersion = evil, evil, evil, "<b>1"
	for i := range r.Guests {
		r.Guests[i].Name, r.Guests[i].Tags = evil, []string{evil}
	}
	ended := at.Add(-time.Minute).UTC()
	r.StorageTargets = messages.Items[messages.StorageTarget]{{Storage: evil, Type: evil, Content: []string{evil}, Enabled: true, Active: true, TotalBytes: 100, UsedBytes: 97}}
	r.ZFSPools = messages.Items[messages.ZFSPool]{{Name: evil, Health: evil, SizeBytes: 10}}
	r.Disks = messages.Items[messages.Disk]{{Device: evil, Model: evil, Health: evil}}
	r.PBSDatastores = messages.Items[messages.PBSDatastore]{{Server: evil, Datastore: evil, Error: evil}}
	r.PBSSnapshots = messages.Items[messages.PBSGroup]{{Server: evil, Datastore: evil, Namespace: evil, BackupType: "ct", BackupID: evil, Owner: evil}}
	r.RestoreTests = messages.Items[messages.RestoreTest]{{VMID: 100, Level: "restored", StartedAt: ended, Detail: evil}}
	r.AuditTail = messages.Items[messages.AuditEntry]{{UPID: evil, Type: evil, ID: evil, User: evil, StartedAt: ended, EndedAt: &ended, Status: evil}}
	r.Sections = map[string]messages.Section{"guests": {Status: "ok"}, "backups": {Status: "denied", Detail: evil}}
}

const (
	watched = messages.HostID("acme-00000001")
	steady  = messages.HostID("acme-00000002")
	wicked  = messages.HostID("evil-00000001")
)

func smallWorld(t *testing.T) *world {
	customers := []messages.Customer{{ID: "acme", DisplayName: "Acme Ltd"}, {ID: "evil", DisplayName: evil}}
	return begin(t, customers, []machine{
		{id: watched, site: "Berlin", source: simulated.New(1, simulated.Profile{})},
		{id: steady, site: "Berlin", source: simulated.New(2, simulated.Profile{})},
		{id: wicked, source: simulated.New(3, simulated.Profile{Guests: 2}), more: hostile},
	}, 2*time.Hour)
}

// One evening of an operator: sign in, see a host go down without touching the page,
// silence it, look at its graphs, make another host.
func TestOperatorsEvening(t *testing.T) {
	w := smallWorld(t)
	b := open(t, w.app.URL())
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(204) }))
	t.Cleanup(receiver.Close)
	w.post("routes", map[string]any{"kind": "webhook", "url": receiver.URL})

	b.signIn(w.app.LoginLink())
	b.until(`document.querySelectorAll("tr[data-h]").length === 3`)
	row := fmt.Sprintf(`document.querySelector('tr[data-h=%q] .state').textContent.trim()`, watched)
	b.until(row + ` === "ok"`)
	b.do(chromedp.Evaluate(`window.sameTab = true`, nil))
	w.stops[watched]()
	b.until(row + ` === "down"`)
	b.until(fmt.Sprintf(`document.querySelector("#attention").textContent.includes(%q)`, watched))
	b.until(`document.querySelector("#say").textContent.includes("down") || document.querySelector("#say").textContent.includes("stale")`)
	if !is[bool](b, `window.sameTab === true`) {
		t.Error("the page was loaded anew")
	}
	if got := is[string](b, fmt.Sprintf(`document.querySelector('tr[data-h=%q] .state').textContent.trim()`, steady)); got != "ok" {
		t.Errorf("a host that reports is %q", got)
	}

	// Search answers while one types, and says so in the address.
	b.do(chromedp.SendKeys(`#fleet input[type="search"]`, "00000002"))
	b.until(`document.querySelectorAll("tr[data-h]").length === 1 && location.search.includes("00000002")`)

	// Acknowledge, with the button beside the alarm: whoever looks next sees by whom.
	b.to("/")
	mine := fmt.Sprintf(`//li[contains(@class,"group")][.//a[.=%q]]`, watched)
	b.do(chromedp.Click(mine+`//summary[.="Acknowledge"]`), chromedp.SendKeys(mine+`//form[contains(@action,"/acknowledge")]//input[@name="reason"]`, "on my way"),
		chromedp.Click(mine+`//form[contains(@action,"/acknowledge")]//button`))
	b.until(`document.querySelector(".note") && document.querySelector("#attention").textContent.includes("on my way")`)

	// Silence, with the button beside the alarm.
	b.to("/")
	group := fmt.Sprintf(`//li[contains(@class,"group")][.//a[.=%q]]`, watched)
	b.do(chromedp.Click(group+`//summary[.="Silence"]`), chromedp.SendKeys(group+`//form[@action="/silences"]//input[@name="reason"]`, "new disks"),
		chromedp.Click(group+`//form[@action="/silences"]//button`))
	b.until(`document.querySelector(".note") && document.querySelector("#attention").textContent.includes("new disks")`)

	// Graphs are drawn.
	b.to("/hosts/" + string(steady))
	b.until(`document.querySelectorAll("#graphs canvas").length === 4`)
	b.do(chromedp.Click(`[data-span="day"]`))
	b.until(`document.querySelectorAll("#graphs canvas").length === 4 && !document.querySelector("#graphs[aria-busy]")`)

	// Another host: a command that is shown once, and a minted key.
	b.to("/customers/acme")
	b.do(chromedp.Click(`//summary[.="Add a host"]`), chromedp.Click(`button[value="token"]`), chromedp.WaitVisible(".once code"))
	if line := is[string](b, `document.querySelector("[data-copy]").textContent`); !strings.HasPrefix(line, "felhom-agent enroll --hub "+w.app.URL()+" --token ") {
		t.Errorf("the command is %q", line)
	}
	b.to("/customers/acme")
	b.do(chromedp.Click(`//summary[.="Add a host"]`), chromedp.Click(`button[value="key"]`), chromedp.WaitVisible(".once code"))
	minted := is[string](b, `document.querySelector(".once code").textContent`)
	b.to("/")
	b.until(fmt.Sprintf(`document.querySelector('tr[data-h=%q] .state').textContent.trim() === "new"`, minted))

	// The route works.
	b.to("/settings")
	b.do(chromedp.Click(`//button[.="Send a test"]`))
	b.until(`document.querySelector(".note").textContent.includes("The test arrived")`)
	b.quiet()
}

// Every page with names that want to be markup: nothing of them runs, nothing loads,
// and no guard had to step in.
func TestHostileNamesStayText(t *testing.T) {
	w := smallWorld(t)
	b := open(t, w.app.URL())
	b.signIn(w.app.LoginLink())
	pages := []string{"/", "/?q=%3Cscript%3Epwned%3D1%3C%2Fscript%3E&site=%22%3E%3Cimg%20src%3Dx%20onerror%3Dpwned%3D1%3E", "/customers", "/customers/evil",
		"/hosts/" + string(wicked), "/events", "/events?q=%22%3E%3Cscript%3E", "/deliveries", "/silences?scope=%22%3E%3Cscript%3E&id=%22%3E%3Cscript%3Epwned%3D1%3C/script%3E", "/settings"}
	for _, page := range pages {
		b.to(page)
		found := is[string](b, `String([typeof pwned, document.querySelectorAll("main script, main [onerror], img[src='x']").length, document.body.innerHTML.includes("{{.}}") || true])`)
		if found != "undefined,0,true" {
			t.Errorf("%s: %s", page, found)
		}
	}
	b.to("/hosts/" + string(wicked))
	b.do(chromedp.Click(`#h-reports ~ .scroll tbody a, section[aria-labelledby="h-reports"] tbody a`), chromedp.WaitVisible("pre.body"))
	if text := is[string](b, `document.querySelector("pre.body").textContent`); !strings.Contains(text, "onerror=pwned") {
		t.Error("the report is not shown as it was received")
	}
	if is[string](b, `typeof pwned`) != "undefined" {
		t.Error("a name ran")
	}
	b.quiet()
}

// The pages work without script: filters and forms are links and forms.
func TestPagesWorkWithoutScript(t *testing.T) {
	w := smallWorld(t)
	b := open(t, w.app.URL())
	b.signIn(w.app.LoginLink())
	b.withoutScript()
	b.to("/?q=00000002")
	b.do(chromedp.WaitVisible(`a[href="/hosts/` + string(steady) + `"]`))
	b.to("/silences?scope=customer&id=acme")
	b.do(chromedp.SendKeys(`input[name="reason"]`, "without script"), chromedp.Click(`form.form button`), chromedp.WaitVisible(".note"))
	b.do(chromedp.WaitVisible(`//td[.="without script"]`))
}
