package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

const backupBuffer = 64 << 10

// backup streams a copy of the store. The first bytes are awaited before the
// answer begins, so that a store that cannot be copied is still an error with a
// status; after that a failure breaks the connection in the middle of a chunk,
// which no client takes for the end.
func (s *Server) backup(ctx *fasthttp.RequestCtx, _ args) error {
	c, cancel := context.WithCancel(s.life)
	pr, pw := io.Pipe()
	go s.writeBackup(c, pw)
	r := &backupStream{bufio.NewReaderSize(pr, backupBuffer), pr, cancel, ctx.Conn(), s.cfg.WriteTimeout}
	if _, err := r.buffered.Peek(1); err != nil {
		r.Close()
		return fmt.Errorf("backup: %w", err)
	}
	// A deadline for the whole answer would cut a large backup off: Read moves it.
	if err := ctx.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout)); err != nil {
		r.Close()
		return fmt.Errorf("backup: %w", err)
	}
	h := &ctx.Response.Header
	h.SetContentType("application/octet-stream")
	h.Set(fasthttp.HeaderContentDisposition, `attachment; filename="felhom.backup"`)
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.SetBodyStream(r, -1)
	return nil
}

// writeBackup runs on a goroutine of its own, where a panic would end the hub.
func (s *Server) writeBackup(c context.Context, pw *io.PipeWriter) {
	err := errors.New("panic")
	defer func() {
		if v := recover(); v != nil {
			s.caught(v)
		}
		if err != nil && c.Err() == nil {
			s.log.Error().Str("error", redact(err.Error())).Msg("backup failed")
		}
		pw.CloseWithError(err) // io.EOF for nil
	}()
	err = s.fleet.Backup(c, pw)
}

// backupStream is the reader's end: each Read gives the client time for what it
// read, and Close, which fasthttp calls in any case, ends the backup.
type backupStream struct {
	buffered *bufio.Reader
	pipe     *io.PipeReader
	cancel   context.CancelFunc
	conn     net.Conn
	timeout  time.Duration
}

// Read reads from the backup.
func (b *backupStream) Read(p []byte) (int, error) {
	n, err := b.buffered.Read(p)
	b.conn.SetWriteDeadline(time.Now().Add(b.timeout))
	return n, err
}

// Close stops the backup, if it still runs.
func (b *backupStream) Close() error {
	b.cancel()
	return b.pipe.Close()
}
