//! What a member can say to the controller.

use super::{Scene, patiently};
use ipmb_core::{
    Body, EndpointId, Label, Overflow, ParkId, ReceiveLimits, Selector, Survivor, ToController,
};
use ipmb_sys::{Doorbell, OwnedObject};
use ipmb_tests::raw::{self, Belongings, Failure, Raw};
use std::{collections::VecDeque, time::Duration};

/// So many connections are kept open behind the one in use.
const KEPT: usize = 8;

fn messages(scene: &Scene, own: EndpointId, other: EndpointId) -> Vec<ToController> {
    let ids = vec![
        ParkId {
            sender: other,
            sequence: 1
        };
        3
    ];
    let mut selector =
        Selector::unicast(ipmb_core::LabelOp::from("nobody").and(!ipmb_core::LabelOp::from("x")));
    selector.ttl = Duration::from_millis(200);
    let register = |survivor| ToController::Register {
        id: own,
        label: Label::from(["attacker"]),
        limits: ReceiveLimits {
            message: 1 << 20,
            budget: 1 << 20,
            overflow: Overflow::Block,
        },
        receiving: true,
        survivor,
    };
    vec![
        register(None),
        register(Some(Survivor {
            order: 1,
            generation: scene.tried,
            delivered: ids.clone(),
        })),
        ToController::Introduce {
            peer: other,
            after: 0,
        },
        ToController::Park {
            sequence: scene.tried,
            selector,
            over: 0,
            body: Body::Inline(vec![1; 40]),
            objects: 0,
        },
        ToController::Took { ids },
        ToController::StopReceiving {
            askers: vec![other; 2],
        },
    ]
}

/// Every message, with a bit of it changed.
pub fn bits(scene: &mut Scene) -> Result<(), Failure> {
    let other = scene.join()?.find("alpha")?;
    let mut kept: VecDeque<Raw> = VecDeque::new();
    let bell = Doorbell::create()?.into_object();
    while scene.goes_on() {
        let raw = scene.join()?;
        let messages = messages(scene, raw.id, other);
        for _ in 0..16 {
            let message = &messages[scene.tried as usize % messages.len()];
            let mut bytes = message.encode();
            let bit = (scene.tried as usize / messages.len()).wrapping_mul(7) % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            let objects: Vec<OwnedObject> = (0..message.objects())
                .map(|_| bell.try_clone())
                .collect::<Result<_, _>>()?;
            scene.tried += 1;
            if raw::say(&raw.channel, &bytes, &objects).is_err() {
                break;
            }
        }
        patiently(|| raw.channel.is_disconnected());
        kept.push_back(raw);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
    Ok(())
}

pub fn endless(scene: &mut Scene) -> Result<(), Failure> {
    let bell = Doorbell::create()?.into_object();
    let borrowed = vec![std::os::fd::AsFd::as_fd(&bell); 200];
    while scene.goes_on() {
        let raw = scene.join()?;
        // Many bytes, or many objects, and more to follow.
        let bytes = match scene.tried % 2 {
            0 => vec![1; 32 << 10],
            _ => vec![1, 1],
        };
        scene.tried += 1;
        for _ in 0..400 {
            let objects = match bytes.len() {
                2 => &borrowed[..],
                _ => &[],
            };
            match raw.channel.try_send(&bytes, objects) {
                Ok(()) => {}
                Err(ipmb_sys::ChannelSendError::Disconnected) => break,
                Err(_) => drop(patiently(|| raw.channel.is_disconnected())),
            }
        }
        patiently(|| raw.channel.is_disconnected());
    }
    Ok(())
}

/// Lets all that the controller says to it pile up: others ask for introductions to it.
pub fn deaf(scene: &mut Scene) -> Result<(), Failure> {
    while scene.goes_on() {
        let deaf = scene.join_as("deaf")?;
        while scene.goes_on() && !deaf.channel.is_disconnected() {
            let other = scene.join()?;
            for again in 0..super::INTRODUCTIONS {
                let after = if again > 0 { u64::MAX } else { 0 };
                let peer = deaf.id;
                let message = ToController::Introduce { peer, after };
                scene.tried += 1;
                if other.say(&message, &[]).is_err() {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Registers under the ids of others, and twice.
pub fn ids(scene: &mut Scene) -> Result<(), Failure> {
    let known = scene.join()?;
    let others = ["ctrl", "alpha", "beta"].map(|it| known.find(it));
    while scene.goes_on() {
        for other in &others {
            let Ok(EndpointId(other)) = other else {
                return Err("somebody is missing".into());
            };
            scene.tried += 1;
            let label = Label::from(["attacker"]);
            match Raw::join_with(&scene.directory, label, *other, Belongings::honest()?) {
                Ok(_) => return Err("it is somebody else now".into()),
                Err(_) => scene.refused += 1,
            }
        }
        patiently(|| false);
    }
    Ok(())
}
