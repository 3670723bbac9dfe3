package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"felhom.eu/messages"
)

// Admin asks a hub through its admin API. It is safe for concurrent use.
type Admin struct {
	Addr string // ip:port
	Key  string // the global key

	client *http.Client
	secure bool // see OverTLS
}

// adminTimeout bounds one question.
const adminTimeout = time.Minute

// NewAdmin is a client of the hub at addr.
func NewAdmin(addr, key string) Admin {
	t := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second}
	return Admin{Addr: addr, Key: key, client: &http.Client{Transport: t, Timeout: adminTimeout}}
}

// do sends one request and returns status and body.
func (a *Admin) do(ctx context.Context, method, path string, body any) (int, []byte, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		r = bytes.NewReader(b)
	}
	scheme := "http://"
	if a.secure {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+a.Addr+path, r)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// ErrNotThere is what a 404 becomes.
var ErrNotThere = errors.New("status 404")

// ask sends one request under /api/v1/admin and decodes a 2xx answer into out
// (nil: not needed).
func (a *Admin) ask(ctx context.Context, method, path string, body, out any) error {
	status, answer, err := a.do(ctx, method, "/api/v1/admin"+path, body)
	if err != nil {
		return err
	}
	if status == http.StatusNotFound {
		return fmt.Errorf("%s %s: %w", method, path, ErrNotThere)
	}
	if status/100 != 2 {
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, status, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w in %.300s", method, path, err, answer)
	}
	return nil
}

// AddCustomer makes a customer.
func (a *Admin) AddCustomer(ctx context.Context, id string) error {
	return a.ask(ctx, http.MethodPost, "/customers", map[string]string{"customer_id": id, "display_name": id}, nil)
}

// Minted is a new host and its key.
type Minted struct {
	HostID messages.HostID `json:"host_id"`
	APIKey string          `json:"api_key"`
}

// Mint makes a host of a customer.
func (a *Admin) Mint(ctx context.Context, customer string) (m Minted, err error) {
	err = a.ask(ctx, http.MethodPost, "/hosts", map[string]string{"customer_id": customer}, &m)
	return m, err
}

// mintConnections are enough to fill the hub's batches.
const mintConnections = 64

// MintMany makes n hosts of a customer, many at a time; progress, when not nil,
// is told after each.
func (a *Admin) MintMany(ctx context.Context, customer string, n int, progress func()) ([]Minted, error) {
	all := make([]Minted, n)
	err := Parallel(mintConnections, n, func(i int) (err error) {
		if all[i], err = a.Mint(ctx, customer); err == nil && progress != nil {
			progress()
		}
		return err
	})
	return all, err
}

// Parallel calls f with 0 to n-1 from so many goroutines. After an error it
// begins nothing new and returns what failed.
func Parallel(workers, n int, f func(i int) error) error {
	var (
		mu     sync.Mutex
		next   int
		failed error
		wg     sync.WaitGroup
	)
	take := func(err error) (i int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
		next++
		return next - 1, failed == nil && next <= n
	}
	for range min(workers, n) {
		wg.Go(func() {
			var err error
			for i, ok := take(nil); ok; i, ok = take(err) {
				err = f(i)
			}
		})
	}
	wg.Wait()
	return failed
}

// Revoke ends a host's keys.
func (a *Admin) Revoke(ctx context.Context, id messages.HostID) error {
	return a.ask(ctx, http.MethodPost, "/hosts/"+string(id)+"/revoke-key", nil, nil)
}

// HostView is what the rigs read of a host.
type HostView struct {
	HostID         messages.HostID `json:"host_id"`
	State          string          `json:"state"`
	LastReportAt   time.Time       `json:"last_report_at"`
	SilenceSeconds float64         `json:"silence_seconds"`
	MemoryPercent  *float64        `json:"memory_percent"`
	DiskPercent    *float64        `json:"disk_percent"`
	CPUPercent     *float64        `json:"cpu_percent"`
	Host           *messages.Node  `json:"host"`
}

// Host is one host.
func (a *Admin) Host(ctx context.Context, id messages.HostID) (v HostView, err error) {
	err = a.ask(ctx, http.MethodGet, "/hosts/"+string(id), nil, &v)
	return v, err
}

// Hosts is every host.
func (a *Admin) Hosts(ctx context.Context) ([]HostView, error) {
	return list[HostView](ctx, a, "/hosts", nil)
}

// Customers is every customer's id.
func (a *Admin) Customers(ctx context.Context) ([]messages.Customer, error) {
	return list[messages.Customer](ctx, a, "/customers", nil)
}

// ReportLine is a line of a host's list of reports.
type ReportLine struct {
	ID         messages.ReportID `json:"id"`
	ReceivedAt time.Time         `json:"received_at"`
}

// Reports is every report of a host, newest failed.
func (a *Admin) Reports(ctx context.Context, id messages.HostID) ([]ReportLine, error) {
	return list[ReportLine](ctx, a, "/hosts/"+string(id)+"/reports", nil)
}

// Newest is the newest reports of a host, at most 1000.
func (a *Admin) Newest(ctx context.Context, id messages.HostID, limit int) (lines []ReportLine, err error) {
	var page struct {
		Items []ReportLine `json:"items"`
	}
	err = a.ask(ctx, http.MethodGet, fmt.Sprintf("/hosts/%s/reports?limit=%d", id, min(limit, 1000)), nil, &page)
	return page.Items, err
}

// Get asks for any path, with the global key as a password where a browser
// would sign in, and returns status and body. Errors: no answer.
func (a *Admin) Get(ctx context.Context, path string) (status int, body []byte, err error) {
	return a.do(ctx, http.MethodGet, path, nil)
}

// Report is one report's body.
func (a *Admin) Report(ctx context.Context, id messages.HostID, r messages.ReportID) ([]byte, error) {
	path := "/api/v1/admin/hosts/" + string(id) + "/reports/" + string(r)
	status, body, err := a.do(ctx, http.MethodGet, path, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %.300s", path, status, body)
	}
	return body, err
}

// Events is every event, oldest failed, read page by page after the last id.
func (a *Admin) Events(ctx context.Context) (all []messages.Event, err error) {
	path := "/events?limit=1000"
	for {
		var page struct {
			Items []messages.Event `json:"items"`
		}
		if err := a.ask(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		if len(page.Items) == 0 {
			return all, nil
		}
		all = append(all, page.Items...)
		path = "/events?limit=1000&after=" + string(page.Items[len(page.Items)-1].ID)
	}
}

// Deliveries is every delivery, newest failed.
func (a *Admin) Deliveries(ctx context.Context) ([]messages.Delivery, error) {
	return list[messages.Delivery](ctx, a, "/deliveries", nil)
}

// AddWebhook makes a route to address for all customers and all events, and
// returns its secret.
func (a *Admin) AddWebhook(ctx context.Context, address, secret string) error {
	return a.ask(ctx, http.MethodPost, "/routes", map[string]string{"kind": "webhook", "url": address, "secret": secret}, nil)
}

// list reads all pages of a list.
func list[T any](ctx context.Context, a *Admin, path string, query url.Values) (all []T, err error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "1000")
	for {
		var page struct {
			Items      []T    `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		if err := a.ask(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.NextCursor == "" {
			return all, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}
