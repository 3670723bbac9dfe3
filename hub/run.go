package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"felhom.eu/hub/app"
	"felhom.eu/hub/command"
	"felhom.eu/hub/config"
	"felhom.eu/hub/demo"
)

// program is what the command tree runs.
func program() command.Program {
	return command.Program{Version: Version, Serve: serve, Demo: showDemo, Restore: app.Restore, Check: app.Check}
}

// showDemo runs a hub with a made-up fleet. Its log is the errors only: the
// terminal belongs to the table.
func showDemo(ctx context.Context, d command.Demo) error {
	return demo.Run(ctx, demo.Options{For: d.For, Listen: d.Listen, Out: d.Out, Err: os.Stderr,
		Start: func(cfg config.Config) (demo.Hub, error) {
			cfg.LogLevel = zerolog.LevelErrorValue
			log, err := newLog(os.Stderr, cfg)
			if err != nil {
				return nil, err
			}
			return app.Start(cfg, Version, log)
		}})
}

// gcPercent keeps the garbage small beside what lives: a hub's heap is its
// fleet, and collecting it twice as often costs less than holding it twice.
// GOGC in the environment goes before it.
const gcPercent = 50

// serve runs a hub until ctx ends or the hub cannot go on.
func serve(ctx context.Context, cfg config.Config) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log, err := newLog(os.Stderr, cfg)
	if err != nil {
		return command.Usage(err)
	}
	hub, err := app.Start(cfg, Version, log)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return hub.Stop()
	case err := <-hub.Failed():
		return errors.Join(err, hub.Stop())
	}
}

// newLog makes the one stream of logs, which hollywood's slog joins.
func newLog(w *os.File, cfg config.Config) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		return zerolog.Logger{}, err
	}
	var out io.Writer = w
	if cfg.LogFormat == "console" || cfg.LogFormat == "" && isatty.IsTerminal(w.Fd()) {
		out = zerolog.ConsoleWriter{Out: w, TimeFormat: time.DateTime, NoColor: os.Getenv("NO_COLOR") != ""}
	}
	log := zerolog.New(out).Level(level).With().Timestamp().Logger()
	slog.SetDefault(slog.New(zerolog.NewSlogHandler(log)))
	return log, nil
}
