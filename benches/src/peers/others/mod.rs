//! What others have made, set up for speed as its documentation has it.

mod iceoryx2;
mod ipc_channel;
mod nng;
mod zbus;
mod zenoh;
mod zeromq;

use super::Entry;

pub(super) fn all() -> Vec<Entry> {
    vec![
        Entry::of::<iceoryx2::Iceoryx2<false>>(),
        Entry::of::<iceoryx2::Iceoryx2<true>>(),
        Entry::of::<ipc_channel::IpcChannel>(),
        Entry::of::<nng::Nng>(),
        Entry::of::<zbus::Zbus>(),
        Entry::of::<zenoh::Zenoh>(),
        Entry::of::<zeromq::Zeromq>(),
    ]
}
