//! A dbus-broker of a measurement's own. Its launcher wants systemd, so this is a launcher of ours:
//! it gives the broker a socket to listen on, and a policy that allows everything.

use crate::Result;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use std::{
    env,
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Command, Stdio},
};
use zbus::{
    Connection,
    as_variant::Serialize,
    connection::Builder,
    wire::{Fd, ObjectPath},
};

const PROGRAM: &str = "dbus-broker";
/// What all of a user's connections together may have the broker hold. There is one user.
const MAX_BYTES: &str = "1073741824";

pub(super) fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|it| it.join(PROGRAM).exists())
}

/// Starts one. When this returns, `place` can be connected to. It ends when what this returns is
/// dropped, or when this process ends.
pub(super) async fn start(place: &Path) -> Result<Connection> {
    let listener = UnixListener::bind(place)?;
    // The broker accepts until nobody is left.
    listener.set_nonblocking(true)?;
    let (own, brokers) = UnixStream::pair()?;
    fcntl_setfd(&brokers, FdFlags::empty())?;
    on_any_core(|| {
        let mut command = Command::new(PROGRAM);
        command.args(["--controller", &brokers.as_raw_fd().to_string()]);
        command.args(["--machine-id", "00000000000000000000000000000001"]);
        command.args(["--max-bytes", MAX_BYTES]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command.spawn()?)
    })?;
    drop(brokers);
    let controller = Builder::unix_stream(own).p2p().build().await?;
    let path = ObjectPath::try_from("/org/bus1/DBus/Listener/0")?;
    let arguments = (path, Fd::from(&listener), Serialize(&policy()));
    controller
        .call_method(
            None::<&str>,
            "/org/bus1/DBus/Broker",
            Some("org.bus1.DBus.Broker"),
            "AddListener",
            &arguments,
        )
        .await?;
    Ok(controller)
}

/// Who may connect; own a name, or all that begin with it; send; receive. Each rule begins with
/// its verdict and its priority.
type Rules<'a> = (bool, u64, Vec<Own<'a>>, Vec<Pass<'a>>, Vec<Pass<'a>>);
type Own<'a> = (bool, u64, bool, &'a str);
/// Name, path, interface, member, type, broadcast or not, from and to how many descriptors.
type Pass<'a> = (
    bool,
    u64,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    u32,
    u32,
    u64,
    u64,
);
/// Rules by user, by range of users and groups; SELinux contexts; whether AppArmor has a say; the
/// kind of bus. So in version 33, and later ones.
type Policy<'a> = (
    Vec<(u32, Rules<'a>)>,
    Vec<(bool, u32, u32, Rules<'a>)>,
    Vec<(&'a str, &'a str)>,
    bool,
    &'a str,
);

/// Everybody may do everything.
fn policy() -> Policy<'static> {
    let pass = || vec![(true, 1, "", "", "", "", 0, 0, 0, u64::MAX)];
    let rules = (true, 1, vec![(true, 1, true, "")], pass(), pass());
    let any_user = u32::MAX;
    (vec![(any_user, rules)], vec![], vec![], false, "session")
}

/// Runs `start` while this thread may be on any core, as what it starts may be then, too.
fn on_any_core<T>(start: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = sched_getaffinity(None)?;
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|it| all.set(it));
    sched_setaffinity(None, &all)?;
    let started = start();
    sched_setaffinity(None, &own)?;
    started
}
