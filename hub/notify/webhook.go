package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"felhom.eu/hub/notify/text"
	"felhom.eu/messages"
)

// SecretPrefix begins every webhook secret; base64 follows.
const SecretPrefix = "whsec_"

// payload is the body of a call.
type payload struct {
	DeliveryID messages.DeliveryID           `json:"delivery_id"`
	Reason     messages.DeliveryReason       `json:"reason,omitempty"` // absent: it is news
	Subject    string                        `json:"subject"`          // as other routes tell it,
	Text       string                        `json:"text"`             // in plain text
	Events     messages.List[messages.Event] `json:"events"`
}

// Call sends one delivery to r's URL, signed with its secret at now. The body
// depends on the delivery and its events only: every try sends the same.
func (s *Sender) Call(ctx context.Context, r messages.Route, d *messages.Delivery, events []messages.Event, now time.Time) Result {
	told := text.Of(d, events, s.options.Place)
	body, err := json.Marshal(payload{d.ID, d.Reason, told.Subject, told.Text(), events})
	if err != nil {
		return Result{Permanent: true, Text: fmt.Sprintf("encode events: %v", err)}
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Secret.Reveal(), SecretPrefix))
	if err != nil {
		return Result{Permanent: true, Text: "malformed secret: want whsec_<base64>"}
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	return s.postBytes(ctx, s.checked, r.URL.Reveal(), body, "application/json", http.Header{
		"Webhook-Id": {string(d.ID)}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {Sign(key, string(d.ID), stamp, body)},
	})
}

// Sign is the webhook-signature header: "v1," and the base64 of the HMAC-SHA256
// of "id.timestamp.body" (standardwebhooks.com).
func Sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
