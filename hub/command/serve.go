package command

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"felhom.eu/hub/config"
)

const (
	configVariable = "FELHOM_HUB_CONFIG"
	packagedConfig = "/etc/felhom/hub.json" // read when it exists and no other is named
)

// configFlags gives root a flag for every key of the configuration, named like
// the key with dashes. The global key has none: other users of the machine
// could read it there. data_dir is for all commands: global.key lies in it.
func (a *app) configFlags(root *cobra.Command) {
	a.flags = map[string]string{}
	root.PersistentFlags().StringVar(&a.file, "config", os.Getenv(configVariable),
		"`FILE` with the configuration, JSON (also $"+configVariable+"; "+packagedConfig+" if it exists)")
	for _, k := range config.Keys() {
		set := root.Flags()
		switch k.Name {
		case "global_key":
			continue
		case "data_dir":
			set = root.PersistentFlags()
		}
		set.Var(setting{a.flags, k.Name}, strings.ReplaceAll(k.Name, "_", "-"), k.Usage)
	}
}

// configuration is the file with the environment and the flags over it.
func (a *app) configuration() (config.Config, error) {
	if _, err := os.Stat(packagedConfig); a.file == "" && err == nil {
		a.file = packagedConfig
	}
	c, err := config.Load(a.file, os.LookupEnv, a.flags)
	return c, Usage(err)
}

// setting is a flag that remembers its text under a key of the configuration,
// which is where it is understood and checked.
type setting struct {
	into map[string]string
	key  string
}

var _ pflag.Value = setting{}

// String implements pflag.Value.
func (s setting) String() string { return s.into[s.key] }

// Set implements pflag.Value.
func (s setting) Set(v string) error { s.into[s.key] = v; return nil }

// Type implements pflag.Value.
func (s setting) Type() string { return "value" }

func (a *app) serve(cmd *cobra.Command, _ []string) error {
	c, err := a.configuration()
	if err != nil {
		return err
	}
	return a.program.Serve(cmd.Context(), c)
}

func (a *app) demoCommand() *cobra.Command {
	d := Demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a made-up fleet of 48 hosts go wrong, and this machine",
		Long: "Serve on loopback with a throw-away store and short thresholds. This machine is a real host;\n" +
			"48 simulated hosts of 6 customers fall silent, flap, drift and fill up.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.validate(); err != nil {
				return usageOf(cmd, err)
			}
			d.Out, d.Err = a.streams.Out, a.streams.Err
			return a.program.Demo(cmd.Context(), d)
		},
	}
	cmd.Flags().DurationVar(&d.For, "for", 0, "end after `DURATION` (default: when interrupted)")
	cmd.Flags().StringVar(&d.Listen, "listen", "127.0.0.1:0", "`HOST:PORT` to serve on; port 0 is a free one")
	return cmd
}

// validate refuses what the demo could not do: it speaks plain HTTP, so its
// agents' keys must not leave the machine.
func (d *Demo) validate() error {
	host, _, err := net.SplitHostPort(d.Listen)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %q: want HOST:PORT on loopback, such as 127.0.0.1:8080", d.Listen)
	}
	if d.For < 0 {
		return fmt.Errorf("--for %s: want a time ahead", d.For)
	}
	return nil
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.out.Line(`{"version": %q}`, a.program.Version)
			}
			return a.out.Line("felhom-hub %s", a.program.Version)
		},
	}
}

// manCommand is for packages: it writes a page for every command.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(filepath.Clean(args[0]), 0o755); err != nil {
				return fmt.Errorf("write manual: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Title: "FELHOM-HUB", Section: "1", Source: "Felhom " + a.program.Version}, args[0])
		},
	}
}
