package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const patience = 40 * time.Second // for something to appear

// browser is a Chromium with one page open, and what it complained about.
type browser struct {
	*testing.T
	ctx  context.Context
	base string

	mu         sync.Mutex
	complaints []string
}

// chromium is where the browser is; a test that nobody asked for, or that has none, is
// skipped before it starts a hub.
func chromium(t *testing.T) string {
	t.Helper()
	if os.Getenv("FELHOM_BROWSER") == "" {
		t.Skip("FELHOM_BROWSER is not set: the pages are not looked at; .ci/run browser does")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed here: the pages are not looked at")
	return ""
}

// open starts a Chromium.
func open(t *testing.T, base string) *browser {
	t.Helper()
	path := chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true),
		chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, leave := chromedp.NewContext(allocator)
	t.Cleanup(func() { leave(); stop() })
	b := &browser{T: t, ctx: ctx, base: base}
	chromedp.ListenTarget(ctx, b.hear)
	b.do(log.Enable(), chromedp.EmulateViewport(1440, 900))
	return b
}

// hear keeps what the page's console and its guards say.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Source == log.SourceSecurity {
			b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Error())
	}
}

// quiet fails the test when the browser complained of anything.
func (b *browser) quiet() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.Errorf("the browser complains: %s", c)
	}
	b.complaints = nil
}

// do runs actions, none of which may take longer than one's patience.
func (b *browser) do(actions ...chromedp.Action) {
	b.Helper()
	// The first run starts the browser, which ends with the context it is given.
	if err := chromedp.Run(b.ctx); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var at, text string
		late, stop := context.WithTimeout(b.ctx, time.Second)
		defer stop()
		chromedp.Run(late, chromedp.Location(&at), chromedp.Text("main", &text))
		b.Fatalf("%v, at %s:\n%.600s", err, at, text)
	}
}

// to opens a page.
func (b *browser) to(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitReady("main"))
}

// signIn follows a sign-in link, and presses its button.
func (b *browser) signIn(link string) {
	b.Helper()
	b.do(chromedp.Navigate(link), chromedp.Click("main button"), chromedp.WaitVisible("#attention"))
}

// until waits for a script's expression to be true, over the loading of pages.
func (b *browser) until(expression string) {
	b.Helper()
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		var yes bool
		err := chromedp.Run(ctx, chromedp.Evaluate("!!("+expression+")", &yes), chromedp.Sleep(100*time.Millisecond))
		cancel()
		switch {
		case err == nil && yes:
			return
		case time.Now().After(end):
			b.Fatalf("it never was: %s (%v); the page says\n%.900s", expression, err, is[string](b, `document.querySelector("main").innerText`))
		}
	}
}

// is evaluates an expression.
func is[T any](b *browser, expression string) (v T) {
	b.Helper()
	b.do(chromedp.Evaluate(expression, &v))
	return v
}

// withoutScript lets no script of a page run from here on.
func (b *browser) withoutScript() {
	b.Helper()
	b.do(emulation.SetScriptExecutionDisabled(true))
}

// painted waits until what is there now was drawn: two frames.
var painted = chromedp.Evaluate(`new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))`, nil,
	func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) })

// shoot photographs a page: on a desk light and dark, on a phone light.
func (b *browser) shoot(name, path string, before ...chromedp.Action) {
	b.Helper()
	dir := os.Getenv("FELHOM_SHOTS")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for _, look := range []struct {
		theme, size   string
		width, height int64
	}{{"light", "desk", 1440, 900}, {"dark", "desk", 1440, 900}, {"light", "phone", 390, 844}} {
		var png []byte
		actions := []chromedp.Action{
			emulation.SetDeviceMetricsOverride(look.width, look.height, 1, look.size == "phone"),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.theme}}),
			chromedp.Navigate(b.base + path), chromedp.WaitReady("main"),
		}
		actions = append(actions, before...)
		b.do(append(actions, painted, chromedp.CaptureScreenshot(&png))...)
		if over := is[int64](b, "document.documentElement.scrollWidth") - look.width; over > 0 {
			b.Errorf("%s is %d px wider than a screen of %d px", path, over, look.width)
		}
		file := filepath.Join(dir, strings.Join([]string{name, look.theme, look.size}, "-")+".png")
		if err := os.WriteFile(file, png, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}
