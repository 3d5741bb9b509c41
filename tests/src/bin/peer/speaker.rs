//! `speaker NUMBER`: sends numbered messages at once, one after the other. It is told:
//!
//! * `one LABEL COUNT` or `all LABEL COUNT`: so many, to one or to all with the label;
//! * `large LABEL BYTES`: one of that size, without a number;
//! * `stray LABEL`: one that nobody understands.
//!
//! It says `sent` when it has.

use super::{Job, hear, say};
use ipmb::{BytesMessage, Message, MessageBox, Selector, label};
use ipmb_tests::traffic;

/// What a speaker says.
#[derive(MessageBox)]
enum Speech {
    Numbered(BytesMessage),
    Stray(String),
}

pub(super) fn run(job: &Job) {
    let options = job
        .options(label!("speaker"))
        .with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<Speech, ()>(options, None).expect("joins");
    let me = job.number(0);
    let mut next = 0;
    let mut numbered = || {
        next += 1;
        Speech::Numbered(traffic::message(me, next - 1))
    };
    let send = |selector, speech| sender.send(Message::new(selector, speech)).expect("sends");
    say("joined");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<usize>().expect("a number");
        match words[..] {
            ["one", label, count] => {
                (0..number(count)).for_each(|_| send(Selector::unicast(label), numbered()));
            }
            ["all", label, count] => {
                (0..number(count)).for_each(|_| send(Selector::multicast(label), numbered()));
            }
            ["large", label, bytes] => send(
                Selector::unicast(label),
                Speech::Numbered(traffic::large(number(bytes))),
            ),
            ["stray", label] => send(Selector::unicast(label), Speech::Stray(String::new())),
            _ => panic!("what is {line:?}?"),
        }
        say("sent");
    }
}
