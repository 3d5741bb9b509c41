//! A thread that sends messages of all sorts.

use super::{Scene, fault, outcome};
use ipmb::{Message, ReplyTo, SelectorMode};
use ipmb_tests::chaos::{
    dice::Dice,
    mail::{self, Form, Mail, Post},
    record::{Event, Id, Outcome, To},
    words::Code,
};
use std::time::Duration;

/// The longest time that a message waits for somebody, in microseconds.
pub(in super::super) const TTL: u64 = 800_000;

pub(super) fn run(scene: &Scene, thread: u8) {
    let mut pen = Pen::new(scene, thread);
    while scene.stage.may_begin(|| pen.tidy_up()) {
        for _ in 0..pen.dice.size(100) {
            if !scene.stage.mode().plays() {
                break;
            }
            pen.say_something();
        }
        scene.stage.rest(pen.dice.micros(0..=15_000));
    }
}

/// Writes one thread's messages.
pub(super) struct Pen<'a> {
    scene: &'a Scene,
    pub(super) dice: Dice,
    thread: u8,
    written: u32,
    post: Post,
}

impl<'a> Pen<'a> {
    pub(super) fn new(scene: &'a Scene, thread: u8) -> Self {
        Self {
            scene,
            dice: scene.dice(thread),
            thread,
            written: 0,
            post: Post::default(),
        }
    }

    /// Keeps no memory for later messages.
    pub(super) fn tidy_up(&mut self) {
        self.post = Post::default();
    }

    fn say_something(&mut self) {
        let to = self.somebody(false);
        let Some((id, message)) = self.write(to, None) else {
            return;
        };
        let sender = &self.scene.sender;
        let (result, waited) = match self.dice.among(0..=9) {
            0..=5 => (sender.send(message).map_err(|error| (error, 0)), true),
            6..=7 => {
                let result = sender.try_send(message);
                (
                    result.map_err(|error| (error.reason, error.delivered)),
                    false,
                )
            }
            _ => {
                let result = sender.send_timeout(message, self.dice.micros(0..=50_000));
                (
                    result.map_err(|error| (error.reason, error.delivered)),
                    false,
                )
            }
        };
        let outcome = match result {
            Ok(()) if waited => Outcome::Sent,
            Ok(()) => Outcome::Taken,
            Err((error, delivered)) => outcome(&error, delivered),
        };
        self.scene.write(Event::Returned(id, outcome));
    }

    pub(super) fn somebody(&mut self, asks: bool) -> To {
        let (player, dice) = (&self.scene.player, &mut self.dice);
        let code = Code::random(player.seed, player.names, dice);
        To::Selector {
            // The wait for a reply has no end while who was asked is there.
            code: if asks { code.reliable() } else { code },
            mode: match asks || dice.chance(550) {
                true => SelectorMode::Unicast,
                false => SelectorMode::Multicast,
            },
            ttl: match dice.chance(700) {
                true => 0,
                false => dice.among(1..=TTL) as u32,
            },
            asks,
        }
    }

    /// A message of any kind, of which it is written down that it is about to be sent.
    pub(super) fn write(
        &mut self,
        to: To,
        reply_to: Option<ReplyTo>,
    ) -> Option<(Id, Message<Mail>)> {
        let dice = &mut self.dice;
        let one = matches!(
            to,
            To::Asker(_)
                | To::Selector {
                    mode: SelectorMode::Unicast,
                    ..
                }
        );
        let most = match dice.among(0..=999) {
            0..=1 => 8 << 20,
            2..=9 if one => 2 << 20,
            2..=99 => 64 << 10,
            100..=399 => 4 << 10,
            _ => 200,
        };
        let size = match dice.chance(100) {
            true => 0,
            false => dice.size(most) as usize,
        };
        let form = match dice.among(0..=5) {
            0..=1 if size <= 4096 => Form::Note,
            2 if size > 0 => Form::Lent,
            _ => Form::Bulk,
        };
        let objects = match dice.chance(40) {
            true => dice.size(40) as u16,
            false => 0,
        };
        let regions: Vec<usize> = match dice.chance(30) {
            true => (0..dice.among(1..=3))
                .map(|_| 8 + dice.size(256 << 10) as usize)
                .collect(),
            false => Vec::new(),
        };
        let id = Id::of(self.scene.session, self.thread, self.written);
        self.written += 1;
        let attachments = (objects, regions.as_slice());
        match self
            .post
            .write(&self.scene.sender, id, form, size, attachments)
        {
            Ok((mail, objects, regions, contents)) => {
                let mut message = match reply_to {
                    Some(reply_to) => Message::reply(reply_to, mail),
                    None => Message::new(mail::selector(&to)?, mail),
                };
                message.objects = objects;
                message.memory_regions = regions;
                self.scene.write(Event::Sending(id, to, contents));
                Some((id, message))
            }
            Err(error) => {
                fault("Failed", &format!("a message cannot be made: {error}"));
                // There is no use in trying that again at once.
                self.scene.stage.rest(Duration::from_millis(100));
                None
            }
        }
    }
}
