//! Numbers that nobody else has, in this process or in another.

use ipmb_sys::follow_forks;
use std::{cell::Cell, io};

/// The next number: the kernel's randomness for the first one of a thread, and then counted on from
/// there. So nobody else has it; but who has seen one can guess the next.
pub(super) fn number() -> io::Result<u128> {
    thread_local! {
        /// The fork generation in which the last number was made, and the number.
        static LAST: Cell<Option<(u32, u128)>> = const { Cell::new(None) };
    }
    let generation = follow_forks();
    let number = match LAST.get() {
        Some((of, number)) if of == generation => number.wrapping_add(1),
        // A forked child must not count on from where its parent does.
        _ => {
            let mut seed = [0; 16];
            ipmb_sys::random(&mut seed)?;
            u128::from_le_bytes(seed)
        }
    };
    LAST.set(Some((generation, number)));
    Ok(number)
}

/// A number far from all others, to count on from. (The last steps of SplitMix64; Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", 2014)
pub(super) fn scattered() -> io::Result<u64> {
    let number = number()? as u64;
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    Ok(number ^ number >> 31)
}

#[cfg(test)]
mod tests {
    use super::number;
    use std::{collections::HashSet, thread};

    #[test]
    fn numbers_differ_within_a_thread_and_between_threads() {
        let some = || (0..1000).map(|_| number().unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(some)).collect();
        let all = threads.into_iter().flat_map(|it| it.join().unwrap());
        assert_eq!(all.collect::<HashSet<_>>().len(), 4000);
    }
}
