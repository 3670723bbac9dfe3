package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

//go:embed login.html
var loginHTML string

var loginTemplate = template.Must(template.New("login").Parse(loginHTML))

// loginView is what the sign-in page shows.
type loginView struct {
	Token      string // of the link that led here
	Name       string // as it was typed
	Problem    string
	StyleSheet string
	Icon       string
}

// showLogin is the page to sign in on. A link leads here, too, and is used up by
// its button only: whoever looks at addresses before people do (mail scanners,
// previews, browsers that read ahead) does not press it.
func (s *Server) showLogin(ctx *fasthttp.RequestCtx, _ args) error {
	return s.loginPage(ctx, 200, loginView{Token: string(ctx.QueryArgs().Peek("token"))})
}

func (s *Server) loginPage(ctx *fasthttp.RequestCtx, status int, v loginView) error {
	v.StyleSheet, v.Icon = s.cfg.StyleSheet, s.cfg.Icon
	var page bytes.Buffer
	if err := loginTemplate.Execute(&page, v); err != nil {
		return fmt.Errorf("sign-in page: %w", err)
	}
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	ctx.SetStatusCode(status)
	ctx.SetBody(page.Bytes())
	return nil
}

// The sign-in page's refusals. Which of name and password was wrong nobody is told.
const (
	linkUsed      = "This link was used or is too old; make another."
	wrongPassword = "The name or the password is wrong."
	tooFast       = "Too many tries. Wait %d seconds, then try again."
)

// login takes the sign-in page's form: a link's token, or a name and a password.
func (s *Server) login(ctx *fasthttp.RequestCtx, _ args) error {
	form := ctx.PostArgs()
	if token := form.Peek("token"); len(token) > 0 {
		user, ok := s.cfg.Sessions.Redeem(string(token), time.Now())
		if !ok {
			return s.loginPage(ctx, 401, loginView{Problem: linkUsed})
		}
		return s.signIn(ctx, user)
	}
	typed := string(form.Peek("name"))
	name, err := messages.ParseUserName(strings.ToLower(strings.TrimSpace(typed)))
	if err != nil {
		name = "" // nobody's: it takes as long as a wrong password
	}
	from := s.addressOf(ctx)
	if wait := s.throttle.Wait(name, from, time.Now()); wait > 0 {
		seconds := int(wait/time.Second) + 1
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(seconds))
		return s.loginPage(ctx, 429, loginView{Problem: fmt.Sprintf(tooFast, seconds)})
	}
	s.throttle.Failed(name, from, time.Now()) // until it is known better
	u, known := s.cfg.Sessions.User(name)
	c, cancel := s.ask()
	defer cancel()
	ok, err := s.passwords.Matches(c, u.Password, string(form.Peek("password")))
	if err != nil {
		return err
	}
	if !ok {
		s.counts.unauthorized.Add(1)
		if known { // and not waited for: how long the answer takes must not tell
			note := s.newNote(ctx, &auth.Principal{User: name}, "sign in")
			note.Record.Outcome = string(messages.CodeUnauthorized)
			go s.record(note)
		}
		return s.loginPage(ctx, 401, loginView{Problem: wrongPassword, Name: typed[:min(len(typed), maxEcho)]})
	}
	s.throttle.Succeeded(name, from)
	return s.signIn(ctx, name)
}

// LoginLink makes an address that signs a browser in once, within
// auth.LinkLife, as who holds the global key.
func (s *Server) LoginLink() string { return s.linkFor("", time.Now()) }

// linkFor begins with ExternalURL, else with the main listener's address; before
// Serve was called it is a path.
func (s *Server) linkFor(user messages.UserName, now time.Time) string {
	base := s.cfg.ExternalURL
	if a := s.address.Load(); base == "" && a != nil {
		base = *a
	}
	return strings.TrimSuffix(base, "/") + "/login?token=" + s.cfg.Sessions.Link(user, now)
}
