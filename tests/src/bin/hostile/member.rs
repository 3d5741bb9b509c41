//! An honest member: `hostile member DIRECTORY NAME AFFINITY NUMBER PEERS`. It sends numbered
//! messages and requests to its peers, a few hundred a second, checks what it receives, and measures
//! how long it waits. It is told `go`, `reset` and `report`.

use crate::{
    meter::{Longest, ticker},
    say,
};
use ipmb::{BytesMessage, EndpointReceiver, EndpointSender, Message, RecvError, Selector, label};
use ipmb_tests::{options, raw::Dice};
use std::{
    collections::HashMap,
    io::{self, BufRead},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Between two messages to the same peer.
const PACE: Duration = Duration::from_millis(2);
/// One request in so many messages,
const ASK_EVERY: u64 = 4;
/// and one multicast.
const SHOUT_EVERY: u64 = 8;
/// In the environment: what honest members know, so that nobody else can speak for them.
pub const SECRET: &str = "IPMB_HOSTILE_SECRET";
/// How long the receiving thread waits at a time.
const WAIT: Duration = Duration::from_secs(2);
/// So long a call may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Formats from here on are not checked: anybody may have sent that.
pub const NOISE: u16 = 1 << 15;

/// What an honest member allows: small, so that limits are met soon.
pub const MESSAGE_LIMIT: u64 = 8 << 20;
/// See there.
pub const INBOX_BUDGET: u64 = 1 << 20;

#[derive(Default)]
struct State {
    secret: u64,
    received: AtomicU64,
    noise: AtomicU64,
    broken: AtomicU64,
    failed: AtomicU64,
    errors: AtomicU64,
    gap: Longest,
    send: Longest,
    ask: Longest,
    late: Longest,
    /// By sender: the next number, and when the last one came.
    senders: Mutex<HashMap<u16, (u64, Instant)>>,
}

pub fn run(directory: &Path, name: &str, rest: &[&str]) {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let [affinity, number, peers] = rest else {
        panic!("AFFINITY NUMBER PEERS");
    };
    let options = options(directory, label!(name, "member"))
        .with_controller_affinity(*affinity == "1")
        .with_message_limit(MESSAGE_LIMIT)
        .with_inbox_budget(INBOX_BUDGET);
    let (sender, receiver) = ipmb::join(options, Some(PATIENCE)).expect("joins");
    let secret = std::env::var(SECRET).ok().and_then(|it| it.parse().ok());
    let state = Arc::new(State {
        secret: secret.expect("the secret of the honest"),
        ..State::default()
    });
    let receiver = Arc::new(receiver);
    let tick = ticker();
    let number: u16 = number.parse().expect("a number");
    thread::spawn({
        let (state, sender, receiver) = (state.clone(), sender.clone(), receiver.clone());
        move || receive(&state, &sender, &receiver)
    });
    let peers: Vec<&str> = peers.split(',').filter(|it| *it != "-").collect();
    say("joined");
    for line in io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("go") => {
                for peer in &peers {
                    let (state, sender, peer) = (state.clone(), sender.clone(), (*peer).to_owned());
                    thread::spawn(move || send(&state, &sender, number, &peer));
                }
                say("going");
            }
            Ok("reset") => {
                state.reset();
                tick.reset();
                say("reset");
            }
            Ok("report") => {
                state.end_gaps();
                let statistics = receiver.statistics();
                say(format_args!(
                    "received={} noise={} broken={} failed={} errors={} gap={} send={} ask={} late={} tick={} cut_off={} skipped={}",
                    state.received.load(Relaxed),
                    state.noise.load(Relaxed),
                    state.broken.load(Relaxed),
                    state.failed.load(Relaxed),
                    state.errors.load(Relaxed),
                    state.gap.micros(),
                    state.send.micros(),
                    state.ask.micros(),
                    state.late.micros(),
                    tick.micros(),
                    statistics.cut_off,
                    statistics.skipped,
                ));
            }
            _ => return,
        }
    }
}

impl State {
    fn reset(&self) {
        for count in [&self.received, &self.noise, &self.failed, &self.errors] {
            count.store(0, Relaxed);
        }
        for longest in [&self.gap, &self.send, &self.ask, &self.late] {
            longest.reset();
        }
        let now = Instant::now();
        for (_, last) in self.senders().values_mut() {
            *last = now;
        }
    }

    /// A gap that is still open counts as well.
    fn end_gaps(&self) {
        for (_, last) in self.senders().values() {
            self.gap.note(last.elapsed());
        }
    }

    fn senders(&self) -> std::sync::MutexGuard<'_, HashMap<u16, (u64, Instant)>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, message: &BytesMessage) {
        let number = self.number_of(message);
        let Some(number) = number.filter(|_| message.format < NOISE) else {
            self.noise.fetch_add(1, Relaxed);
            return;
        };
        let mut senders = self.senders();
        let (next, last) = senders.entry(message.format).or_insert((0, Instant::now()));
        self.gap.note(last.elapsed());
        *last = Instant::now();
        let is_good = number == *next && *message == self.numbered(message.format, number);
        if !is_good && self.broken.fetch_add(1, Relaxed) == 0 {
            eprintln!(
                "sender {}: {number}, not the message {next}",
                message.format
            );
        }
        *next = number + 1;
        self.received.fetch_add(1, Relaxed);
    }

    /// The number of a message, if an honest member has sent it.
    fn number_of(&self, message: &BytesMessage) -> Option<u64> {
        let (number, rest) = message.data.split_first_chunk()?;
        let (seal, _) = rest.split_first_chunk()?;
        let number = u64::from_le_bytes(*number);
        (u64::from_le_bytes(*seal) == self.seal(message.format, number)).then_some(number)
    }

    fn seal(&self, sender: u16, number: u64) -> u64 {
        Dice::new(self.secret ^ u64::from(sender) << 48 ^ number).roll()
    }

    /// Message number `number` of a sender: its size and bytes follow from both.
    fn numbered(&self, sender: u16, number: u64) -> BytesMessage {
        let mut dice = Dice::new(u64::from(sender) << 48 | number);
        let size = match dice.below(400) {
            0 => 60_000 + dice.below(100_000),
            1..=10 => dice.below(8_000),
            _ => dice.below(300),
        };
        let filling = dice.roll().to_le_bytes();
        let bytes = (0..size as usize).map(|at| filling[at % 8] ^ (at >> 3) as u8);
        let head = [number, self.seal(sender, number)].map(u64::to_le_bytes);
        BytesMessage {
            format: sender,
            data: head.into_iter().flatten().chain(bytes).collect(),
        }
    }
}

fn receive(
    state: &State,
    sender: &EndpointSender<BytesMessage>,
    receiver: &EndpointReceiver<BytesMessage>,
) {
    loop {
        let start = Instant::now();
        let received = receiver.recv(Some(WAIT));
        state.late.note(start.elapsed().saturating_sub(WAIT));
        match received {
            Ok(message) => match message.reply_to() {
                Some(asker) => {
                    let _ = sender.reply(asker, message.payload);
                }
                None => state.take(&message.payload),
            },
            Err(RecvError::Timeout) => {}
            // Bytes that are no message are the attacker's affair.
            Err(RecvError::Decode(_)) => {}
            Err(error) => {
                if state.errors.fetch_add(1, Relaxed) == 0 {
                    eprintln!("receiving: {error}");
                }
                // It would come again at once.
                thread::sleep(PACE);
            }
        }
    }
}

fn send(state: &State, sender: &EndpointSender<BytesMessage>, me: u16, peer: &str) {
    for number in 0.. {
        let selector = match number % SHOUT_EVERY {
            0 => Selector::multicast(peer),
            _ => Selector::unicast(peer),
        };
        let message = Message::new(selector, state.numbered(me, number));
        let start = Instant::now();
        let mut result = sender.send_timeout(message, PATIENCE);
        state.send.note(start.elapsed());
        while let Err(error) = result {
            state.failed.fetch_add(1, Relaxed);
            eprintln!("sending to {peer}: {}", error.reason);
            result = sender.send_timeout(error.message, PATIENCE);
        }
        if number % ASK_EVERY == 0 {
            let question = state.numbered(me, number);
            let start = Instant::now();
            let message = Message::new(Selector::unicast(peer), question.clone());
            let answer = sender
                .request(message)
                .and_then(|mut pending| pending.wait::<BytesMessage>(Some(PATIENCE)));
            state.ask.note(start.elapsed());
            match answer {
                Ok(answer) if answer.payload == question => {}
                Ok(_) => {
                    eprintln!("asking {peer}: the wrong answer");
                    state.broken.fetch_add(1, Relaxed);
                }
                Err(error) => {
                    eprintln!("asking {peer}: {error}");
                    state.failed.fetch_add(1, Relaxed);
                }
            }
        }
        thread::sleep(PACE);
    }
}
