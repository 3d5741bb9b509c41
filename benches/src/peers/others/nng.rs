//! NNG: pair sockets, or where there are several senders, push sockets to a pull socket.

use crate::{
    Failure, Result,
    message::{Checker, Phase},
    peers::{Peer, Role, Seat},
};
use nng_c::{
    ErrorCode, Message, Socket,
    options::{RecvBuf, RecvMaxSize, SendBuf},
    sys::{nng_pair0_open, nng_pull0_open, nng_push0_open, nng_socket},
};
use std::{ffi::c_int, mem::ManuallyDrop};

/// Messages in a pair's queues: there are none by default. Large ones are fewer, lest they fill the
/// memory.
const QUEUE: usize = 128;
const QUEUED_BYTES: usize = 32 << 20;

/// A receiver's socket, or a sender's for each receiver. They are not closed: that may throw away
/// what has not been sent yet.
pub(crate) struct Nng(Vec<ManuallyDrop<Socket>>);

pub(crate) struct Received(Message);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self.0.body()
    }
}

impl Nng {
    fn receive_owned(&self) -> Result<Message> {
        let socket = self.0.first().ok_or("there is no receiver")?;
        socket.recv_msg().map_err(failure)
    }
}

impl Peer for Nng {
    const NAME: &'static str = "nng";
    const ABOUT: &'static str =
        "NNG by crate nng-c over ipc://, pair to pair, or push to pull from several senders";

    type Received<'a> = Received;

    fn connect(seat: &Seat) -> Result<Self> {
        let queue = (QUEUED_BYTES / seat.size).clamp(2, QUEUE) as u16;
        let address = |receiver| format!("ipc://{}/{receiver}", seat.directory.display());
        let pairs = seat.senders == 1;
        let mut sockets = Vec::new();
        match seat.role {
            Role::Receiver => {
                let socket = open(if pairs {
                    nng_pair0_open
                } else {
                    nng_pull0_open
                })?;
                if pairs {
                    socket.set_opt(RecvBuf(queue)).map_err(failure)?;
                    socket.set_opt(SendBuf(queue)).map_err(failure)?;
                }
                // Any size, not 1 MiB at most.
                socket.set_opt(RecvMaxSize(0)).map_err(failure)?;
                let address = address(seat.index);
                socket.listen(address.as_bytes().into()).map_err(failure)?;
                sockets.push(socket);
            }
            Role::Sender => {
                for receiver in 0..seat.receivers {
                    let socket = open(if pairs {
                        nng_pair0_open
                    } else {
                        nng_push0_open
                    })?;
                    if pairs {
                        socket.set_opt(RecvBuf(queue)).map_err(failure)?;
                    }
                    socket.set_opt(SendBuf(queue)).map_err(failure)?;
                    socket.set_opt(RecvMaxSize(0)).map_err(failure)?;
                    let address = address(receiver);
                    socket.connect(address.as_bytes().into()).map_err(failure)?;
                    sockets.push(socket);
                }
            }
        }
        seat.ready()?;
        Ok(Self(sockets))
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        for socket in &self.0 {
            socket.send(message.into()).map_err(failure)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Received> {
        Ok(Received(self.receive_owned()?))
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let message = self.receive_owned()?;
        let phase = checker.check(message.body())?;
        if let Some(socket) = self.0.first() {
            socket.send_msg(message).map_err(|it| failure(it.1))?;
        }
        Ok(phase)
    }
}

fn failure(code: ErrorCode) -> Failure {
    format!("nng: {code}").into()
}

/// A socket of a kind that the crate binds, but does not wrap.
fn open(kind: unsafe extern "C" fn(*mut nng_socket) -> c_int) -> Result<ManuallyDrop<Socket>> {
    let mut socket = nng_socket { id: 0 };
    // SAFETY: `kind` opens a socket and writes its number to where the pointer goes.
    let code = unsafe { kind(&mut socket) };
    if code != 0 {
        return Err(format!("nng cannot open a socket: error {code}").into());
    }
    // SAFETY: `Socket` is a transparent wrapper of the number of an open socket, which it owns.
    Ok(ManuallyDrop::new(unsafe {
        std::mem::transmute::<nng_socket, Socket>(socket)
    }))
}
