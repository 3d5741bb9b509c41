//! Doing what the controller wants done.

use super::{Host, raise, read_old_directory};
use crate::{
    driver::{Driver, token},
    endpoint::Flushed,
};
use ipmb_core::{Attachment, CloseReason, ConnId, EndpointId, Input, Output, Strain, ToMember};
use ipmb_sys::{Interest, OwnedObject, ProcessWatch, duplicate, is_lack};
use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// How long the controller waits for descriptors before it cuts a member off whom it cannot tell
/// what it has to know.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits at a time. Nothing announces a free descriptor.
const PAUSE: Duration = Duration::from_millis(5);

impl Host {
    /// Carries the outputs out, in order. `objects` came with the message they answer.
    pub(super) fn carry_out(&mut self, driver: &mut Driver, objects: &mut Vec<OwnedObject>) {
        let mut answers: Vec<Answer> = Vec::new();
        for output in std::mem::take(&mut self.outputs) {
            self.carry_out_one(driver, output, objects, &mut answers);
        }
        for answer in answers {
            let input = match answer {
                Answer::Directory(conn, found) => {
                    let (directory, current) = found.unzip();
                    Input::SurvivorDirectory {
                        conn,
                        directory,
                        current: current == Some(true),
                    }
                }
                Answer::Closed(conn) => {
                    self.remove(driver, conn.0);
                    Input::Closed { conn }
                }
                Answer::Died(pid) => Input::ProcessDied { pid },
                Answer::Unwatchable(pid) => Input::WatchFailed { pid },
            };
            self.input(driver, input, objects);
        }
    }

    fn carry_out_one(
        &mut self,
        driver: &mut Driver,
        output: Output,
        objects: &mut Vec<OwnedObject>,
        answers: &mut Vec<Answer>,
    ) {
        match output {
            Output::Send {
                conn,
                bytes,
                attach,
                framed,
            } => match self.attachments_patiently(driver, &attach) {
                Ok(attached) => {
                    self.send(driver, conn, bytes, attached, framed);
                    if attach.contains(&Attachment::Directory)
                        && let Some(connection) = self.connections.get_mut(&conn.0)
                    {
                        connection.welcomed = true;
                    }
                }
                Err(error) => {
                    self.store.drop_pairs(&attach);
                    match introduced(&attach) {
                        // It was cut off only now, perhaps for not listening to the same introduction.
                        Some(peer) if error.kind() == io::ErrorKind::NotFound => {
                            let bytes = ToMember::NoSuchPeer { peer }.encode();
                            self.send(driver, conn, bytes, Vec::new(), true);
                        }
                        _ => {
                            tracing::warn!(%conn, %error, "a member cannot be told: cut off");
                            answers.push(Answer::Closed(conn));
                        }
                    }
                }
            },
            Output::Close { conn, reason } => {
                if let Some(connection) = self.remove(driver, conn.0) {
                    let pid = connection.credentials.pid;
                    match reason {
                        CloseReason::Left => tracing::debug!(pid, "an endpoint has left"),
                        _ => tracing::warn!(pid, %reason, "a connection is closed"),
                    }
                }
            }
            Output::Append(record) => self.append(&record),
            Output::Snapshot(records) => self.publish(&records),
            Output::StoreEndpoint { conn, id } => {
                // Its welcome follows: to take that back would lose what is sent to it meanwhile.
                let stored = patiently(driver, || self.store.store_endpoint(id, objects));
                if let Err(error) = stored {
                    tracing::warn!(%conn, %error, "an endpoint cannot be kept: cut off");
                    answers.push(Answer::Closed(conn));
                }
            }
            Output::DropEndpoint(id) => self.store.drop_endpoint(id),
            Output::StoreParked { id, body, .. } => self.store.store_parked(id, body, objects),
            Output::DropParked(id) => self.store.drop_parked(id),
            Output::ReadOldDirectory { conn, generation } => {
                let directory = match objects.as_slice() {
                    [_, _, _, beacon, directory, ..] => {
                        let read = || read_old_directory(beacon, directory, generation);
                        patiently(driver, read).unwrap_or_else(|error| {
                            tracing::warn!(%conn, %error, "a survivor's directory is not used");
                            None
                        })
                    }
                    _ => None,
                };
                answers.push(Answer::Directory(conn, directory));
            }
            Output::RaiseBeacon { to } => {
                if let Some(membership) = &driver.membership {
                    raise_patiently(driver, &membership.beacon, to);
                }
            }
            Output::RaiseBeaconOf { to, .. } => {
                if let Some(beacon) = objects.get(3) {
                    raise_patiently(driver, beacon, to);
                }
            }
            Output::WatchProcess { pid } => match self.watch(driver, pid) {
                Ok(true) => {}
                Ok(false) => answers.push(Answer::Died(pid)),
                Err(_) => answers.push(Answer::Unwatchable(pid)),
            },
            Output::UnwatchProcess { pid } => {
                if let Some(watch) = self.watches.remove(&pid) {
                    let _ = driver.poller.remove(watch.as_fd());
                }
            }
            Output::Warn(Strain { what, uid, quota }) => {
                tracing::warn!(%what, uid, used = quota.used, limit = quota.limit, "a quota is nearly used up");
            }
            other => tracing::error!(?other, "the controller wants what nobody can do"),
        }
    }

    fn attachments_patiently(
        &mut self,
        driver: &Driver,
        attach: &[Attachment],
    ) -> io::Result<Vec<OwnedObject>> {
        patiently(driver, || self.attachments(attach))
    }

    fn attachments(&mut self, attach: &[Attachment]) -> io::Result<Vec<OwnedObject>> {
        let mut objects = Vec::new();
        self.store.prepare_pairs(attach)?;
        for &attachment in attach {
            match attachment {
                Attachment::Directory => objects.push(duplicate(&self.directory)?),
                Attachment::Beacon => objects.push(duplicate(&self.beacon)?),
                // Given away, and so only when nothing can fail any more.
                Attachment::PairEnd { .. } => {}
                other => self.store.collect(other, &mut objects)?,
            }
        }
        self.store.take_pair_ends(attach, &mut objects);
        Ok(objects)
    }

    fn send(
        &mut self,
        driver: &mut Driver,
        conn: ConnId,
        bytes: Vec<u8>,
        attached: Vec<OwnedObject>,
        framed: bool,
    ) {
        let Some(connection) = self.connections.get_mut(&conn.0) else {
            return;
        };
        let sent = match framed {
            true => connection.pipe.send(&bytes, attached),
            false => connection.pipe.send_raw(bytes),
        };
        // A broken pipe shows when it is read from.
        self.mind_queue(driver, conn.0, sent.unwrap_or(Flushed::All));
    }

    /// `Ok(false)`: the process is dead already.
    fn watch(&mut self, driver: &mut Driver, pid: u32) -> io::Result<bool> {
        let Some(watch) = ProcessWatch::open(pid)? else {
            return Ok(false);
        };
        let token = token::PROCESS | u64::from(pid);
        driver
            .poller
            .add(watch.as_fd(), token, Interest::Readable)?;
        self.watches.insert(pid, watch);
        Ok(true)
    }
}

/// Who is introduced by a message with these attachments.
fn introduced(attach: &[Attachment]) -> Option<EndpointId> {
    attach.iter().find_map(|attachment| match attachment {
        Attachment::Doorbell(id) => Some(*id),
        _ => None,
    })
}

/// Waits for descriptors or memory, if there are none: what a member is not told now it never learns.
fn patiently<T>(driver: &Driver, mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match work() {
            Err(error) if is_lack(&error) && Instant::now() < until => {
                driver.endpoint.report_lack(error);
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

/// Who is not told by a beacon that there is a new controller goes on to look at the old directory.
fn raise_patiently(driver: &Driver, beacon: &OwnedObject, to: u64) {
    if let Err(error) = patiently(driver, || raise(beacon, to)) {
        tracing::warn!(%error, "a survivor's beacon cannot be raised");
    }
}

/// What the controller has to hear after a batch.
enum Answer {
    Directory(ConnId, Option<(ipmb_core::Directory, bool)>),
    Closed(ConnId),
    Died(u32),
    Unwatchable(u32),
}
