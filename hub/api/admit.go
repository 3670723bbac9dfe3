package api

import (
	"bytes"
	"encoding/base64"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	sessionCookie = "felhom_session"
	tallyEvery    = time.Minute
)

// admit tells who asks, or errUnauthorized, or errForbidden for a valid key of
// the wrong kind. It is asked twice a request: before the body, and after.
func (s *Server) admit(a access, h *fasthttp.RequestHeader) (auth.Principal, error) {
	if a == forAll {
		return auth.Principal{}, nil
	}
	if a == forEnrolment {
		if token := presented(a, h); messages.ValidKey(token) {
			return auth.Principal{Hash: messages.HashKey(token)}, nil
		}
		return auth.Principal{}, errToken
	}
	if a == forPages && s.signedIn(h) {
		return auth.Principal{Kind: auth.Global}, nil
	}
	who, ok := s.keys.Lookup(presented(a, h), time.Now())
	switch {
	case !ok && a == forPages:
		return who, errSignIn
	case !ok:
		return who, errUnauthorized
	case a == forControllers && who.Kind == auth.Customer:
		return who, nil
	case who.Kind == auth.Global && a != forControllers, a == forAgents && who.Kind == auth.Host:
		return who, nil
	}
	return auth.Principal{}, errForbidden
}

func (s *Server) signedIn(h *fasthttp.RequestHeader) bool {
	cookie := h.Cookie(sessionCookie)
	return len(cookie) > 0 && s.sessions.Valid(cookie, time.Now())
}

// presented is the key in the header, nil when there is none or more than one
// could be meant. Pages take it as a password, too: it is all a browser can ask for.
func presented(a access, h *fasthttp.RequestHeader) []byte {
	all := h.PeekAll(fasthttp.HeaderAuthorization)
	if len(all) != 1 {
		return nil
	}
	scheme, rest, _ := bytes.Cut(all[0], []byte{' '})
	switch {
	case bytes.EqualFold(scheme, []byte("Bearer")):
		return rest
	case a == forPages && bytes.EqualFold(scheme, []byte("Basic")):
		return password(rest)
	}
	return nil
}

func password(credentials []byte) []byte {
	var b [128]byte
	if base64.StdEncoding.DecodedLen(len(credentials)) > len(b) {
		return nil
	}
	n, err := base64.StdEncoding.Decode(b[:], credentials)
	if err != nil {
		return nil
	}
	_, password, _ := bytes.Cut(b[:n], []byte{':'})
	return password
}

// tally counts what a flood would make a million lines of, and logs one line a
// minute while it goes on.
type tally struct {
	log   zerolog.Logger
	mu    sync.Mutex
	count int
}

func (t *tally) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count++; t.count == 1 {
		time.AfterFunc(tallyEvery, t.tell)
	}
}

func (t *tally) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log.Warn().Int("count", t.count).Dur("within_ms", tallyEvery).Msg("requests without a valid key")
	t.count = 0
}
