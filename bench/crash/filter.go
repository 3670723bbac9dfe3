package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The hub's system calls pass through the rig: a seccomp filter stops those
// that change files, and the rig says for each whether the kernel carries it
// out or it fails (seccomp_unotify(2)). The hub is the real one, and knows
// nothing of it. It needs Linux 5.19, and no privileges.

// underFilter is the rig's own first argument when it is to lay the filter on
// itself, hand it to the rig that listens at the second, and become the rest.
const underFilter = "-under-filter"

// noFilter is what it says where there is no such filter.
const noFilter = "lay a seccomp filter"

// becomeFiltered does that. It returns only when it fails, by ending.
func becomeFiltered(args []string) {
	err := func() error {
		if len(args) < 2 {
			return errors.New("want SOCKET PROGRAM [ARGUMENT...]")
		}
		c, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		runtime.LockOSThread() // the filter is the thread's, and so is the exec
		listener, err := layFilter()
		if err != nil {
			return fmt.Errorf("%s: %w", noFilter, err)
		}
		_, _, err = c.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(listener), nil)
		if err != nil {
			return err
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return err
		}
		return syscall.Exec(args[1], args[1:], os.Environ())
	}()
	fmt.Fprintln(os.Stderr, "crash "+underFilter+":", err)
	os.Exit(2)
}

// watchedCalls are those that change files. Go's connections are written with
// the first, too; the rig looks at what the descriptor is.
var watchedCalls = []uint32{
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_MSYNC, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FTRUNCATE,
	unix.SYS_FALLOCATE, unix.SYS_RENAMEAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_OPENAT,
}

var callNames = []string{"write", "pwrite", "msync", "fsync", "fdatasync", "ftruncate", "fallocate", "rename", "unlink", "mkdir", "open"}

// layFilter puts the filter on this thread and what it becomes.
func layFilter() (listener int, err error) {
	const offsetOfNumber = 0 // in struct seccomp_data
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offsetOfNumber}}
	for i, number := range watchedCalls {
		toNotify := uint8(len(watchedCalls) - i)
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: toNotify, K: number})
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}

// notification and response are struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	ID     uint64
	PID    uint32
	Flags  uint32
	Number int32
	Arch   uint32
	IP     uint64
	Args   [6]uint64
}

type response struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// saboteur lets one change of a file below dir fail.
type saboteur struct {
	dir    string
	failAt int           // which, counted from 1; 0 is none
	errno  syscall.Errno // how
	onward bool          // so do all after it

	socket *net.UnixListener
	count  atomic.Int64
	mu     sync.Mutex
	failed string // what was the first
}

// newSaboteur waits at a socket in folder for the process whose writes it watches.
func newSaboteur(folder, dir string) (*saboteur, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(folder, "filter"), Net: "unix"})
	return &saboteur{dir: dir, socket: l}, err
}

// wrap is the command that the hub is to be run through.
func (s *saboteur) wrap() ([]string, error) {
	self, err := os.Executable()
	return []string{self, underFilter, s.socket.Addr().String()}, err
}

// serve answers for one process, until it has ended or ctx ends.
func (s *saboteur) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.socket.Close() })
	defer stop()
	defer s.socket.Close()
	c, err := s.socket.AcceptUnix()
	if err != nil {
		return err
	}
	defer c.Close()
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) == 0 {
		return fmt.Errorf("no filter came: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	defer unix.Close(fds[0])
	// From here on its writes wait for an answer, this rig's own one to it as well.
	if _, err := c.Write([]byte{0}); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if over, err := s.next(fds[0]); over || err != nil {
			return err
		}
	}
	return nil
}

const filterPoll = 100 // milliseconds

// next answers for one call; over is that nobody is left to call.
func (s *saboteur) next(listener int) (over bool, err error) {
	poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	if _, err := unix.Poll(poll, filterPoll); err != nil && !errors.Is(err, unix.EINTR) {
		return false, err
	}
	if poll[0].Revents&unix.POLLIN == 0 {
		return poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0, nil
	}
	var n notification
	if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
		return false, gone(err)
	}
	r := response{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if errno := s.judge(&n); errno != 0 {
		r = response{ID: n.ID, Error: -int32(errno)}
	}
	return false, gone(ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)))
}

// gone takes the end of a caller for no error.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
		return nil
	}
	return err
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// judge counts a call and says how it fails; 0 is not at all.
func (s *saboteur) judge(n *notification) syscall.Errno {
	what, ours := s.changes(n)
	if !ours {
		return 0
	}
	at := int(s.count.Add(1))
	if s.failAt == 0 || at < s.failAt || at > s.failAt && !s.onward {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == "" {
		s.failed = fmt.Sprintf("%s: %v", what, s.errno)
	}
	return s.errno
}

// changes reports whether a call changes something below dir.
func (s *saboteur) changes(n *notification) (what string, ours bool) {
	name := callNames[slices.Index(watchedCalls, uint32(n.Number))]
	var path string
	switch uint32(n.Number) {
	case unix.SYS_MSYNC: // only stores map files that way
		return name, true
	case unix.SYS_OPENAT:
		if n.Args[2]&unix.O_CREAT == 0 {
			return name, false
		}
		path = textAt(n.PID, n.Args[1])
	case unix.SYS_RENAMEAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT:
		path = textAt(n.PID, n.Args[1])
	default:
		path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.PID, n.Args[0]))
	}
	return name + " " + strings.TrimPrefix(path, s.dir), strings.HasPrefix(path, s.dir)
}

// textAt reads a path from a process's memory.
func textAt(pid uint32, at uint64) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, unix.PathMax)
	n, _ := f.ReadAt(b, int64(at))
	text, _, _ := strings.Cut(string(b[:n]), "\x00")
	return text
}
