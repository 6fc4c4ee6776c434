"""Which system calls a sandboxed command may make: a list, and a small assembler for the kernel's filter
programs.

The list is an allow-list in the manner of Docker's default profile, without what no function needs (ptrace,
keyrings, io_uring, namespaces, mounts, BPF, raw clocks). What is not on it answers EPERM; calls newer than
our table and ``clone3`` answer ENOSYS, so that C libraries fall back to what the filter can judge. Programs
are classic BPF over ``struct seccomp_data`` (kernel documentation, "Seccomp BPF"). Pure:
`lambent.sandbox.linux` loads the result.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lambent.sandbox import syscalls

_ALLOWED_NAMES = """
    accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown clock_getres
    clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
    epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
    execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2
    fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync
    ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area
    getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp
    getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt
    gettid gettimeofday getuid getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioprio_get ioprio_set
    kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen
    listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat madvise map_shadow_stack membarrier
    memfd_create memfd_secret mincore mkdir mkdirat mlock mlock2 mlockall mmap mprotect mq_getsetattr
    mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync
    munlock munlockall munmap nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe
    pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64
    process_mrelease pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom
    recvmmsg recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall
    rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop sendfile
    sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups
    setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid
    setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice
    stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
    times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid write
    writev
"""

ALLOWED = frozenset(_ALLOWED_NAMES.split())
"""Calls that are allowed whatever their arguments."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One test of the low 32 bits of one argument: ``argument & mask`` is (or is not) one of some values."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    allow: bool = True
    """Whether a match is what permits the call; else a match is what refuses it."""


_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
_S_IFMT, _S_IFCHR, _S_IFBLK = 0xF000, 0x2000, 0x6000
_DEVICES = Rule(1, (_S_IFCHR, _S_IFBLK), mask=_S_IFMT, allow=False)
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

GUARDED: Mapping[str, Rule] = {
    # A thread or a process, but in no new namespace.
    "clone": Rule(0, (0,), mask=_NEW_NAMESPACES),
    # Typing into, or pasting to, a terminal that was inherited by mistake.
    "ioctl": Rule(1, (_TIOCSTI, _TIOCLINUX), allow=False),
    # Named pipes and sockets are made with these two; devices are not.
    "mknod": _DEVICES,
    "mknodat": Rule(2, _DEVICES.values, mask=_S_IFMT, allow=False),
    # PER_LINUX and PER_LINUX32, with and without UNAME26, and the query, as in Docker's profile.
    "personality": Rule(0, (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)),
    # No AF_ALG, AF_PACKET, AF_VSOCK, AF_XDP and other rarely used, often attacked families. Netlink serves
    # getaddrinfo and getifaddrs.
    "socket": Rule(0, (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)),
}
"""Calls that are allowed depending on an argument."""

FOR_TEMPLATES = ("mount", "move_mount", "sethostname", "setns", "umount2", "unshare")
"""What a template may call besides, to put its copies behind walls of their own (`lambent.sandbox.copying`)."""
_ABSENT = ("clone3",)  # its flags lie in memory, where a filter cannot look
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_NO_SUCH_CALL = 0x00050000 | errno.ENOSYS
_KILL_PROCESS = 0x80000000

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENTS = 0, 4, 16

Instruction = tuple[int, int, int, int]


def program(machine: str | None = None, *, further: Iterable[str] = ()) -> bytes:
    """Return the filter for a machine (default: this one) as an array of ``struct sock_filter``.

    Args:
        machine: as `platform.machine` names it.
        further: calls that are allowed besides, whatever their arguments.
    """
    machine = machine or platform.machine()
    numbers = syscalls.numbers(machine)
    verdicts = _verdicts(numbers) | {numbers[name]: _always(_ALLOW) for name in further}
    code = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        # A call through another architecture's entry would have other numbers.
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        *_search(_ranges(verdicts, beyond=max(numbers.values()) + 1)),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


_Verdict = tuple[Instruction, ...]


def _verdicts(numbers: Mapping[str, int]) -> dict[int, _Verdict]:
    """Return the code that ends the program, for each call that is not simply refused."""
    verdicts: dict[int, _Verdict] = {numbers[name]: _always(_ALLOW) for name in ALLOWED if name in numbers}
    verdicts |= {numbers[name]: _always(_NO_SUCH_CALL) for name in _ABSENT if name in numbers}
    verdicts |= {numbers[name]: _guard(rule) for name, rule in GUARDED.items() if name in numbers}
    return verdicts


def _always(action: int) -> _Verdict:
    return ((_RETURN, 0, 0, action),)


def _guard(rule: Rule) -> _Verdict:
    tests = len(rule.values)
    match, otherwise = (_ALLOW, _REFUSE) if rule.allow else (_REFUSE, _ALLOW)
    compare = [(_JUMP_EQUAL, tests - position, 0, value) for position, value in enumerate(rule.values)]
    # Each test that matches jumps over the remaining tests and over the "otherwise" return.
    load = (_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * rule.argument)
    return (load, (_AND, 0, 0, rule.mask), *compare, *_always(otherwise), *_always(match))


def _ranges(verdicts: Mapping[int, _Verdict], *, beyond: int) -> list[tuple[int, _Verdict]]:
    """Return (first number, verdict) of consecutive ranges; the last one is for calls that we do not know.

    On x86_64 the x32 calls (numbers from 0x40000000) fall into that last range too.
    """
    ranges: list[tuple[int, _Verdict]] = []
    for number in range(beyond):
        verdict = verdicts.get(number, _always(_REFUSE))
        if not ranges or ranges[-1][1] != verdict:
            ranges.append((number, verdict))
    return [*ranges, (beyond, _always(_NO_SUCH_CALL))]


def _search(ranges: Sequence[tuple[int, _Verdict]]) -> list[Instruction]:
    """Return a binary search over the ranges, ending in their verdicts."""
    if len(ranges) == 1:
        return list(ranges[0][1])
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    if len(below) > 255:
        raise ValueError("a jump of classic BPF reaches 255 instructions")
    return [(_JUMP_GREATER_EQUAL, len(below), 0, ranges[middle][0]), *below, *above]
