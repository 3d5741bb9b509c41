//! Whether to look for news for a while before going to sleep.

use std::time::Duration;

const MOST: u32 = 16;

/// Spins where that has paid off, and not at all where it never has: a wait that ended within
/// the spin time would have been served faster by spinning and earns credit, a spin that found
/// nothing costs some.
pub(super) struct Spin {
    limit: Duration,
    credit: u32,
}

impl Spin {
    pub(super) fn new(limit: Duration) -> Self {
        // With one processor, whoever spins keeps the others from making news.
        let alone = ipmb_sys::has_one_processor();
        Self {
            limit: if alone { Duration::ZERO } else { limit },
            credit: 0,
        }
    }

    /// How long to spin now.
    pub(super) fn budget(&self) -> Duration {
        if self.credit == 0 {
            Duration::ZERO
        } else {
            self.limit
        }
    }

    pub(super) fn spun(&mut self, paid_off: bool) {
        self.credit = match paid_off {
            true => (self.credit + 2).min(MOST),
            false => self.credit.saturating_sub(1),
        };
    }

    /// Whoever sleeps sees the message later than who spins, by about as long as waking takes.
    pub(super) fn slept(&mut self, time: Duration) {
        if time < 2 * self.limit {
            self.credit = (self.credit + 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spin;
    use std::time::Duration;

    #[test]
    fn spins_only_where_it_pays_off() {
        let limit = Duration::from_micros(20);
        let mut spin = Spin { limit, credit: 0 };
        assert_eq!(spin.budget(), Duration::ZERO);
        spin.slept(Duration::from_millis(1));
        assert_eq!(spin.budget(), Duration::ZERO);
        spin.slept(Duration::from_micros(5));
        assert_eq!(spin.budget(), limit);
        spin.spun(false);
        spin.spun(false);
        assert_eq!(spin.budget(), Duration::ZERO);
    }
}
