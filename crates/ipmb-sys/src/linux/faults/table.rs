//! Which calls there are, and what each can say.

use rustix::io::Errno;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// It does nothing, and says this (an `errno`).
    Error(i32),
    /// It does less than it was asked for.
    Short,
}

macro_rules! table {
    ($($call:ident $name:literal [$($error:ident)*] $([$short:ident])?;)*) => {
        /// A kind of system call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "their names say it")]
        pub enum Call { $($call),* }

        impl Call {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$call),*];

            /// As in the manual.
            pub fn name(self) -> &'static str {
                match self { $(Self::$call => $name),* }
            }

            /// What it can say, by its manual page and on the objects that it is used for here.
            pub fn faults(self) -> &'static [(&'static str, Fault)] {
                match self {$(
                    Self::$call => const { &[
                        $((concat!("E", stringify!($error)), Fault::Error(Errno::$error.raw_os_error())),)*
                        $((stringify!($short), Fault::$short),)?
                    ] },
                )*}
            }
        }
    };
}

// Not here, as no test can tell right from wrong: `munmap`, `close`, and `ENOTCONN` from receiving.
table! {
    Openat "openat" [INTR MFILE NFILE NOMEM ACCESS];
    Mkdirat "mkdirat" [NOMEM NOSPC DQUOT ROFS ACCESS];
    Mkfifoat "mkfifoat" [NOMEM NOSPC DQUOT ROFS ACCESS];
    Stat "fstatat" [NOMEM ACCESS];
    Fstat "fstat" [NOMEM];
    Fstatfs "fstatfs" [INTR NOMEM];
    Chmod "fchmod" [NOMEM IO ROFS PERM];
    Accessat "faccessat" [NOMEM IO ACCESS ROFS];
    Flock "flock" [INTR NOLCK AGAIN];
    Renameat "renameat" [NOMEM NOSPC DQUOT ROFS];
    Unlinkat "unlinkat" [NOMEM IO ROFS BUSY];
    Readlink "readlink" [NOMEM];
    FcntlGetfl "fcntl(F_GETFL)" [];
    FcntlSetfl "fcntl(F_SETFL)" [];
    FcntlDupfd "fcntl(F_DUPFD)" [MFILE];
    FcntlLock "fcntl(F_OFD_*LK)" [INTR AGAIN ACCESS NOLCK];
    FcntlAddSeals "fcntl(F_ADD_SEALS)" [BUSY];
    FcntlGetSeals "fcntl(F_GET_SEALS)" [];
    MemfdCreate "memfd_create" [MFILE NFILE NOMEM INVAL];
    Ftruncate "ftruncate" [INTR FBIG IO];
    Fallocate "fallocate" [INTR NOSPC NOMEM IO];
    Mmap "mmap" [NOMEM AGAIN NFILE];
    Pwrite "pwrite" [INTR NOSPC NOMEM IO] [Short];
    Getrandom "getrandom" [INTR NOSYS] [Short];
    Membarrier "membarrier" [NOSYS PERM NOMEM];
    Clone "clone" [AGAIN NOMEM];
    Socketpair "socketpair" [MFILE NFILE NOMEM NOBUFS];
    Socket "socket" [MFILE NFILE NOMEM NOBUFS ACCESS];
    Bind "bind" [NOMEM NOSPC ROFS ACCESS ADDRINUSE];
    Listen "listen" [ADDRINUSE NOBUFS];
    Connect "connect" [INTR AGAIN CONNREFUSED NOENT NOMEM ACCESS];
    Accept "accept4" [INTR AGAIN CONNABORTED MFILE NFILE NOBUFS NOMEM PERM];
    Shutdown "shutdown" [NOTCONN NOBUFS];
    Sendmsg "sendmsg" [INTR AGAIN NOBUFS NOMEM MSGSIZE TOOMANYREFS PIPE CONNRESET];
    Recvmsg "recvmsg" [INTR AGAIN NOMEM NOBUFS CONNRESET];
    Recvmmsg "recvmmsg" [INTR AGAIN NOMEM NOBUFS CONNRESET] [Short];
    Recv "recv" [INTR AGAIN NOMEM NOBUFS CONNRESET];
    Getsockopt "getsockopt" [NOBUFS NOMEM];
    Setsockopt "setsockopt" [INTR];
    Eventfd "eventfd" [MFILE NFILE NOMEM NODEV];
    Poll "ppoll" [INTR NOMEM];
    EpollCreate "epoll_create1" [MFILE NFILE NOMEM];
    EpollCtlAdd "epoll_ctl(ADD)" [NOMEM NOSPC];
    EpollCtlMod "epoll_ctl(MOD)" [NOMEM];
    EpollCtlDel "epoll_ctl(DEL)" [NOMEM];
    EpollWait "epoll_wait" [INTR] [Short];
    PidfdOpen "pidfd_open" [MFILE NFILE NOMEM NODEV SRCH NOSYS];
    Preadv2 "preadv2" [INTR AGAIN OPNOTSUPP NOSYS];
    Read "read" [INTR AGAIN] [Short];
    Write "write" [INTR AGAIN];
}
