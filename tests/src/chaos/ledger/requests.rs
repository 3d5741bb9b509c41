//! Requests and their replies.

use super::{Kind, Letter, judge::Court};
use crate::chaos::record::{End, Id, Outcome, To};

/// A request, apart from how it came to who was asked. `gone`: it may have gone to somebody who is
/// gone.
pub(super) fn judge_request(court: &mut Court<'_>, id: Id, letter: &Letter, gone: bool) {
    let asker = court.lives.get(&id.session()).copied();
    let is_sent = matches!(letter.returned, Some((_, Outcome::Sent)));
    let over = letter.over.map_or(u64::MAX, |it| it.0);
    match letter.over.map(|it| it.1) {
        None if is_sent && asker.is_some_and(|asker| asker.gone().is_none()) => {
            court.blame(Kind::NoReply, id, None);
        }
        None | Some(End::Dropped) => {}
        Some(End::Failed) => court.blame(Kind::Failed, id, None),
        Some(End::Expired) => {
            // Who had it, and the controller that gave it out, may both be dead: then nobody knows.
            let knows = letter.received.iter().find(|(_, receiver, _)| {
                let killed = court.lives.get(receiver).and_then(|life| life.killing);
                killed.is_none_or(|killed| killed > over)
            });
            if let Some((_, receiver, _)) = knows {
                court.blame(Kind::Refused, id, Some(*receiver));
            }
        }
        Some(End::PeerGone) if !gone => court.blame(Kind::NotGone, id, None),
        Some(End::PeerGone) => {}
        Some(End::Reply(reply)) => {
            court.verdict.tally.answered += 1;
            let reply = (court.ledger.letters.get(&reply)).and_then(|it| it.sending);
            if reply.is_none_or(|(_, to, _)| to != To::Asker(id)) {
                court.blame(Kind::WrongReceiver, id, None);
            }
        }
    }
}

/// A reply: if it was sent, the asker has it, or does not want it any more.
pub(super) fn judge_reply(court: &mut Court<'_>, id: Id, letter: &Letter, request: Id) {
    if let Some((_, receiver, _)) = letter.received.first() {
        court.blame(Kind::WrongReceiver, id, Some(*receiver));
    }
    let Some((end, Outcome::Sent)) = letter.returned else {
        return;
    };
    let replier = court.lives.get(&id.session());
    let in_time = replier.is_some_and(|it| it.gone().is_none_or(|gone| gone > end));
    let over = court.ledger.letters.get(&request).and_then(|it| it.over);
    match over.map(|it| it.1) {
        Some(End::Reply(which)) => {
            court.verdict.tally.due += 1;
            court.verdict.tally.delivered += 1;
            if which != id {
                // There is one reply to each request.
                court.blame(Kind::WrongReceiver, id, Some(request.session()));
            }
        }
        // Who receives no more counts as gone, though it may still have sent it.
        Some(End::PeerGone) if !in_time => {}
        Some(End::PeerGone | End::Expired) => {
            court.verdict.tally.due += 1;
            court.blame(Kind::NoReply, id, Some(request.session()));
        }
        // That the asker still waits is its request's fault.
        None | Some(End::Dropped | End::Failed) => {}
    }
}
