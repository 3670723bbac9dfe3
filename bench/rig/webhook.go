package rig

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
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

	"felhom.eu/messages"
)

// Webhooks receives notifications signed the Standard Webhooks way and answers
// 204. It is safe for concurrent use.
type Webhooks struct {
	Secret string // whsec_<base64>

	// Hold, when it is set before the first request, says how long a
	// notification is held before it counts as received: one whose sender dies
	// meanwhile was not.
	Hold func() time.Duration

	server *http.Server
	addr   string
	mu     sync.Mutex
	got    []Notification
}

// Notification is one POST that arrived.
type Notification struct {
	ID     string // webhook-id: the delivery's
	At     time.Time
	Body   []byte
	Events []messages.Event
	Err    error // why it is not a valid notification; nil when it is
}

// StartWebhooks receives on a free port of loopback until Close.
func StartWebhooks() (*Webhooks, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("receive webhooks: %w", err)
	}
	w := &Webhooks{Secret: WebhookSecret(), addr: l.Addr().String()}
	w.server = &http.Server{Handler: w}
	go w.server.Serve(l)
	return w, nil
}

// WebhookSecret makes a secret of the form that routes take.
func WebhookSecret() string {
	var key [24]byte
	rand.Read(key[:])
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// URL is where notifications go.
func (w *Webhooks) URL() string { return "http://" + w.addr + "/hook" }

// Close stops receiving.
func (w *Webhooks) Close() { w.server.Close() }

// All is what arrived so far, in order.
func (w *Webhooks) All() []Notification {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Notification(nil), w.got...)
}

// Events are the events of all valid notifications, those that came twice twice.
func (w *Webhooks) Events() (es []messages.Event) {
	for _, n := range w.All() {
		es = append(es, n.Events...)
	}
	return es
}

// ServeHTTP checks and keeps one notification.
func (w *Webhooks) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the hub died while it sent; nothing was received
	}
	if w.Hold != nil {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(w.Hold()):
		}
	}
	n := Notification{ID: r.Header.Get("webhook-id"), At: time.Now(), Body: body}
	n.Events, n.Err = Verify(w.Secret, r.Header, body, n.At)
	w.mu.Lock()
	w.got = append(w.got, n)
	w.mu.Unlock()
	rw.WriteHeader(http.StatusNoContent)
}

const (
	secretPrefix = "whsec_"
	// maxWebhookAge is what Standard Webhooks advises against replays.
	maxWebhookAge = 5 * time.Minute
)

var errSignature = errors.New("webhook-signature does not match")

// Verify checks a notification as the Standard Webhooks specification asks a
// receiver to, and that the body names the delivery in webhook-id. It returns
// the events in it.
func Verify(secret string, h http.Header, body []byte, now time.Time) ([]messages.Event, error) {
	id := h.Get("webhook-id")
	stamp, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || id == "" {
		return nil, fmt.Errorf("webhook-id %q, webhook-timestamp %q: malformed", id, h.Get("webhook-timestamp"))
	}
	if age := now.Sub(time.Unix(stamp, 0)); age.Abs() > maxWebhookAge {
		return nil, fmt.Errorf("webhook-timestamp is off by %v", age)
	}
	want, err := sign(secret, id, stamp, body)
	if err != nil {
		return nil, err
	}
	if !signedBy(want, h.Get("webhook-signature")) {
		return nil, errSignature
	}
	var payload struct {
		DeliveryID string           `json:"delivery_id"`
		Events     []messages.Event `json:"events"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&payload); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if payload.DeliveryID != id {
		return nil, fmt.Errorf("webhook-id %q, but the body's delivery_id is %q", id, payload.DeliveryID)
	}
	return payload.Events, nil
}

// signedBy reports whether one of the space-separated signatures is want.
func signedBy(want []byte, signatures string) bool {
	for s := range strings.FieldsSeq(signatures) {
		got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "v1,"))
		if err == nil && strings.HasPrefix(s, "v1,") && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

func sign(secret, id string, stamp int64, body []byte) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return nil, fmt.Errorf("webhook secret: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, stamp)
	mac.Write(body)
	return mac.Sum(nil), nil
}
