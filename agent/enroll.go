package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/config"
	"felhom.eu/agent/uplink"
	"felhom.eu/messages"
)

const (
	enrollTimeout = 30 * time.Second // of one try
	enrollTries   = 3                // an answer that is lost is asked for again
	tokenVariable = config.EnvPrefix + "ENROLL_TOKEN"
	pinnedName    = "hub-ca.pem"   // beside the configuration
	serviceUser   = "felhom-agent" // of the packaged unit
)

const enrollUsage = `felhom-agent enroll makes this machine a host of a hub.

Usage: felhom-agent enroll --hub URL --token TOKEN [flags]

  --hub URL            the hub
  --token TOKEN        printed by "felhom-hub enroll-token add"; or in ` + tokenVariable + `
  --config FILE        where the hub's block is written (default ` + defaultConfig + `);
                       all else in it stays
  --ca-file FILE       PEM file to check the hub's certificate with
  --pin-ca SHA256      trust the certificate of that fingerprint, the hub's own or one
                       that signed it; it is kept in ` + pinnedName + ` beside the configuration
  --node NAME          the machine's name (default: its own)
  --again              it is a host already: get another key
`

// enrolment is what the command line says.
type enrolment struct {
	hub, config, caFile, pin, node string
	token                          messages.Secret
	again                          bool
}

func parseEnrolment(args []string, lookup func(string) (string, bool)) (e enrolment, err error) {
	f := flag.NewFlagSet("felhom-agent enroll", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&e.hub, "hub", "", "")
	token := f.String("token", "", "")
	f.StringVar(&e.config, "config", defaultConfig, "")
	f.StringVar(&e.caFile, "ca-file", "", "")
	f.StringVar(&e.pin, "pin-ca", "", "")
	f.StringVar(&e.node, "node", "", "")
	f.BoolVar(&e.again, "again", false, "")
	if err := f.Parse(args); err != nil {
		return e, err
	}
	given, _ := lookup(tokenVariable)
	e.token = messages.Secret(cmp.Or(*token, given))
	if e.node == "" {
		name, _ := os.Hostname()
		e.node, _, _ = strings.Cut(name, ".")
	}
	switch {
	case f.NArg() > 0:
		return e, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case e.hub == "":
		return e, errors.New("--hub: not set; want https://<host>")
	case !messages.ValidKey(e.token):
		return e, errors.New("--token: want the 64 hex digits that `felhom-hub enroll-token add` printed")
	case e.caFile != "" && e.pin != "":
		return e, errors.New("--ca-file and --pin-ca: want one of them")
	case !messages.ValidNode(e.node):
		return e, fmt.Errorf("--node %.40q: want letters, digits, dots, dashes, underscores", e.node)
	}
	return e, nil
}

// enroll makes this machine a host, and writes down which.
func enroll(ctx context.Context, args []string, lookup func(string) (string, bool), stdout io.Writer) error {
	e, err := parseEnrolment(args, lookup)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, enrollUsage)
		return nil
	}
	if err != nil {
		return usageError{hinted{err, "felhom-agent enroll --help lists the flags"}}
	}
	known, err := e.known()
	if err != nil {
		return err
	}
	uid, gid := owner()
	if e.pin != "" {
		if err := e.keepPinned(ctx, uid, gid); err != nil {
			return err
		}
	}
	answer, err := e.ask(ctx, known)
	if err != nil {
		return err
	}
	hub := config.Hub{URL: e.hub, HostID: string(answer.HostID), APIKey: messages.Secret(answer.APIKey), CAFile: e.caFile}
	if err := config.SaveHub(e.config, hub, uid, gid); err != nil {
		return hinted{err, "the hub has enrolled this machine as " + hub.HostID + "; mend it, and enroll --again with another token"}
	}
	fmt.Fprintf(stdout, "enrolled as %s; %s says so\n", answer.HostID, e.config)
	fmt.Fprintf(stdout, "next: felhom-agent --config %s --selftest=hub, then systemctl restart felhom-agent\n", e.config)
	return nil
}

// known is what the configuration says of the hub so far. The keys of a host are
// not overwritten without being told to.
func (e *enrolment) known() (h config.Hub, err error) {
	if _, err := os.Stat(e.config); errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	cfg, _, err := config.Load(e.config, func(string) (string, bool) { return "", false })
	if err != nil {
		return h, usageError{hinted{err, "mend the file, or name another with --config"}}
	}
	if h = cfg.Hub; !e.again && (h.HostID != "" || h.APIKey != "") {
		return h, usageError{hinted{fmt.Errorf("%s: this machine is the host %s already", e.config, h.HostID),
			"--again gets it another key; a clone of a machine needs a configuration without a hub block"}}
	}
	if e.caFile == "" && h.URL == e.hub {
		e.caFile = h.CAFile
	}
	return h, nil
}

// keepPinned writes the certificate that is to be trusted beside the configuration.
func (e *enrolment) keepPinned(ctx context.Context, uid, gid int) error {
	text, err := api2.NormalFingerprint(e.pin)
	if err != nil {
		return usageError{fmt.Errorf("--pin-ca: %w", err)}
	}
	var sum [sha256.Size]byte
	if _, err := hex.Decode(sum[:], []byte(strings.ReplaceAll(text, ":", ""))); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout)
	defer cancel()
	pem, err := uplink.Pinned(ctx, e.hub, sum)
	if err != nil {
		return hinted{fmt.Errorf("pin the hub's certificate: %w", err),
			"on the hub: openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE"}
	}
	dir, err := filepath.Abs(filepath.Dir(e.config))
	if err != nil {
		return err
	}
	e.caFile = filepath.Join(dir, pinnedName)
	return config.WriteFile(e.caFile, pem, uid, gid)
}

// ask tells the hub's own word. An answer that is lost is asked for again: the
// nonce says that it is the same machine.
func (e *enrolment) ask(ctx context.Context, known config.Hub) (a messages.EnrollAnswer, err error) {
	client, err := uplink.New(uplink.Config{URL: e.hub, Key: e.token, CAFile: e.caFile, Timeout: enrollTimeout, UserAgent: "felhom-agent/" + Version})
	if err != nil {
		return a, usageError{fmt.Errorf("hub: %w", err)}
	}
	defer client.Close()
	var nonce [32]byte
	rand.Read(nonce[:])
	r := messages.EnrollRequest{Nonce: hex.EncodeToString(nonce[:]), Node: e.node}
	if known.URL == e.hub { // another hub has no business with it
		r.APIKey = known.APIKey.Reveal()
	}
	for range enrollTries {
		if a, err = client.Enroll(ctx, r); err == nil {
			return a, nil
		}
		if _, refused := errors.AsType[*uplink.HTTPError](err); refused {
			break
		}
	}
	return a, hinted{fmt.Errorf("enroll: %w", err), "felhom-hub enroll-token list shows which tokens are worth something"}
}

// owner is whose a new file is: the service's user's, when this is root and there
// is one.
func owner() (uid, gid int) {
	if os.Getuid() == 0 {
		if u, err := user.Lookup(serviceUser); err == nil {
			uid, err1 := strconv.Atoi(u.Uid)
			gid, err2 := strconv.Atoi(u.Gid)
			if err1 == nil && err2 == nil {
				return uid, gid
			}
		}
	}
	return os.Getuid(), os.Getgid()
}
