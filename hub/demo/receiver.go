package demo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"felhom.eu/hub/command"
	"felhom.eu/messages"
)

const (
	maxNotification = 1 << 20         // bytes
	maxAge          = 5 * time.Minute // of a signature, as Standard Webhooks recommends
	drainWithin     = time.Second
)

var errUnsigned = errors.New("a notification arrived whose signature is wrong")

// receiver is the far end of the demo's route: a webhook that believes nothing
// unsigned and tells every delivery apart by its id.
type receiver struct {
	secret []byte
	url    string
	server *http.Server

	mu    sync.Mutex
	seen  map[string]bool // delivery ids
	tally tally
	fresh []notification // since the last take
}

// tally is what arrived.
type tally struct{ deliveries, events, repeats, forged int }

// notification is one delivery, as it was told.
type notification struct {
	At     time.Time
	ID     string           `json:"delivery_id"`
	Events []messages.Event `json:"events"`
}

// listen starts a receiver on a free port.
func listen() (*receiver, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for notifications: %w", err)
	}
	r := &receiver{secret: random(32), url: "http://" + ln.Addr().String() + "/told", seen: map[string]bool{}}
	r.server = &http.Server{Handler: r, ReadTimeout: drainWithin, ReadHeaderTimeout: drainWithin}
	go r.server.Serve(ln) // ends with close
	return r, nil
}

func (r *receiver) close() {
	ctx, cancel := context.WithTimeout(context.Background(), drainWithin)
	defer cancel()
	_ = r.server.Shutdown(ctx)
}

// route is what the hub has to be told to reach r.
func (r *receiver) route() command.Route {
	return command.Route{Kind: messages.RouteWebhook, URL: r.url, Secret: "whsec_" + base64.StdEncoding.EncodeToString(r.secret)}
}

// ServeHTTP takes one notification: 204, or 401 when it is not signed by the hub.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxNotification))
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	now := time.Now()
	if !verify(r.secret, req.Header, body, now) {
		r.forged()
		http.Error(w, "wrong signature", http.StatusUnauthorized)
		return
	}
	n := notification{At: now}
	if err := json.Unmarshal(body, &n); err != nil {
		http.Error(w, "not a notification", http.StatusBadRequest)
		return
	}
	r.take(n)
	w.WriteHeader(http.StatusNoContent)
}

// verify checks a signature of the Standard Webhooks kind: the base64 of
// HMAC-SHA256 over "id.timestamp.body", under any of the signatures offered.
func verify(secret []byte, h http.Header, body []byte, now time.Time) bool {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > maxAge {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	want := mac.Sum(nil)
	for offered := range strings.FieldsSeq(h.Get("webhook-signature")) {
		text, ok := strings.CutPrefix(offered, "v1,")
		got, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

func (r *receiver) forged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.forged++
}

// take remembers n, once: a delivery may come again under the same id.
func (r *receiver) take(n notification) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[n.ID] {
		r.tally.repeats++
		return
	}
	r.seen[n.ID] = true
	r.tally.deliveries++
	r.tally.events += len(n.Events)
	r.fresh = append(r.fresh, n)
}

// told is what arrived since it was last asked, and the tally of all.
func (r *receiver) told() ([]notification, tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := r.fresh
	r.fresh = nil
	return fresh, r.tally
}

// verdict is an error when something unsigned arrived.
func (r *receiver) verdict() error {
	if _, t := r.told(); t.forged > 0 {
		return fmt.Errorf("%w (%d times)", errUnsigned, t.forged)
	}
	return nil
}
