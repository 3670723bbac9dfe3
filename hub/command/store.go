package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"felhom.eu/hub/config"
	"felhom.eu/hub/terminal"
)

func (a *app) backupCommand() *cobra.Command {
	return a.asks(&cobra.Command{
		Use:   "backup FILE",
		Short: "Copy a running hub's store into FILE",
		Long: "Copy a running hub's store into FILE, consistently and without stopping it.\n" +
			"FILE appears only when it is complete and on the disk; an older FILE is replaced.",
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			n, err := writeWhole(args[0], func(w io.Writer) (int64, error) {
				bar := a.out.Bar("backup", -1)
				defer bar.Close()
				return s.Backup(ctx, io.MultiWriter(w, bar))
			})
			if err != nil {
				return err
			}
			return a.out.Line("%s written, %s", args[0], terminal.Size(uint64(n)))
		}),
	})
}

// writeWhole writes file through a neighbour that takes its place once it is
// on stable storage, so that file is complete or was not touched.
func writeWhole(file string, write func(io.Writer) (int64, error)) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // 0600: keys' hashes are in it
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", file, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if n, err = write(f); err != nil {
		return n, err
	}
	if err = errors.Join(f.Sync(), f.Close()); err != nil {
		return n, fmt.Errorf("write %s: %w", file, err)
	}
	if err = os.Rename(f.Name(), file); err != nil {
		return n, fmt.Errorf("write %s: %w", file, err)
	}
	return n, syncDir(filepath.Dir(file))
}

// syncDir makes a rename in dir outlive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of a stopped hub's store",
		Long: "Put the backup in FILE in the place of the store in data_dir. The hub must be stopped.\n" +
			"The backup is verified as a whole before anything is touched.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.configuration()
			if err != nil {
				return err
			}
			if err := a.restore(cmd.Context(), c, args[0]); err != nil {
				return err
			}
			return a.out.Line("%s restored; start the hub", args[0])
		},
	}
}

func (a *app) restore(ctx context.Context, c config.Config, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	bar := a.out.Bar("restore", info.Size())
	defer bar.Close()
	return a.program.Restore(ctx, c, io.TeeReader(f, bar))
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Prove the configuration and read the store through",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.configuration()
			if err != nil {
				return err
			}
			stop := a.out.Spin("check")
			findings, err := a.program.Check(cmd.Context(), c)
			stop()
			for _, f := range findings {
				if err := a.out.Line("%s", f); err != nil {
					return err
				}
			}
			return err
		},
	}
}
