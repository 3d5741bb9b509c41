//! All attacks, with what they may cost.

use super::{
    Attack, Failure, Outcome, Scene, bells, control, joins, lanes, loans, memory, parking, regions,
    scribble, side, strangers,
};

const MIB: u64 = 1 << 10;
/// What the regions of one sender may take: a quarter of the descriptors that there may be.
const QUARTER: (usize, u64) = (usize::MAX, 64 * MIB);
/// What a message may take (4096 objects, and a packet more) while of each of several others one packet has come.
const SEVERAL: (usize, u64) = (4096 + 40 * 253, 32 * MIB);

const fn attack(
    name: &'static str,
    target: &'static str,
    outcome: Outcome,
    quota: (usize, u64),
    run: fn(&mut Scene) -> Result<(), Failure>,
) -> Attack {
    Attack {
        name,
        target,
        outcome,
        quota,
        run,
    }
}

/// All of them.
pub const ATTACKS: &[Attack] = {
    use Outcome::{Any, CutOff, Refused};
    &[
        attack(
            "lane: every byte of the header",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::header,
        ),
        attack(
            "lane: random bytes while it is used",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::random,
        ),
        attack(
            "lane: forged lengths and positions",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::forged,
        ),
        attack(
            "lane: forged envelopes",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::envelopes,
        ),
        attack(
            "lane: fragments that never end",
            "alpha",
            CutOff,
            (200, 64 * MIB),
            lanes::fragments,
        ),
        attack(
            "lane: a flood behind the last straw",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::flood,
        ),
        attack(
            "lane: types that nobody knows",
            "hermit",
            Any,
            (200, 32 * MIB),
            lanes::unknown,
        ),
        attack(
            "lane: forged replies",
            "hermit",
            Any,
            (200, 32 * MIB),
            lanes::replies,
        ),
        attack(
            "lane: parked messages of others",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::parked,
        ),
        attack(
            "memory: lanes that are none",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            memory::lanes,
        ),
        attack(
            "memory: truncated while it is used",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            memory::truncated,
        ),
        attack(
            "memory: what belongs to others",
            "alpha",
            Refused,
            (200, 32 * MIB),
            memory::others,
        ),
        attack(
            "memory: every byte of the ready set",
            "alpha",
            Any,
            (200, 32 * MIB),
            memory::ready,
        ),
        attack(
            "memory: the beacon raised",
            "alpha",
            Any,
            (200, 32 * MIB),
            memory::beacon,
        ),
        attack(
            "member: scribbles over all it has mapped",
            "alpha",
            Any,
            (200, 64 * MIB),
            scribble::run,
        ),
        attack(
            "region: forged ids, cells and sizes",
            "alpha",
            Any,
            (400, 32 * MIB),
            regions::forged,
        ),
        attack(
            "region: thousands that stay",
            "alpha",
            Any,
            QUARTER,
            regions::many,
        ),
        attack(
            "loan: forged and of others",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            loans::forged,
        ),
        attack(
            "loan: segments by the thousand",
            "alpha",
            Any,
            (200, 64 * MIB),
            loans::segments,
        ),
        attack(
            "side channel: garbage",
            "alpha",
            CutOff,
            (400, 32 * MIB),
            side::garbage,
        ),
        attack(
            "side channel: objects of nobody",
            "alpha",
            CutOff,
            SEVERAL,
            side::nobody,
        ),
        attack(
            "side channel: objects without end",
            "alpha",
            CutOff,
            SEVERAL,
            side::endless,
        ),
        attack(
            "side channel: lanes by the thousand",
            "alpha",
            Any,
            (400, 64 * MIB),
            side::lanes,
        ),
        attack(
            "doorbell: that is none",
            "alpha",
            Any,
            (200, 32 * MIB),
            bells::none,
        ),
        attack(
            "doorbell: full and blocking",
            "alpha",
            Any,
            (200, 32 * MIB),
            bells::full,
        ),
        attack(
            "doorbell: rings stolen",
            "alpha",
            Any,
            (200, 32 * MIB),
            bells::stolen,
        ),
        attack(
            "control: every bit of real messages",
            "ctrl",
            CutOff,
            (400, 32 * MIB),
            control::bits,
        ),
        attack(
            "control: a message that never ends",
            "ctrl",
            CutOff,
            (1200, 32 * MIB),
            control::endless,
        ),
        attack(
            "control: does not listen",
            "ctrl",
            CutOff,
            QUARTER,
            control::deaf,
        ),
        attack(
            "control: ids of others",
            "ctrl",
            Refused,
            (200, 32 * MIB),
            control::ids,
        ),
        attack(
            "control: introductions without end",
            "ctrl",
            CutOff,
            QUARTER,
            joins::introductions,
        ),
        attack(
            "control: joins and leaves",
            "ctrl",
            Any,
            (400, 32 * MIB),
            joins::joins,
        ),
        attack(
            "control: members by the thousand",
            "ctrl",
            Any,
            QUARTER,
            joins::members,
        ),
        attack(
            "control: labels as large as may be",
            "ctrl",
            Any,
            (400, 128 * MIB),
            joins::labels,
        ),
        attack(
            "control: the word that somebody serves taken",
            "ctrl",
            Any,
            (200, 32 * MIB),
            joins::mark,
        ),
        attack(
            "parking: 100,000 messages",
            "ctrl",
            Refused,
            (400, 160 * MIB),
            parking::many,
        ),
        attack(
            "parking: selectors as large as may be",
            "ctrl",
            Any,
            (400, 160 * MIB),
            parking::selectors,
        ),
        attack(
            "parking: in the way of a newcomer",
            "ctrl",
            Any,
            (400, 160 * MIB),
            parking::newcomer,
        ),
        attack(
            "stranger: every prefix of a handshake",
            "ctrl",
            Any,
            (200, 16 * MIB),
            strangers::prefixes,
        ),
        attack(
            "stranger: every bit of a handshake",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::bits,
        ),
        attack(
            "stranger: descriptors with a handshake",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::objects,
        ),
        attack(
            "stranger: 10,000 connections in silence",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::silent,
        ),
        attack(
            "stranger: byte by byte",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::slow,
        ),
        attack(
            "stranger: challenges replayed",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::replayed,
        ),
        attack(
            "stranger: the wrong token",
            "ctrl",
            Refused,
            (200, 16 * MIB),
            strangers::token,
        ),
        attack(
            "stranger: squats on a name",
            "ctrl",
            Refused,
            (200, 16 * MIB),
            strangers::squatter,
        ),
    ]
};

/// What the members are measured with for comparison: a process that is busy, and attacks nobody.
pub const NOBODY: Attack = attack("(nobody)", "", Outcome::Any, (64, 32 * MIB), |scene| {
    while scene.goes_on() {
        std::hint::spin_loop();
    }
    Ok(())
});
