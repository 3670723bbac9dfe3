package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

//go:embed login.html
var loginHTML string

var loginTemplate = template.Must(template.New("login").Funcs(template.FuncMap{
	"stylesheet": func() string { return plainCSSPath },
}).Parse(loginHTML))

// plainCSSPath changes with the style sheet of the pages without script.
var plainCSSPath = func() string {
	sum := sha256.Sum256([]byte(statusCSS))
	return "/plain.css?" + hex.EncodeToString(sum[:6])
}()

// plainCSS is the style of the sign-in and the status page.
func (s *Server) plainCSS(ctx *fasthttp.RequestCtx, _ args) error {
	ctx.Response.Header.SetContentType("text/css; charset=utf-8")
	Immutable(ctx)
	ctx.SetBodyString(statusCSS)
	return nil
}

// loginView is what the sign-in page shows.
type loginView struct {
	Token   string // of the link that led here
	Problem string
}

// showLogin is the page to sign in on. A link leads here, too, and is used up by
// its button only: whoever looks at addresses before people do (mail scanners,
// previews, browsers that read ahead) does not press it.
func (s *Server) showLogin(ctx *fasthttp.RequestCtx, _ args) error {
	return s.loginPage(ctx, 200, loginView{Token: string(ctx.QueryArgs().Peek("token"))})
}

func (s *Server) loginPage(ctx *fasthttp.RequestCtx, status int, v loginView) error {
	var page bytes.Buffer
	if err := loginTemplate.Execute(&page, v); err != nil {
		return fmt.Errorf("sign-in page: %w", err)
	}
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	ctx.SetStatusCode(status)
	ctx.SetBody(page.Bytes())
	return nil
}

// login takes the sign-in page's form.
func (s *Server) login(ctx *fasthttp.RequestCtx, _ args) error {
	now := time.Now()
	user, ok := s.cfg.Sessions.Redeem(string(ctx.PostArgs().Peek("token")), now)
	if !ok {
		return s.loginPage(ctx, 401, loginView{Problem: "This link was used or is too old; make another."})
	}
	cookie, changed := s.cfg.Sessions.Open(user, addressOf(ctx).String(), string(ctx.Request.Header.UserAgent()), now)
	s.keepLater(changed)
	s.signIn(ctx, cookie)
	return nil
}

// LoginLink makes an address that signs a browser in once, within
// auth.LinkLife, as who holds the global key. It begins with ExternalURL, else
// with the main listener's address; before Serve was called it is a path.
func (s *Server) LoginLink() string {
	base := s.cfg.ExternalURL
	if a := s.address.Load(); base == "" && a != nil {
		base = *a
	}
	return strings.TrimSuffix(base, "/") + "/login?token=" + s.cfg.Sessions.Link("", time.Now())
}
