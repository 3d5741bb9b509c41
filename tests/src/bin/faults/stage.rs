//! Where a scenario is played: a bus of its own, a fault, and a ledger.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ipmb::{
    Bytes, EndpointReceiver, EndpointSender, JoinError, Message, Options, RecvError, Selector,
    SendError,
};
use ipmb_sys::faults::{self, Plan, Seen};
use ipmb_tests::Bus;

use crate::ledger::{Content, Fate, Ledger, Parcel, filler_of};

/// Far beyond what anything takes that does not hang, also on a busy machine.
const LONG: Duration = Duration::from_secs(5);
/// What a call may wait for where nothing will come, because all calls of a kind fail.
const SHORT: Duration = Duration::from_millis(300);

/// An endpoint.
pub struct Member {
    /// The only word of its label.
    pub name: &'static str,
    pub sender: EndpointSender<Parcel>,
    pub receiver: EndpointReceiver<Parcel>,
}

/// Where a scenario is played.
pub struct Stage {
    pub bus: Bus,
    plan: Option<Plan>,
    ledger: Mutex<Ledger>,
    armed: AtomicBool,
    /// Something took longer than anything does that does not hang.
    late: Mutex<Vec<String>>,
    seen: Mutex<Seen>,
}

impl Stage {
    pub fn new(plan: Option<Plan>) -> Self {
        Self {
            bus: Bus::new(),
            plan,
            ledger: Mutex::default(),
            armed: AtomicBool::new(false),
            late: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// From now on, calls are counted, and the planned one fails.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
        faults::start(self.plan);
    }

    /// From now on, everything has to work.
    pub fn disarm(&self) {
        *self.seen.lock().expect("no thread panics") = faults::stop();
        self.armed.store(false, Ordering::SeqCst);
    }

    fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// While calls fail for good, it is no wonder if nothing comes of it.
    pub fn lasts(&self) -> bool {
        self.plan.is_some_and(|it| it.from_then_on)
    }

    /// How long a call may take.
    pub fn patience(&self) -> Duration {
        let hopeless = self.is_armed() && self.lasts();
        // Where one thing hangs, most others do.
        match hopeless || !self.late.lock().expect("no thread panics").is_empty() {
            true => SHORT,
            false => LONG,
        }
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no thread panics")
    }

    pub fn wrong(&self, what: String) {
        self.ledger().wrong.push(what);
    }

    /// Something ended with its patience.
    pub fn late(&self, what: &str) {
        if !(self.is_armed() && self.lasts()) {
            self.late
                .lock()
                .expect("no thread panics")
                .push(what.to_owned());
        }
    }

    /// What was counted, what is wrong, what was late.
    pub fn result(self) -> (Seen, Vec<String>, Vec<String>) {
        let ledger = self.ledger.into_inner();
        let wrong = ledger.unwrap_or_else(PoisonError::into_inner).wrong;
        let late = self.late.into_inner();
        let seen = self.seen.into_inner();
        (
            seen.unwrap_or_else(PoisonError::into_inner),
            wrong,
            late.unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub fn options(&self, name: &'static str) -> Options {
        self.bus
            .options(ipmb::label!(name))
            .with_spin(Duration::ZERO)
            .with_send_timeout(Some(LONG))
    }

    /// Joins. `None`: it failed, as it may under faults.
    pub fn join(&self, name: &'static str) -> Option<Member> {
        match ipmb::join(self.options(name), Some(self.patience())) {
            Ok((sender, receiver)) => Some(Member {
                name,
                sender,
                receiver,
            }),
            Err(JoinError::Timeout) => {
                self.late(&format!("{name} could not join in time"));
                None
            }
            Err(
                JoinError::Resources(_)
                | JoinError::RuntimeDirectory(_)
                | JoinError::PermissionDenied,
            ) if self.is_armed() => None,
            Err(error) => {
                self.wrong(format!("{name} cannot join: {error:?}"));
                None
            }
        }
    }

    /// Joins where it has to work, as it was not possible before.
    /// Under another name, where the one whose join ended with its patience may still be let in, and
    /// take, as it leaves, what is for that name.
    pub fn join_at_last(&self, name: &'static str, member: Option<Member>) -> Option<Member> {
        member.or_else(|| self.join(name))
    }

    /// Sends what is owed to `to` then. Whether it was sent.
    pub fn send(&self, from: &Member, to: &str, content: Content) -> bool {
        let selector = Selector::unicast(to);
        self.send_by(from, to, content, selector, |number| {
            Some(Bytes::from(vec![filler_of(number); content.bytes]))
        })
    }

    /// As `send`, with any selector and any filler.
    pub fn send_by(
        &self,
        from: &Member,
        to: &str,
        content: Content,
        selector: Selector,
        filler: impl FnOnce(u32) -> Option<Bytes>,
    ) -> bool {
        self.send_with(from, to, content, selector, filler, |_| {})
    }

    /// As `send_by`, with something more in the message.
    pub fn send_with(
        &self,
        from: &Member,
        to: &str,
        content: Content,
        selector: Selector,
        filler: impl FnOnce(u32) -> Option<Bytes>,
        add: impl FnOnce(&mut Message<Parcel>),
    ) -> bool {
        let entered = self
            .ledger()
            .enter(from.name, to, content, selector, filler);
        let Some((number, mut message)) = entered else {
            return false;
        };
        add(&mut message);
        let attached = (message.objects.len(), message.memory_regions.len());
        let sent = from.sender.send_timeout(message, self.patience());
        match sent {
            Ok(()) => {
                self.ledger().settle(number, Fate::Sent);
                true
            }
            Err(error) => {
                self.ledger().settle(number, Fate::GivenBack);
                let back = &error.message;
                if (back.objects.len(), back.memory_regions.len()) != attached
                    || back.payload.number != number
                {
                    self.wrong(format!("message {number} did not come back whole"));
                }
                self.judge(&error.reason, &format!("{} sends to {to}", from.name));
                false
            }
        }
    }

    pub fn judge(&self, error: &SendError, what: &str) {
        match error {
            SendError::Timeout => self.late(&format!("{what}: timeout")),
            SendError::Resources(_) | SendError::Attachment(_) | SendError::ParkRefused(_)
                if self.is_armed() => {}
            error => self.wrong(format!("{what}: {error:?}")),
        }
    }

    /// Receives one message, if one comes in time. `None`: an error came, or the time ended.
    pub fn receive(&self, at: &Member, patience: Duration) -> Option<Message<Parcel>> {
        match at.receiver.recv(Some(patience)) {
            Ok(message) => {
                self.ledger().arrived(at.name, &message);
                return Some(message);
            }
            Err(RecvError::Timeout) => {}
            // Once more may be reported what was.
            Err(RecvError::Resources(_)) => thread::sleep(Duration::from_millis(1)),
            Err(error) => self.wrong(format!("{} receives: {error:?}", at.name)),
        }
        None
    }

    /// Receives until all has arrived that was sent.
    pub fn receive_all(&self, at: &Member) {
        let end = Instant::now() + self.patience();
        while !self.ledger().owed(at.name).is_empty() {
            if Instant::now() > end {
                let owed = self.ledger().owed(at.name);
                return self.late(&format!("{} waits for {owed:?}", at.name));
            }
            self.receive(at, Duration::from_millis(50));
        }
    }

    /// Does `work` while another thread receives.
    pub fn while_receiving(&self, at: &Member, work: impl FnOnce()) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    self.receive(at, Duration::from_millis(20));
                }
            });
            work();
            over.store(true, Ordering::SeqCst);
        });
    }

    /// Waits until another thread has received all that was sent.
    pub fn await_all(&self, at: &Member) {
        let end = Instant::now() + self.patience();
        while !self.ledger().owed(at.name).is_empty() {
            if Instant::now() > end {
                return self.late(&format!("{} is owed something", at.name));
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// All of these get what is due, and can be reached from all of these.
    pub fn check(&self, members: &[&Member]) {
        self.disarm();
        for member in members {
            self.receive_all(member);
        }
        for from in members {
            for to in members {
                self.reach(from, to);
            }
        }
    }

    fn reach(&self, from: &Member, to: &Member) {
        let content = Content {
            bytes: 5,
            objects: 1,
        };
        for _ in 0..3 {
            let entered = self.ledger().enter(
                from.name,
                to.name,
                content,
                Selector::unicast(to.name),
                |number| Some(Bytes::from(vec![filler_of(number); content.bytes])),
            );
            let Some((number, message)) = entered else {
                return;
            };
            match from.sender.send_timeout(message, self.patience()) {
                Ok(()) => {
                    self.ledger().settle(number, Fate::Sent);
                    return self.receive_all(to);
                }
                Err(error) => {
                    self.ledger().settle(number, Fate::GivenBack);
                    match error.reason {
                        // What the system refused the driver may be told to who sends next.
                        SendError::Resources(_) => {}
                        SendError::Timeout => {
                            self.late(&format!("{} reaches {}: timeout", from.name, to.name));
                        }
                        error => {
                            self.wrong(format!("{} reaches {}: {error:?}", from.name, to.name))
                        }
                    }
                }
            }
        }
        self.wrong(format!("{} cannot reach {}", from.name, to.name));
    }
}
