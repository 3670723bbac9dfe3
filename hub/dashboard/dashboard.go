package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"felhom.eu/hub/api"
	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	askTimeout  = 8 * time.Second // for the hub, below the server's own for an answer
	themeCookie = "felhom_theme"
	themeLife   = 365 * 24 * time.Hour
)

// Hub is what the pages ask.
type Hub interface {
	api.Fleet

	// EachHost calls fn for every host in the order of their ids, until fn fails.
	EachHost(fn func(messages.Host, messages.HostState) error) error
	// Watch calls tell with every batch that became durable from now on, until stop.
	// tell must be quick and change nothing in the batch; it may keep it.
	Watch(tell func(*messages.Batch)) (stop func())
	// Listened is the present moment in listening time.
	Listened() messages.Listened
	// LatestEvents are newest first; next is where to look on, "" at the end.
	LatestEvents(ctx context.Context, q EventQuery) (es []messages.Event, next messages.EventID, err error)
	// EachAlarm calls fn for every alarm that is open or not yet told, until fn fails.
	EachAlarm(ctx context.Context, fn func(messages.Alarm) error) error
}

// EventQuery is a question for events, newest first.
type EventQuery struct {
	api.EventFilter
	Match  func(*messages.Event) bool // nil is all
	Before messages.EventID           // exclusive; "" is from the newest
	Limit  int                        // events at most
	Look   int                        // events looked at, at most
}

// Config is what a Dashboard must be told.
type Config struct {
	Version     string
	ExternalURL string // for the commands that a page shows; "" is the address it was asked at
	Access      Access // nil: nobody is shown
}

// Dashboard serves the pages. Make one with New; it may be used by any number of goroutines.
type Dashboard struct {
	hub    Hub
	cfg    Config
	log    zerolog.Logger
	board  *board
	sparks sparks
}

// New makes a Dashboard. It costs nothing until Warm, or until somebody looks.
func New(hub Hub, cfg Config, log zerolog.Logger) *Dashboard {
	go pages() // before the first look
	return &Dashboard{hub: hub, cfg: cfg, log: log, board: newBoard(hub)}
}

// Warm gets ready for the first look, which would take longer otherwise; with a large
// fleet it does nothing, as the memory is for those who look. It blocks meanwhile.
func (d *Dashboard) Warm() {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	if err := d.board.warm(ctx); err != nil {
		d.log.Warn().Err(err).Msg("hosts not read for the dashboard; the first look will")
	}
}

// Close ends the live updates, which have no end of their own.
func (d *Dashboard) Close() { d.board.close() }

// Pages are the addresses that the server is to serve.
func (d *Dashboard) Pages() []api.Page {
	return []api.Page{
		{Method: "GET", Path: "/", Serve: d.page(d.first)},
		{Method: "GET", Path: "/hosts/{host_id}", Serve: d.page(d.host)},
		{Method: "GET", Path: "/hosts/{host_id}/spark.svg", Serve: d.page(d.spark)},
		{Method: "GET", Path: "/hosts/{host_id}/series", Serve: d.page(d.series)},
		{Method: "GET", Path: "/live", Serve: d.page(d.live)},
		{Method: "GET", Path: "/assets/{version}/{file}", Public: true, Serve: d.page(d.asset)},
		{Method: "GET", Path: "/favicon.ico", Public: true, Serve: d.page(d.icon)},
		{Method: "POST", Path: "/theme", Own: true, Serve: d.page(d.theme)},
		{Method: "GET", Path: "/hosts/{host_id}/reports/{report_id}", Serve: d.page(d.report)},
		{Method: "GET", Path: "/customers", Serve: d.page(d.customers)},
		{Method: "GET", Path: "/customers/{customer_id}", Serve: d.page(d.customer)},
		{Method: "GET", Path: "/events", Serve: d.page(d.events)},
		{Method: "GET", Path: "/deliveries", Serve: d.page(d.deliveries)},
		{Method: "GET", Path: "/silences", Serve: d.page(d.silences)},
		{Method: "GET", Path: "/settings", Serve: d.page(d.settings)},

		{Method: "POST", Path: "/alarms/{incident_id}/acknowledge", Serve: d.page(d.act(d.acknowledge))},
		{Method: "POST", Path: "/alarms/{incident_id}/unacknowledge", Serve: d.page(d.act(d.unacknowledge))},
		{Method: "POST", Path: "/silences", Serve: d.page(d.act(d.addSilence))},
		{Method: "POST", Path: "/silences/{silence_id}/end", Serve: d.page(d.act(d.endSilence))},
		{Method: "POST", Path: "/routes/{route_id}/test", Serve: d.page(d.act(d.testRoute))},
		{Method: "POST", Path: "/deliveries/{delivery_id}/retry", Serve: d.page(d.act(d.retryDelivery))},
		{Method: "POST", Path: "/customers", Serve: d.page(d.act(d.addCustomer))},
		{Method: "POST", Path: "/customers/{customer_id}/hosts", Serve: d.page(d.act(d.addHost))},
		{Method: "POST", Path: "/customers/{customer_id}/block", Serve: d.page(d.act(d.block(true)))},
		{Method: "POST", Path: "/customers/{customer_id}/unblock", Serve: d.page(d.act(d.block(false)))},
		{Method: "POST", Path: "/hosts/{host_id}/rotate-key", Serve: d.page(d.act(d.rotateKey))},
	}
}

// request is one look at a page.
type request struct {
	*fasthttp.RequestCtx
	ctx    context.Context
	viewer viewer
	params [3]string
	now    time.Time
}

// viewer is who looks: what he may see, and whether he may change anything.
type viewer struct {
	name     string
	csrf     string              // what his forms send back; "" without a session
	customer messages.CustomerID // "": every customer
	operator bool
}

// nobodys is no customer's id: who may see neither the fleet nor a customer sees nothing.
const nobodys = "-"

func viewerOf(p *auth.Principal) viewer {
	v := viewer{name: p.Name(), csrf: p.CSRF, operator: p.May(auth.Change, "")}
	if !p.May(auth.Read, "") {
		v.customer = messages.CustomerID(or(string(p.CustomerID), nobodys))
	}
	return v
}

// sees reports whether what belongs to a customer is the viewer's to see.
func (v viewer) sees(c messages.CustomerID) bool { return v.customer == "" || v.customer == c }

// errBad is a request that asks for nothing there is.
var errBad = errors.New("the address asks for something that does not exist")

// page turns a page's function into what the server calls: errors become pages, too.
func (d *Dashboard) page(serve func(*request) error) func(*fasthttp.RequestCtx, api.Visit) {
	return func(ctx *fasthttp.RequestCtx, v api.Visit) {
		c, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		c = messages.WithAudit(c, v.Note)
		r := &request{RequestCtx: ctx, ctx: c, viewer: viewerOf(&v.Who), params: v.Params, now: time.Now().UTC()}
		if err := serve(r); err != nil {
			d.fail(r, err)
		}
	}
}

// problemPage is what an error says to a reader.
type problemPage struct {
	Status      int
	What, Mends string
}

// fail answers with a page about err, and logs it when it is the hub's fault.
func (d *Dashboard) fail(r *request, err error) {
	p := problemPage{500, "Something went wrong in the hub.", "Its log knows more."}
	switch {
	case errors.Is(err, api.ErrNotFound), errors.Is(err, errBad), errors.Is(err, messages.ErrBadID):
		p = problemPage{404, "There is nothing here.", "It may have been removed, or the address has a mistake."}
	case errors.Is(err, api.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		p = problemPage{503, "The hub cannot answer now.", "Nothing was changed. Try again in a moment."}
	case errors.Is(err, errReadOnly):
		p = problemPage{403, "You may look, but not change anything.", "Somebody with the role of an operator can."}
	default:
		if message, ok := api.Problem(err); ok {
			p = problemPage{400, "That cannot be done.", message}
			break
		}
		d.log.Error().Err(err).Msg("page failed")
	}
	r.ResetBody()
	r.SetStatusCode(p.Status)
	if err := d.render(r, "problem", "", p.What, p); err != nil {
		d.log.Error().Err(err).Msg("page of a problem failed")
	}
}

// frame is what every page shows around its own.
type frame struct {
	Title   string
	Nav     string // the section that is open
	Theme   string // auto, light, dark
	Viewer  string
	CSRF    string
	Acts    bool   // the viewer may change something
	Done    string // what the last action came to
	Here    string
	Fleet   bool // the viewer may see every customer
	Now     time.Time
	Version string
	Ready   bool
	Reason  string
	Body    any
}

// render writes a page, or of it the part that was asked for.
func (d *Dashboard) render(r *request, name, nav, title string, body any) error {
	t, ok := pages()[name]
	if !ok {
		return fmt.Errorf("no page is called %s", name)
	}
	h := d.hub.Health()
	f := frame{
		Title: title, Nav: nav, Theme: themeOf(r), Viewer: r.viewer.name, Acts: r.viewer.operator, CSRF: r.viewer.csrf,
		Done: done[string(r.QueryArgs().Peek("done"))], Here: r.here(), Fleet: r.viewer.customer == "",
		Now: r.now, Version: d.cfg.Version, Ready: h.Ready, Reason: h.Reason, Body: body,
	}
	block := "page"
	if part := "part-" + string(r.QueryArgs().Peek("part")); t.Lookup(part) != nil {
		block = part
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, block, f); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	r.secure("text/html; charset=utf-8")
	r.SetBody(out.Bytes())
	return nil
}

// secure says what is answered; the server has set the headers that keep it apart.
func (r *request) secure(contentType string) { r.Response.Header.SetContentType(contentType) }

// here is the page's address, without the word about the last action; of what a form
// led to, the page that the form was on.
func (r *request) here() string {
	if r.IsPost() {
		return r.field("back")
	}
	u, err := url.Parse(string(r.RequestURI()))
	if err != nil {
		return "/"
	}
	q := u.Query()
	q.Del("done")
	q.Del("part")
	u.RawQuery = q.Encode()
	return u.RequestURI()
}

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// What the sign-in page, which is the server's, shares with the others: paths of Pages.
var (
	StyleSheet = assetPath("felhom.css")
	Icon       = assetPath("icon.svg")
)

func assetPath(name string) string { return "/assets/" + assetVersion + "/" + name }

// assetVersion is in the address of every asset, so that a browser may keep them for
// ever and never keeps an old one.
var assetVersion = func() string {
	sum := sha256.New()
	names, err := fs.Glob(assetFiles, "assets/*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, n := range names {
		b, _ := assetFiles.ReadFile(n)
		fmt.Fprintf(sum, "%s %d\n%s", n, len(b), b)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}()

// pages are the templates, each with the frame around it, read when they are needed
// first: most of the program's commands show none.
var pages = sync.OnceValue(func() map[string]*template.Template {
	frame := template.Must(template.New("").Funcs(words).ParseFS(templateFiles, "templates/frame.html"))
	all := make(map[string]*template.Template)
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range names {
		if name := strings.TrimSuffix(path.Base(file), ".html"); name != "frame" {
			all[name] = template.Must(template.Must(frame.Clone()).ParseFS(templateFiles, file))
			// A template is made safe at its first use, which takes longer than the page:
			// this one fails, for want of anything to show, and has it done.
			_ = all[name].ExecuteTemplate(io.Discard, "page", nil)
		}
	}
	return all
})

var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".LICENSE": "text/plain; charset=utf-8",
}

func (d *Dashboard) asset(r *request) error {
	b, err := assetFiles.ReadFile("assets/" + r.params[1])
	kind, ok := assetTypes[path.Ext(r.params[1])]
	if err != nil || !ok || r.params[0] != assetVersion {
		return errBad
	}
	r.secure(kind)
	api.Immutable(r.RequestCtx)
	r.Response.SetBodyRaw(b)
	return nil
}

// icon is for pages that name none, which browsers look for here.
func (d *Dashboard) icon(r *request) error {
	r.params = [3]string{assetVersion, "icon.svg"}
	return d.asset(r)
}

// theme remembers whether a browser wants the pages light or dark.
func (d *Dashboard) theme(r *request) error {
	var c fasthttp.Cookie
	c.SetKey(themeCookie)
	c.SetValue(themeName(string(r.PostArgs().Peek("theme"))))
	c.SetPath("/")
	c.SetSameSite(fasthttp.CookieSameSiteStrictMode)
	c.SetMaxAge(int(themeLife / time.Second))
	r.Response.Header.SetCookie(&c)
	return r.see(string(r.PostArgs().Peek("back")))
}

func themeOf(r *request) string { return themeName(string(r.Request.Header.Cookie(themeCookie))) }

func themeName(s string) string {
	if s == "light" || s == "dark" {
		return s
	}
	return "auto"
}

// see sends a browser on to a page of ours.
func (r *request) see(where string) error {
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.Contains(where, "\\") {
		where = "/"
	}
	r.secure("text/plain; charset=utf-8")
	r.Response.Header.Set(fasthttp.HeaderLocation, where)
	r.SetStatusCode(303)
	return nil
}
