//! Messages of which no byte is copied: loans, memory regions, objects. Of large ones only the first
//! word and the last byte are touched, so that what is measured is the passing alone.

use super::{
    About, Figures, Task,
    kind::{KIB, MIB},
    meet,
    stream::{self, CPU, RATE},
    window::Window,
};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Look, Offer, Peer, Role, Seat},
};
use std::{fs::File, os::fd::AsFd};

pub(super) const LOANS: About = About {
    name: "loans",
    title: "loans: zero-copy messages, at most 16 on their way",
    sizes: &[4 * KIB, 64 * KIB, MIB, 64 * MIB],
    quick_sizes: &[4 * KIB, 64 * MIB],
    headline: RATE,
    more_is_better: true,
    details: &[CPU],
    needs: Some(Offer::Loans),
    ..About::BASE
};

pub(super) const REGIONS_FRESH: About = About {
    name: "regions-fresh",
    title: "memory regions, each a new one, at most 16 on their way",
    sizes: &[4 * KIB, MIB, 64 * MIB],
    needs: Some(Offer::Regions),
    ..LOANS
};

pub(super) const REGIONS_RECYCLED: About = About {
    name: "regions-recycled",
    title: "memory regions, recycled through a registry, at most 16 on their way",
    ..REGIONS_FRESH
};

pub(super) const OBJECTS: About = About {
    name: "objects",
    title: "objects: a descriptor with each message, at most 16 on their way",
    sizes: &[64],
    quick_sizes: &[64],
    needs: Some(Offer::Objects),
    ..LOANS
};

pub(super) fn loans<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    pass::<P>(
        seat,
        task,
        |peer, stamper, phase| {
            peer.send_loaned(task.size, &mut |bytes| stamper.stamp_into(bytes, phase))
        },
        P::receive_view,
    )
}

pub(super) fn regions<P: Peer>(seat: &Seat, task: &Task, fresh: bool) -> Result<Figures> {
    pass::<P>(
        seat,
        task,
        |peer, stamper, phase| {
            peer.send_region(task.size, fresh, &mut |bytes| {
                stamper.stamp_into(bytes, phase);
            })
        },
        P::receive_region,
    )
}

pub(super) fn objects<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let object = File::open("/dev/null")?;
    pass::<P>(
        seat,
        task,
        |peer, stamper, phase| peer.send_object(stamper.stamp(phase), object.as_fd()),
        |peer, look| peer.receive_object(look).map(drop),
    )
}

fn pass<P: Peer>(
    seat: &Seat,
    task: &Task,
    mut send: impl FnMut(&mut P, &mut Stamper, Phase) -> Result<()>,
    receive: impl Fn(&mut P, Look<'_>) -> Result<()>,
) -> Result<Figures> {
    let mut peer = meet::<P>(seat)?;
    let mut window = Window::default();
    match seat.role {
        Role::Sender => stream::send(seat, task, |stamper, phase| {
            window.wait(&mut peer)?;
            send(&mut peer, stamper, phase)?;
            match phase {
                Phase::Last => window.close(&mut peer),
                _ => Ok(()),
            }
        }),
        Role::Receiver => stream::receive(task, |checker: &mut Checker| {
            let mut checked = Err("nothing came".into());
            receive(&mut peer, &mut |message| {
                checked = checker.check_from(message);
                Ok(())
            })?;
            let checked = checked?;
            window.acknowledge(&mut peer)?;
            Ok(checked)
        }),
    }
}
