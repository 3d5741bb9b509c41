//! What keeps an endpoint on the bus.

use crate::{
    JoinError, Options, Scope, barrier, driver,
    endpoint::{Endpoint, Status},
    patience::Patience,
};
use ipmb_sys::{Obstacle, Rendezvous, RuntimeDirectory};
use std::{
    fmt, io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// So long a drop waits until a controller that is told has noticed: one that is stopped does not. It may be done in the
/// background;
const TIME_TO_LEAVE: Duration = Duration::from_millis(250);
/// and so long until all is said that has to be said before, parked messages above all. A bit more than the driver tries.
const TIME_TO_HAND_OVER: Duration = Duration::from_millis(1250);

/// Held by the sender's clones and the receiver; the last one to go makes the endpoint leave.
pub(crate) struct Handle {
    endpoint: Arc<Endpoint>,
    driver: Option<JoinHandle<()>>,
}

impl Handle {
    pub(crate) fn join(mut options: Options, patience: Patience) -> Result<Self, JoinError> {
        // Wiped whatever comes of it. Nothing but the key made from it is needed from here on.
        let token = Zeroizing::new(std::mem::take(&mut options.token));
        if options.identifier.is_empty() {
            return Err(JoinError::EmptyIdentifier);
        }
        if options.scope == Scope::System && token.is_empty() {
            return Err(JoinError::TokenRequired);
        }
        barrier::prepare();
        let directory =
            RuntimeDirectory::resolve(options.runtime_directory.as_deref(), options.scope)
                .map_err(JoinError::RuntimeDirectory)?;
        let endpoint = Arc::new(Endpoint::new(options, &token)?);
        let rendezvous =
            Rendezvous::open(directory, endpoint.credential.file_key()).map_err(system_error)?;
        let driver =
            driver::start(Arc::clone(&endpoint), rendezvous).map_err(JoinError::Resources)?;
        let handle = Self {
            endpoint,
            driver: Some(driver),
        };
        handle.wait(patience)?;
        Ok(handle)
    }

    #[inline]
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn close_receiver(&self) {
        if self.endpoint.is_forked() {
            return;
        }
        let askers = self.endpoint.inbox.close();
        let mut link = self.endpoint.link();
        link.deaf = true;
        link.askers = askers;
        drop(link);
        self.endpoint.wake();
    }

    /// Waits until the endpoint is on the bus.
    fn wait(&self, patience: Patience) -> Result<(), JoinError> {
        let changed = self.endpoint.link_changed();
        let mut link = self.endpoint.link();
        loop {
            match &link.status {
                Status::Member | Status::Orphaned => return Ok(()),
                Status::Lost(fate) => return Err(fate.clone().into()),
                Status::Joining if patience.is_over() => {
                    // Said in the same breath: the driver is not to let it join after that.
                    link.leaving = true;
                    return Err(JoinError::Timeout);
                }
                Status::Joining => {}
            }
            link = patience.wait(changed, link);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.endpoint.is_forked() {
            return;
        }
        self.endpoint.inbox.close();
        let mut link = self.endpoint.link();
        link.leaving = true;
        // They would end with the process.
        let has_parked = !link.parked.entries.is_empty();
        // Without a controller, leaving may take a moment; nobody is to wait for that.
        let waits = link.status != Status::Orphaned || has_parked;
        drop(link);
        self.endpoint.wake();
        let end = Instant::now() + TIME_TO_HAND_OVER;
        let mut link = self.endpoint.link();
        while waits && !link.over {
            let patience = match link.parting {
                Some(since) if !has_parked => Patience::Until(since + TIME_TO_LEAVE),
                _ => Patience::Until(end),
            };
            if patience.is_over() {
                break;
            }
            link = patience.wait(self.endpoint.link_changed(), link);
        }
        let is_over = link.over;
        drop(link);
        if let Some(driver) = self.driver.take()
            && is_over
        {
            // It has no result, and if it panicked there is nobody left to care.
            let _ = driver.join();
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn system_error(error: io::Error) -> JoinError {
    if let Some(obstacle) = Obstacle::of(&error) {
        return JoinError::Obstructed(obstacle.clone());
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => JoinError::PermissionDenied,
        _ => JoinError::Resources(error),
    }
}
