package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer = 500 // bytes of an answer that are kept
	maxRead   = 64 << 10
	// maxRetryAfter is read for anything longer, so that no header overflows.
	maxRetryAfter = 24 * time.Hour
)

// post is one call with a JSON body.
func (s *Sender) post(ctx context.Context, client *http.Client, to string, body any, header http.Header) Result {
	encoded, err := json.Marshal(body)
	if err != nil {
		return Result{Permanent: true, Text: fmt.Sprintf("encode message: %v", err)}
	}
	return s.postBytes(ctx, client, to, encoded, "application/json", header)
}

func (s *Sender) postBytes(ctx context.Context, client *http.Client, to string, body []byte, contentType string, header http.Header) Result {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return Result{Permanent: true, Text: "malformed url"}
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := client.Do(req)
	if err != nil {
		return Result{Text: Reason(err)}
	}
	defer resp.Body.Close()
	return judge(resp)
}

func judge(resp *http.Response) Result {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came before an error is what there is to say
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxRead))
	r := Result{Status: resp.StatusCode, Text: strings.ToValidUTF8(string(text), "")}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		r.OK = true
	case resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode == http.StatusTooManyRequests:
	default:
		r.Permanent = resp.StatusCode >= 400 && resp.StatusCode < 500
	}
	if !r.OK {
		r.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
		// Not resp.Status: its words are the far end's, and as many as it likes.
		said := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
		r.Text = strings.TrimSpace(said + ": " + r.Text)
	}
	return r
}

// retryAfter reads both forms of the header (RFC 9110, 10.2.3); 0 is none.
func retryAfter(h string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(h); err == nil && n > 0 {
		return time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(h); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// Reason is an error without the URL that net/http puts into it: a URL may
// carry a token.
func Reason(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}

// words are an error of somebody else's in one line of at most 500 bytes.
func words(err error) string {
	return valid(strings.ToValidUTF8(strings.Join(strings.Fields(err.Error()), " "), ""), maxAnswer)
}

// worst is the verdict on several calls that are one try: done when all are, and
// tried again when one may still succeed.
func worst(results ...Result) Result {
	verdict := Result{OK: true}
	for _, r := range results {
		switch {
		case r.OK && verdict.OK, !r.OK && verdict.OK, !r.OK && !r.Permanent && verdict.Permanent:
			verdict = r
		}
	}
	return verdict
}
