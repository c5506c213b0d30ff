package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// denied are system calls that no build needs. Keys are not part of any namespace
// of ours: our user's keyring, with passwords and tickets, would be the
// sandbox's. The others are the parts of the kernel that programs break out by.
var denied = []uint32{
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP,
}

// deniedI386 are the same for 32-bit programs on x86_64.
var deniedI386 = []uint32{286, 287, 288, 357, 336, 374, 425}

// The kernel's names for architectures (linux/audit.h).
var auditArch = map[string]uint32{
	"amd64": 0xc000003e, "386": 0x40000003, "arm64": 0xc00000b7, "arm": 0x40000028,
	"ppc64le": 0xc0000015, "s390x": 0x80000016, "riscv64": 0xc00000f3,
}

const (
	auditArchI386 = 0x40000003
	x32Bit        = 0x40000000 // in the numbers of x86_64's third set of calls
)

// denyCalls makes the denied system calls fail with EPERM from now on, also in
// all that is executed. It needs no_new_privs. Kernels without the means, and
// architectures that are not known here, go without.
func denyCalls() error {
	native, ok := auditArch[runtime.GOARCH]
	if !ok {
		return nil
	}
	program := filter(native)
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	runtime.KeepAlive(program)
	if err == unix.EINVAL { // no seccomp in this kernel
		return nil
	}
	if err != nil {
		return fmt.Errorf("forbidding system calls: %w", err)
	}
	return nil
}

// filter is the program in the language of seccomp(2). Its data begins with the
// number of the call and the architecture.
func filter(native uint32) []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atMin = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		give  = unix.BPF_RET | unix.BPF_K
	)
	allow := unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW}
	deny := unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	// block ends for calls of one architecture; others jump over it.
	block := func(arch uint32, numbers []uint32, x32 bool) []unix.SockFilter {
		body := []unix.SockFilter{{Code: load, K: 0}}
		if x32 {
			body = append(body, unix.SockFilter{Code: atMin, K: x32Bit, Jf: 1}, deny)
		}
		for _, n := range numbers {
			body = append(body, unix.SockFilter{Code: equal, K: n, Jf: 1}, deny)
		}
		body = append(body, allow)
		return append([]unix.SockFilter{{Code: load, K: 4}, {Code: equal, K: arch, Jf: uint8(len(body))}}, body...)
	}
	program := block(native, denied, runtime.GOARCH == "amd64")
	if runtime.GOARCH == "amd64" {
		program = append(program, block(auditArchI386, deniedI386, false)...)
	}
	return append(program, allow)
}
