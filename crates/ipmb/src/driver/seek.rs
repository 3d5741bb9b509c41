//! Finding a controller, or becoming it.

use super::{Driver, Host, LACK_TIME, Later, Phase, doubt::Doubt, token};
use crate::endpoint::{Fate, Flushed, Pipe, Status};
use ipmb_core::{
    ElectionAction, ElectionError, ElectionEvent, Greeter, GreeterStep, HandshakeError, WatchState,
};
use ipmb_sys::{
    Channel, ConnectError, Interest, Obstacle, Rendezvous, RuntimeDirectory, Scope, Watch,
};
use std::{io, os::fd::AsFd, sync::Arc, time::Instant};

impl Driver {
    /// Does what the election says until something has to be waited for.
    pub(super) fn seek(&mut self, mut action: ElectionAction) {
        self.phase = Phase::Seeking;
        self.later = None;
        if !self.watching {
            let watch = self.rendezvous.watch_object();
            match self.poller.add(watch, token::WATCH, Interest::ReadableEdge) {
                Ok(()) => self.watching = true,
                Err(error) => return self.lack(error),
            }
        }
        loop {
            let event = match action {
                ElectionAction::Connect => match self.connect_to_controller() {
                    Ok(channel) => return self.greet(channel),
                    Err(ConnectError::NoController) => ElectionEvent::NoController,
                    Err(ConnectError::Busy) => ElectionEvent::Busy,
                    Err(ConnectError::Foreign { uid }) => ElectionEvent::Foreign { uid },
                    Err(ConnectError::NoDescriptors) => {
                        return self.lack(ipmb_sys::out_of_descriptors());
                    }
                    Err(ConnectError::Io(error)) => return self.lack(error),
                    Err(error) => return self.lack(io::Error::other(error)),
                },
                ElectionAction::TrySeat => match self.rendezvous.try_seat() {
                    Ok(Some(seat)) => match Host::start(self, seat) {
                        Ok(host) => {
                            self.doubt = Doubt::default();
                            self.host = Some(host);
                            return self.join_ourselves();
                        }
                        Err(error) => return self.lack(error),
                    },
                    Ok(None) => ElectionEvent::SeatBusy,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return self.meet_elsewhere();
                    }
                    Err(error) => return self.lack(error),
                },
                ElectionAction::Wait => return self.stand_by(),
                ElectionAction::Pause(time) => {
                    let next = ElectionAction::Connect;
                    self.later = Some((Instant::now() + time, Later::Seek(next)));
                    return;
                }
                ElectionAction::Fail(ElectionError::Foreign { uid }) => {
                    return self.end(Fate::Foreign(uid));
                }
                // Both follow from what was done above.
                _ => return,
            };
            action = self.election.handle(event);
        }
    }

    /// The files of the bus were removed, and others may be in their place by now. Whoever is left meets there.
    fn meet_elsewhere(&mut self) {
        let options = &self.endpoint.options;
        let directory =
            RuntimeDirectory::resolve(options.runtime_directory.as_deref(), options.scope);
        let opened = directory.map_err(io::Error::other).and_then(|directory| {
            let key = self.endpoint.credential.file_key();
            let rendezvous = Rendezvous::open(directory, key)?;
            if self.membership.is_some() {
                rendezvous.enlist()?;
            }
            Ok(rendezvous)
        });
        let rendezvous = match opened {
            Ok(rendezvous) => rendezvous,
            Err(error) => return self.lack(error),
        };
        tracing::warn!("the files of the bus were removed: new ones are in their place");
        self.stop_watching();
        self.rendezvous = rendezvous;
        self.phase = Phase::Seeking;
        // Not at once: somebody may remove them again and again.
        let next = self.election.start();
        self.later = Some((Instant::now() + LACK_TIME, Later::Seek(next)));
    }

    pub(super) fn watch_changed(&mut self) {
        let waits = |later: &Later| matches!(later, Later::AskAgain | Later::LookAgain);
        let busy = self.later.as_ref().is_some_and(|(_, it)| !waits(it));
        if !matches!(self.phase, Phase::Seeking) || busy {
            return;
        }
        self.doubt.begin_round();
        let state = match self.rendezvous.watch() {
            Ok(Watch::Serving) => WatchState::Serving,
            Ok(Watch::Vacant) => WatchState::Vacant,
            Ok(Watch::Pending) => WatchState::Pending,
            Err(error) => return self.lack(error),
        };
        let action = self.election.handle(ElectionEvent::Watch(state));
        self.seek(action);
    }

    /// Looks whether somebody serves.
    pub(super) fn look_again(&mut self) {
        self.looks += 1;
        match self.connect_to_controller() {
            Ok(channel) => self.greet(channel),
            Err(ConnectError::NoController | ConnectError::Busy) => self.stand_by(),
            Err(_) => self.seek(self.election.start()),
        }
    }

    /// The connection to the controller is broken.
    pub(super) fn lose_controller(&mut self) {
        tracing::debug!("the controller is lost");
        let mut link = self.endpoint.link();
        if let Some(pipe) = link.pipe.take() {
            let _ = self.poller.remove(pipe.channel().as_fd());
        }
        if self.membership.is_some() {
            link.status = Status::Orphaned;
        }
        self.endpoint.unconfirm_parked(&mut link);
        drop(link);
        if let Some(host) = self.host.take() {
            // Our own controller cut us off; let somebody else do it.
            host.leave();
        }
        self.untold = None;
        self.farewell = None;
        self.objects.clear();
        self.deliveries.clear();
        self.assembler = super::Assembler::new(super::MESSAGE_BYTES, super::MESSAGE_OBJECTS);
        let action = self.election.handle(ElectionEvent::Lost);
        let greeting = matches!(self.phase, Phase::Greeting(..));
        if greeting && self.disappointed(None) {
            return self.seek(action);
        }
        if greeting && std::mem::replace(&mut self.rebuffed, true) {
            // Whoever listens does not let us in and does not say why: do not storm it.
            self.phase = Phase::Seeking;
            self.later = Some((Instant::now() + LACK_TIME, Later::Seek(action)));
            return;
        }
        self.seek(action);
    }

    /// A packet came while we shake hands. `true`: it was part of that.
    pub(super) fn handshake_packet(&mut self, packet: &[u8]) -> bool {
        let Phase::Greeting(greeter, admitted) = &mut self.phase else {
            return false;
        };
        if *admitted {
            match greeter.refusal(packet) {
                Some(error) => self.refused(error),
                None => return false,
            }
            return true;
        }
        match greeter.handle(packet) {
            Ok(GreeterStep::Send(proof)) => {
                *admitted = true;
                let mut link = self.endpoint.link();
                let sent = link.pipe.as_mut().map(|pipe| pipe.send_raw(proof));
                drop(link);
                match sent {
                    // What waits in the pipe goes first.
                    Some(Ok(_)) => self.register(),
                    _ => self.lose_controller(),
                }
            }
            Ok(_) => self.lose_controller(),
            Err(error) => self.refused(error),
        }
        true
    }

    fn greet(&mut self, channel: Channel) {
        self.election.handle(ElectionEvent::Connected);
        self.endpoint.link().vacant = None;
        let mut nonce = [0; 32];
        if let Err(error) = ipmb_sys::random(&mut nonce) {
            return self.lack(error);
        }
        let peer = match channel.peer_credentials() {
            Ok(peer) => peer,
            Err(error) => return self.lack(error),
        };
        tracing::debug!(pid = peer.pid, "shakes hands with a controller");
        self.doubt.peer = Some(peer);
        if self.endpoint.options.scope == Scope::User {
            self.doubt.unserved = None;
        }
        let (greeter, hello) = Greeter::start(&self.credential(), nonce);
        if self.connect(channel, Some(hello)) {
            let greeter = greeter.seeing(peer.pid, peer.uid);
            self.phase = Phase::Greeting(Box::new(greeter), false);
        }
    }

    /// The controller is in this thread: no need to shake hands.
    fn join_ourselves(&mut self) {
        self.endpoint.link().vacant = None;
        let (ours, theirs) = match Channel::pair() {
            Ok(pair) => pair,
            Err(error) => return self.lack(error),
        };
        let mut admitted = Ok(());
        self.with_host(|host, driver| admitted = host.admit_ourselves(driver, theirs));
        if let Err(error) = admitted {
            return self.lack(error);
        }
        let (greeter, _) = Greeter::start(&self.endpoint.credential, [0; 32]);
        if self.connect(ours, None) {
            self.phase = Phase::Greeting(Box::new(greeter), true);
            self.register();
        }
    }

    fn connect(&mut self, channel: Channel, hello: Option<Vec<u8>>) -> bool {
        let channel = Arc::new(channel);
        if let Err(error) = self
            .poller
            .add(channel.as_fd(), token::CONTROL, Interest::Readable)
        {
            self.lack(error);
            return false;
        }
        let mut pipe = Pipe::new(channel);
        let sent = hello.map_or(Ok(Flushed::All), |hello| pipe.send_raw(hello));
        self.endpoint.link().pipe = Some(pipe);
        let patience = self.doubt.patience(self.endpoint.options.scope);
        self.later = Some((Instant::now() + patience, Later::GiveUpGreeting));
        match sent {
            Ok(Flushed::All) => {}
            // It waits in the pipe.
            Ok(_) => self.woken(),
            Err(_) => {
                self.lose_controller();
                return false;
            }
        }
        true
    }

    fn refused(&mut self, error: HandshakeError) {
        let fate = match error {
            HandshakeError::VersionMismatch(version) => Fate::Version(version),
            HandshakeError::TokenMismatch => Fate::Token,
            // Whoever that is, it is not a controller of this bus.
            error => Fate::Refused(error.to_string()),
        };
        match self.disappointed(Some(fate.clone())) {
            true => self.ask_the_next(),
            false => self.end(fate),
        }
    }

    /// The system refuses something. Who is joining is told; who is on the bus already goes on
    /// when it can.
    pub(super) fn lack(&mut self, error: io::Error) {
        if let Some(host) = self.host.take() {
            match self.membership {
                Some(_) => host.leave(),
                // The directory may have us, and we shall not come back.
                None => host.hand_over(self),
            }
        }
        let mut link = self.endpoint.link();
        if let Some(pipe) = link.pipe.take() {
            let _ = self.poller.remove(pipe.channel().as_fd());
        }
        drop(link);
        self.untold = None;
        if self.membership.is_none() {
            return self.end(Fate::from(&error));
        }
        tracing::warn!(%error, "the bus cannot be joined again yet");
        self.phase = Phase::Seeking;
        let next = self.election.start();
        self.later = Some((Instant::now() + LACK_TIME, Later::Seek(next)));
    }

    pub(super) fn stop_watching(&mut self) {
        if std::mem::take(&mut self.watching) {
            let _ = self.poller.remove(self.rendezvous.watch_object());
        }
    }
}

impl From<&io::Error> for Fate {
    fn from(error: &io::Error) -> Self {
        if let Some(obstacle) = Obstacle::of(error) {
            return Self::Obstructed(obstacle.clone());
        }
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission,
            _ => Self::Resources(error.to_string(), error.raw_os_error()),
        }
    }
}
