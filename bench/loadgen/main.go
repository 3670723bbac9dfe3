// Command loadgen sends reports of made-up hosts to a hub on loopback and
// prints how fast they were answered. The hosts are minted for it, under the
// customer "bench", with the hub's global key in FELHOM_HUB_GLOBAL_KEY.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "the hub's `ip:port`, on loopback")
	hosts := flag.Int("hosts", 1000, "how many hosts report")
	connections := flag.Int("connections", 64, "keep-alive connections")
	rate := flag.Float64("rate", 0, "reports a second in all, on a fixed timetable; 0: as fast as they are answered")
	warm := flag.Duration("warm", time.Second, "sent before counting begins")
	length := flag.Duration("for", 5*time.Second, "how long is counted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	plan := load.Plan{Addr: *addr, Connections: *connections, Rate: *rate, Warm: *warm, For: *length}
	if err := run(ctx, plan, *hosts); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, plan load.Plan, hosts int) (err error) {
	admin := rig.NewAdmin(plan.Addr, os.Getenv("FELHOM_HUB_GLOBAL_KEY"))
	if plan.Hosts, err = rig.Fleet(ctx, &admin, "bench", hosts); err != nil {
		return err
	}
	r, err := load.Run(ctx, plan)
	if err != nil {
		return err
	}
	fmt.Printf("%.0f reports/s; p50 %v, p99 %v, p99.9 %v, max %v; answers by status %v; %d lost connections\n",
		r.PerSecond(), r.Latency.Quantile(0.5), r.Latency.Quantile(0.99), r.Latency.Quantile(0.999), r.Latency.Max(),
		r.Statuses, r.Errors)
	if r.LastErr != nil {
		return fmt.Errorf("connection lost: %w", r.LastErr)
	}
	return nil
}
