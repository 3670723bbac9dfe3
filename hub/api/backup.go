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

const streamBuffer = 64 << 10

// backup streams a copy of the store.
func (s *Server) backup(ctx *fasthttp.RequestCtx, _ args) error {
	if err := s.stream(ctx, "backup", s.fleet.Backup); err != nil {
		return err
	}
	h := &ctx.Response.Header
	h.SetContentType("application/octet-stream")
	h.Set(fasthttp.HeaderContentDisposition, `attachment; filename="felhom.backup"`)
	return nil
}

// stream answers with what write writes while it runs. The first bytes are awaited
// before the answer begins, so that what cannot be is still an error with a status;
// after that a failure breaks the connection in the middle of a chunk, which no client
// takes for the end.
func (s *Server) stream(ctx *fasthttp.RequestCtx, what string, write func(context.Context, io.Writer) error) error {
	c, cancel := context.WithCancel(s.life)
	pr, pw := io.Pipe()
	go s.writeStream(c, what, pw, write)
	r := &answerStream{bufio.NewReaderSize(pr, streamBuffer), pr, cancel, ctx.Conn(), s.cfg.WriteTimeout}
	if _, err := r.buffered.Peek(1); err != nil {
		r.Close()
		return fmt.Errorf("%s: %w", what, err)
	}
	// A deadline for the whole answer would cut a long one off: Read moves it.
	if err := ctx.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout)); err != nil {
		r.Close()
		return fmt.Errorf("%s: %w", what, err)
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.SetBodyStream(r, -1)
	return nil
}

// writeStream runs on a goroutine of its own, where a panic would end the hub.
func (s *Server) writeStream(c context.Context, what string, pw *io.PipeWriter, write func(context.Context, io.Writer) error) {
	err := errors.New("panic")
	defer func() {
		if v := recover(); v != nil {
			s.caught(v)
		}
		if _, ours := problemOf(err); err != nil && c.Err() == nil && !ours {
			s.log.Error().Str("error", redact(err.Error())).Msg(what + " failed")
		}
		pw.CloseWithError(err) // io.EOF for nil
	}()
	err = write(c, pw)
}

// answerStream is the reader's end: each Read gives the client time for what it
// read, and Close, which fasthttp calls in any case, ends the writer.
type answerStream struct {
	buffered *bufio.Reader
	pipe     *io.PipeReader
	cancel   context.CancelFunc
	conn     net.Conn
	timeout  time.Duration
}

// Read reads what was written.
func (b *answerStream) Read(p []byte) (int, error) {
	n, err := b.buffered.Read(p)
	b.conn.SetWriteDeadline(time.Now().Add(b.timeout))
	return n, err
}

// Close stops the writer, if it still runs.
func (b *answerStream) Close() error {
	b.cancel()
	return b.pipe.Close()
}
