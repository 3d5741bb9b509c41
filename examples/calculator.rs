//! Questions and answers: requests of one type, replies of another, and what happens when nobody
//! is there any more to reply.
//!
//! `cargo run --example calculator`

use ipmb::{Message, MessageBox, Options, RequestError, Selector, TypeUuid, label};
use serde::{Deserialize, Serialize};
use std::{error::Error, thread, time::Duration};

#[derive(Serialize, Deserialize, TypeUuid)]
#[uuid = "2d4c8a0e-93b1-4f57-8f0c-5f2f3a1f7c61"]
struct Divide(i64, i64);

#[derive(Serialize, Deserialize, TypeUuid)]
#[uuid = "b0a7e6d2-1c55-4be1-9a5c-8f4be2a90d13"]
struct Quotient(i64);

/// What the calculator says.
#[derive(MessageBox)]
enum Answer {
    Quotient(Quotient),
    Refusal(String),
}

fn main() -> Result<(), Box<dyn Error>> {
    // A bus of our own, so that the examples can run side by side. A program leaves it out.
    let directory = tempfile::tempdir()?;
    let options = |label| {
        Options::new("com.example.calculator", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };

    // The calculator, here in a thread. It answers three questions, and leaves.
    let (answers, questions) = ipmb::join::<Answer, Divide>(options(label!("calculator")), None)?;
    let calculator = thread::spawn(move || -> Result<(), String> {
        for _ in 0..3 {
            let question = questions.recv(None).map_err(|error| error.to_string())?;
            // A message that was sent and not requested has nobody to reply to.
            let Some(asker) = question.reply_to() else {
                continue;
            };
            let Divide(dividend, divisor) = question.payload;
            let answer = match dividend.checked_div(divisor) {
                Some(quotient) => Answer::Quotient(Quotient(quotient)),
                None => Answer::Refusal(format!("{dividend} cannot be divided by {divisor}")),
            };
            answers
                .reply(asker, answer)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    });

    let (sender, _receiver) = ipmb::join::<Divide, ()>(options(label!("pupil")), None)?;
    let ask = |dividend, divisor| {
        let question = Divide(dividend, divisor);
        sender.request(Message::new(Selector::unicast("calculator"), question))
    };
    let limit = Some(Duration::from_secs(10));

    // Any number of requests may be under way; each finds its own reply.
    let (mut first, mut second) = (ask(84, 2)?, ask(1, 0)?);
    for pending in [&mut second, &mut first] {
        match pending.wait::<Answer>(limit)?.payload {
            Answer::Quotient(Quotient(quotient)) => println!("it is {quotient}"),
            Answer::Refusal(why) => println!("no: {why}"),
        }
    }

    // The reply may be waited for as what it has to be.
    let Quotient(quotient) = ask(-9, 3)?.wait(limit)?.payload;
    println!("it is {quotient}");

    calculator.join().map_err(|_| "the calculator panicked")??;
    match ask(1, 1).and_then(|mut pending| pending.wait::<Answer>(limit)) {
        Err(RequestError::NobodyMatches | RequestError::PeerGone) => println!("it has gone home"),
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("who was that?".into()),
    }
    Ok(())
}
