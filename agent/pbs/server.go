package pbs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// DefaultURL is the server on the agent's own machine.
const DefaultURL = "https://localhost:8007"

const (
	quickTimeout = 10 * time.Second
	slowTimeout  = 30 * time.Second // for what walks the directories of a datastore
)

// Config is where a server is, who asks, and for what.
type Config struct {
	Name    string          // what reports call the server
	URL     string          // https://host:8007; empty is DefaultURL
	TokenID string          // user@realm!tokenname
	Token   messages.Secret // the token's secret, a UUID

	// How the server proves itself; all empty: the system's roots. With both
	// CAFile and Fingerprint, both must hold. The certificate that a server makes
	// for itself can be its own CA.
	CAFile      string
	Fingerprint string // SHA-256 of the certificate, in any case, colons or not
	ServerName  string // the name in the certificate, when it is not the URL's host

	Datastores []string // read only these; empty: all that the token may see
	Namespaces []string // read only these and what is below them; empty: all
}

// Token and realm names (pbs-api-types, PROXMOX_TOKEN_NAME_REGEX).
var (
	tokenGrammar  = regexp.MustCompile(`^[^\s:/]+@[A-Za-z0-9_][A-Za-z0-9._-]*![A-Za-z0-9_][A-Za-z0-9._-]*$`)
	secretGrammar = regexp.MustCompile(`^[!-$&-~]+$`) // the server percent-decodes it
)

// server is one of them, with what is remembered of its groups.
type server struct {
	*api2.Client
	name       string
	tokenID    string
	datastores []string
	namespaces []string
	quick      time.Duration
	slow       time.Duration
	known      map[groupKey]known
}

func newServer(cfg Config) (*server, error) {
	base, err := api2.ParseURL(cmp.Or(cfg.URL, DefaultURL))
	if err != nil {
		return nil, err
	}
	if !tokenGrammar.MatchString(cfg.TokenID) {
		return nil, errors.New("token id: want user@realm!tokenname, without the secret") // which may stand in it
	}
	if !secretGrammar.MatchString(cfg.Token.Reveal()) {
		return nil, errors.New("token: want the secret that the server showed once, without blanks and %")
	}
	t := &api2.Trust{CAFile: cfg.CAFile, ServerName: cfg.ServerName}
	if cfg.Fingerprint != "" {
		if t.Pin, err = api2.NormalFingerprint(cfg.Fingerprint); err != nil {
			return nil, err
		}
	}
	// A colon where Proxmox VE has "=" (proxmox-auth-api, api/mod.rs).
	header := "PBSAPIToken=" + messages.Secret(cfg.TokenID) + ":" + cfg.Token
	return &server{
		Client:     api2.New(base, header, cfg.Token, t, refusal),
		name:       cfg.Name,
		tokenID:    cfg.TokenID,
		datastores: cfg.Datastores,
		namespaces: cfg.Namespaces,
		quick:      quickTimeout,
		slow:       slowTimeout,
		known:      map[groupKey]known{},
	}, nil
}

// refusal is the text of an answer that is not 200: its body, which is plain
// text whatever its Content-Type says (proxmox-rest-server, formatter.rs).
func refusal(resp *http.Response) string {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // a cut text is as good as none
	if text := strings.TrimSpace(string(b)); text != "" {
		return text
	}
	_, text, _ := strings.Cut(resp.Status, " ")
	return text
}

// wanted reports whether the operator wants to know of the datastore.
func (s *server) wanted(store string) bool {
	return len(s.datastores) == 0 || slices.Contains(s.datastores, store)
}

// covers reports whether ns is in a namespace that the operator named.
func (s *server) covers(ns string) bool {
	return len(s.namespaces) == 0 || slices.ContainsFunc(s.namespaces, func(top string) bool { return within(ns, top) })
}

// within reports whether ns is top or below it; all is below the root, "".
func within(ns, top string) bool {
	return top == "" || ns == top || strings.HasPrefix(ns, top+"/")
}

// aclPath is where rights on a datastore or on a namespace of it are given.
func aclPath(store, ns string) string {
	return strings.TrimSuffix("/datastore/"+store+"/"+ns, "/")
}

// Names become part of paths and of commands that an operator is told to run; the
// server's own are never others (pbs-api-types, PROXMOX_SAFE_ID_REGEX).
var nameGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

type (
	// name is of a datastore or a group.
	name string
	// namespace is names with slashes between; "" is the root.
	namespace string
)

// UnmarshalJSON refuses what is no name.
func (n *name) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if !nameGrammar.MatchString(s) {
		return fmt.Errorf("%.80q is no name", s)
	}
	*n = name(s)
	return nil
}

// UnmarshalJSON refuses what is no namespace.
func (n *namespace) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	for part := range strings.SplitSeq(s, "/") {
		if s != "" && !nameGrammar.MatchString(part) {
			return fmt.Errorf("%.80q is no namespace", s)
		}
	}
	*n = namespace(s)
	return nil
}

// seconds of Unix time that a report can show: JSON's years end with 9999.
type seconds int64

const lastSecond seconds = 253402300799

// UnmarshalJSON refuses what a report cannot show.
func (s *seconds) UnmarshalJSON(b []byte) error {
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if *s = seconds(n); s.instant() == nil {
		return fmt.Errorf("%d is no time of a backup", n)
	}
	return nil
}

// instant is nil for 0, with which the server says that there is none, and for
// what cannot be shown.
func (s seconds) instant() *time.Time {
	if s <= 0 || s > lastSecond {
		return nil
	}
	at := time.Unix(int64(s), 0).UTC()
	return &at
}

// The rows of the server's lists, as far as they are read.
type (
	storeRow struct {
		Store       name   `json:"store"`
		Maintenance string `json:"maintenance"` // type=offline,message=…
	}
	usageRow struct {
		Store    string  `json:"store"`
		Total    *uint64 `json:"total"` // absent with Error, and for a token with rights below only
		Used     uint64  `json:"used"`
		Avail    uint64  `json:"avail"`
		FullDate int64   `json:"estimated-full-date"` // 0 or past: no estimate; any future that a straight line reaches
		Error    string  `json:"error"`
	}
	namespaceRow struct {
		NS namespace `json:"ns"`
	}
	groupRow struct {
		Type    name   `json:"backup-type"`
		ID      name   `json:"backup-id"`
		Last    int64  `json:"last-backup"` // finished or not; see group.go
		Count   uint64 `json:"backup-count"`
		Owner   string `json:"owner"`
		Comment string `json:"comment"`
	}
	snapshotRow struct {
		Time         seconds   `json:"backup-time"`
		Files        []fileRow `json:"files"`
		Size         *uint64   `json:"size"` // absent without a readable manifest
		Protected    bool      `json:"protected"`
		Verification *struct {
			State string `json:"state"`
		} `json:"verification"` // absent: never verified
	}
	fileRow struct {
		Name      string `json:"filename"`
		CryptMode string `json:"crypt-mode"` // none, encrypt, sign-only
	}
	verifyRow struct {
		ID        string `json:"id"`
		Store     string `json:"store"`
		NS        string `json:"ns"`
		Schedule  string `json:"schedule"`
		NextRun   int64  `json:"next-run"`
		LastState string `json:"last-run-state"`
		LastEnd   int64  `json:"last-run-endtime"`
	}
)

func (s *server) version(ctx context.Context) (string, error) {
	v, err := api2.Read[struct {
		Version string `json:"version"`
		Release string `json:"release"`
	}](ctx, s.Client, "/version", nil, s.quick)
	return strings.TrimSuffix(v.Version+"."+v.Release, "."), err
}

func inNamespace(ns string) url.Values {
	if ns == "" {
		return nil
	}
	return url.Values{"ns": {ns}}
}

// The lists come row by row: bad tells of those that could not be read.

func (s *server) stores(ctx context.Context) (list []storeRow, bad []error, err error) {
	return api2.ReadRows[storeRow](ctx, s.Client, "/admin/datastore", nil, s.quick)
}

func (s *server) usage(ctx context.Context) (list []usageRow, bad []error, err error) {
	return api2.ReadRows[usageRow](ctx, s.Client, "/status/datastore-usage", nil, s.quick)
}

func (s *server) verifyJobs(ctx context.Context) (list []verifyRow, bad []error, err error) {
	return api2.ReadRows[verifyRow](ctx, s.Client, "/admin/verify", nil, s.quick)
}

func (s *server) namespacesOf(ctx context.Context, store string) (list []namespaceRow, bad []error, err error) {
	return api2.ReadRows[namespaceRow](ctx, s.Client, api2.Path("admin", "datastore", store, "namespace"), nil, s.quick)
}

func (s *server) groupsOf(ctx context.Context, store, ns string) (list []groupRow, bad []error, err error) {
	return api2.ReadRows[groupRow](ctx, s.Client, api2.Path("admin", "datastore", store, "groups"), inNamespace(ns), s.slow)
}

// snapshotsOf lists one group's snapshots; a row that cannot be read spoils all,
// for the group's figures would be wrong without it.
func (s *server) snapshotsOf(ctx context.Context, k groupKey) ([]snapshotRow, error) {
	query := url.Values{"backup-type": {k.kind}, "backup-id": {k.id}}
	if k.ns != "" {
		query.Set("ns", k.ns)
	}
	path := api2.Path("admin", "datastore", k.store, "snapshots")
	list, err := api2.Read[[]snapshotRow](ctx, s.Client, path, query, s.slow)
	if err == nil && slices.ContainsFunc(list, func(r snapshotRow) bool { return r.Time == 0 }) {
		err = s.Unreadable(path, errors.New("a snapshot has no backup-time"))
	}
	return list, err
}
