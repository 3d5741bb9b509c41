//! Many senders and many receivers, each sending to each.

use crate::{Bus, Peer};

const SOURCES: u64 = 8;
const SINKS: u64 = 8;
/// At least so many from each source to each sink.
const MESSAGES: u64 = 20_000;

/// 8 senders and 8 receivers. None of them is ever the controller.
pub struct Crowd {
    sources: Vec<Peer>,
    sinks: Vec<Peer>,
}

/// How fast a crowd sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it can, so that the processors are busy.
    Full,
    /// About 4,000 messages per second from each to each: the processors have time for others.
    Gentle,
}

impl Crowd {
    /// A sink that gets the probes.
    pub const PROBED: &str = "sink7";

    /// Starts all of them. When it returns, all lanes are as large as they become, and full, and
    /// the sinks begin to read.
    pub fn start(bus: &Bus, pace: Pace) -> Self {
        let number = |number: u64| number.to_string();
        let mut sinks: Vec<Peer> = (0..SINKS)
            .map(|sink| bus.peer("sink", &[&number(sink), &number(SOURCES)]))
            .collect();
        sinks.iter().for_each(|sink| sink.expect("joined"));
        let rest = match pace {
            Pace::Full => 0,
            Pace::Gentle => 2,
        };
        let rest = number(rest);
        let (sink_count, messages) = (number(SINKS), number(MESSAGES));
        let source = |source| {
            [
                number(source),
                sink_count.clone(),
                messages.clone(),
                rest.clone(),
            ]
        };
        let sources: Vec<Peer> = (0..SOURCES)
            .map(|index| bus.peer("source", &source(index).each_ref().map(String::as_str)))
            .collect();
        sources.iter().for_each(|source| source.expect("joined"));
        sources.iter().for_each(|source| source.expect("full"));
        sinks.iter_mut().for_each(|sink| sink.tell("read"));
        Self { sources, sinks }
    }

    /// Lets the senders stop when they have sent enough, and looks whether everything has
    /// arrived in order: their messages, and so many probes. Returns how many messages.
    pub fn finish(mut self, probes: u64) -> u64 {
        self.sources
            .iter_mut()
            .for_each(|source| source.tell("stop"));
        let mut total = 0;
        for source in &self.sources {
            let line = source.line();
            let sent = line
                .strip_prefix("sent ")
                .and_then(|n| n.parse::<u64>().ok());
            total += sent.unwrap_or_else(|| panic!("a source says {line}"));
        }
        assert!(total >= SOURCES * MESSAGES);
        for (index, sink) in self.sinks.iter_mut().enumerate() {
            sink.expect(&format!("done {total}"));
            sink.tell("look for more");
            let is_probed = Self::PROBED == format!("sink{index}");
            sink.expect(&format!("probes {}", if is_probed { probes } else { 0 }));
        }
        let all = self.sources.into_iter().chain(self.sinks);
        all.for_each(Peer::finish);
        total * SINKS
    }
}
